package smtpd

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp"
	"hauspost/appliance/reply"
)

var (
	errHeloSyntax = reply.New(501, "5.5.4", "helo-syntax", "Please give your host name or address literal after EHLO")
	errHeloForged = reply.New(550, "5.7.1", "helo-forged", "That is the name of this server, please give your own")
	errHeloShort  = reply.New(550, "5.7.1", "helo-not-fqdn", "Please give a full host name with its domain after EHLO")
)

// Helo implements esmtp.Session. RFC 5321, section 4.1.4, forbids to refuse a
// peer whose name merely does not fit its address; the name may be malformed or
// stolen from us, though.
func (s *session) Helo(_ context.Context, name string) *reply.Reply {
	checks := &s.srv.opt.Checks
	normal, ok := esmtp.HeloName(name)
	switch {
	case !ok:
		if !checks.AllowMalformedHelo {
			return errHeloSyntax
		}
		s.heloFact = &envelope.Fact{Name: "helo", Value: "malformed"}
	case s.ours(normal) && s.stranger():
		if !checks.AllowForgedHelo {
			return errHeloForged
		}
		s.heloFact = &envelope.Fact{Name: "helo", Value: "forged"}
	case !strings.Contains(normal, "."):
		if checks.RequireHeloFQDN && !strings.HasPrefix(normal, "[") {
			return errHeloShort
		}
		s.heloFact = &envelope.Fact{Name: "helo", Value: "short"}
	default:
		s.heloFact = nil
	}
	return nil
}

// ours tells whether a HELO name is the box's own name or address.
func (s *session) ours(name string) bool {
	if name == s.srv.opt.Hostname {
		return true
	}
	text, ok := strings.CutPrefix(name, "[")
	if !ok {
		return false
	}
	a, err := netip.ParseAddr(strings.TrimPrefix(strings.TrimSuffix(text, "]"), "IPv6:"))
	if err != nil {
		return false
	}
	a = a.Unmap()
	return a == s.conn.Local().Addr() || slices.Contains(s.srv.opt.Addresses, a)
}
