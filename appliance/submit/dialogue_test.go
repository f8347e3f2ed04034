package submit

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp/dialogue"
	"hauspost/appliance/maillog"
)

// TestDialogues plays testdata/*.txt (see package dialogue). The words are
// those of look, the keys those of applyOption, "from", and "implicit" for
// port 465.
func TestDialogues(t *testing.T) {
	t.Parallel()
	dialogue.Run(t, "testdata/*.txt", func(t *testing.T, options []dialogue.Option) dialogue.Peer {
		kept := &dialogue.Keeper{}
		var peer dialogue.Peer
		for _, option := range options {
			switch option.Key {
			case "from":
				peer.From = &net.TCPAddr{IP: net.ParseIP(option.Value)}
			case "implicit":
				peer.Implicit = true
			}
		}
		h := start(t, peer.Implicit, func(o *Options) {
			o.Keep = kept.Keep
			for _, option := range options {
				applyOption(t, o, option.Key, option.Value)
			}
		})
		peer.Addr = h.addr
		_, peer.TLS = dialogue.TLS()
		peer.Active = func() int { return h.Stats().Connections.Active }
		peer.Look = func(word string) (string, bool) { return look(h, kept, word) }
		return peer
	})
}

func applyOption(t *testing.T, o *Options, key, value string) {
	n, _ := strconv.Atoi(value)
	l := &o.Limits
	switch key {
	case "from", "implicit":
	case "no-tls":
		o.TLS = nil
	case "trusted":
		o.Trusted = append(o.Trusted, netip.MustParsePrefix(value))
	case "domains":
		o.Domains = zone{}
	case "routed":
		o.Routed = func(domain string) bool { return domain == value }
	case "messages-per-hour":
		l.MessagesPerHour = n
	case "recipients-per-hour":
		l.RecipientsPerHour = n
	case "recipients":
		l.Recipients = n
	case "size":
		l.MessageSize = int64(n)
	case "errors":
		l.Errors = n
	case "bad-recipients":
		l.BadRecipients = n
	case "auth-failures":
		l.AuthFailures = n
	case "timeout":
		l.CommandTimeout = time.Duration(n) * time.Millisecond
	case "pipelining":
		o.AllowPipelining = true
	case "commit-fails":
		o.Intake.(*depot).commitErr = errors.New("fsync /secret/path: input/output error")
	default:
		t.Fatalf("unknown option %q", key)
	}
}

// look gives what a dialogue asks for: the number of committed messages, the
// last one, the steps of the last trace that was kept without a message, and
// the counts of sign-ins as good/bad.
func look(h *harness, kept *dialogue.Keeper, word string) (string, bool) {
	all := h.depot.stored()
	last := submitted{env: &envelope.Envelope{}, trace: maillog.Log{}.NewTrace("")}
	if len(all) > 0 {
		last = all[len(all)-1]
	}
	switch word {
	case "STORED":
		return fmt.Sprint(len(all)), true
	case "ACCEPTED":
		return fmt.Sprint(h.Stats().Messages), true
	case "KEPT":
		return kept.Last(), true
	case "TRACE":
		return dialogue.Steps(last.trace.Entries()), true
	case "SIGNINS":
		st := h.Stats()
		return fmt.Sprintf("%d/%d", st.SignIns, st.FailedSignIns), true
	case "CONTENT":
		return last.content, true
	case "FROM":
		return last.env.From.String(), true
	case "CLIENT":
		return last.env.Client.HELO + " " + last.env.Client.Protocol, true
	case "AUTHOR":
		return fmt.Sprintf("%s %s trusted=%v", last.author.Person.ID, last.author.Mechanism, last.author.Trusted), true
	case "EXTRA":
		e := last.env
		return fmt.Sprintf("size=%d body=%s utf8=%v envid=%s ret=%s requiretls=%v", e.Size, e.Body, e.SMTPUTF8, e.EnvID, e.Ret, e.RequireTLS), true
	case "TO":
		var to []string
		for _, r := range last.env.To {
			to = append(to, strings.TrimSpace(r.Address.String()+" "+r.Notify+" "+r.ORcpt))
		}
		return strings.Join(to, ", "), true
	}
	return "", false
}
