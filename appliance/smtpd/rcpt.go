package smtpd

import (
	"context"
	"strings"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
)

// Rcpt implements esmtp.Session. Every recipient is asked of the Directory,
// but for the spellings that have made other servers relay: those are refused
// whoever lives here, even with a catch-all. The filters hear only of those who
// are here.
func (s *session) Rcpt(ctx context.Context, r envelope.Recipient) *reply.Reply {
	if routed(r.Address) {
		return reply.RelayDenied
	}
	if _, err := s.srv.opt.Directory.Resolve(ctx, r.Address); err != nil {
		return reply.Of(err)
	}
	if refused := s.filterRecipient(ctx, r); refused != nil {
		return refused
	}
	s.tx.Step = "RCPT"
	if s.tx.Add(r) {
		s.tx.Trace.Add(maillog.RecipientAccepted{To: r.Address.String()})
	}
	return nil
}

// routed tells whether an address holds another one to which a careless server
// would send it on: user%there@here, there!user@here, "user@there"@here, or
// whether it names a machine instead of a domain: user@[192.0.2.1].
func routed(a envelope.Address) bool {
	return a.IsLiteral() || strings.ContainsAny(a.Local, "%!@:")
}
