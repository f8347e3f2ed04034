package report

import (
	"bytes"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/transfer"
)

// FuzzMessage holds that whatever comes from outside, the report is one that
// programs can read, with the fields that it should have and no others, and
// that the same comes out for the same.
func FuzzMessage(f *testing.F) {
	for _, n := range []Notice{failed(), expired(), delayed(), success(Relayed), forwarded(), international(true), international(false), injecting()} {
		r := n.Recipients[0]
		f.Add(string(n.Kind), n.Hostname, n.EnvID, n.Ret, r.ORcpt, r.Address.Local, r.Address.Domain, r.Host,
			r.Outcome.Answer, r.Outcome.Enhanced, r.Outcome.Code, n.Header, n.Content, n.SMTPUTF8)
	}
	f.Fuzz(func(t *testing.T, kind, hostname, envID, ret, orcpt, local, domain, host, answer, enhanced string, code int, header, content []byte, wide bool) {
		a := envelope.Address{Local: local, Domain: domain}
		n := Notice{
			Kind: Action(kind), Hostname: hostname, From: a, To: a, ID: envelope.ID(enhanced), Message: envelope.ID(answer),
			Now: arrival.Add(time.Hour), Arrival: arrival, Sender: a, Alias: a, EnvID: envID, Ret: ret,
			Header: header, Content: content, MaxContent: 1 << 20, SMTPUTF8: wide,
			Recipients: []Recipient{
				{Address: a, ORcpt: orcpt, Host: host, Note: answer, LastAttempt: arrival, RetryUntil: arrival,
					Outcome: transfer.Outcome{Status: transfer.Failed, Code: code, Enhanced: enhanced, Answer: answer, Verb: host, Name: kind}},
				{Address: a, Action: Action(ret), Expired: true, Host: domain,
					Outcome: transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeLocal, Enhanced: enhanced, Answer: local}},
			},
		}
		raw := Message(n)
		p, err := parse(raw, &n)
		if err != nil {
			t.Fatalf("%v in\n%q", err, raw)
		}
		for i, h := range p.fields[1:] {
			if s := h.Get("Status"); !statusForm.MatchString(s) {
				t.Errorf("status %q of recipient %d", s, i)
			}
		}
		if len(p.types) == 3 && (p.types[2] == "message/rfc822" || p.types[2] == "message/global") && !bytes.Equal(p.bodies[2], content) {
			t.Errorf("the message came back as %q", p.bodies[2])
		}
		if !NeedsSMTPUTF8(n) && (p.types[1] == "message/global-delivery-status" || !isASCII(raw[:bytes.Index(raw, []byte("\r\n\r\n"))])) {
			t.Error("needs RFC 6531, which NeedsSMTPUTF8 denies")
		}
		if !bytes.Equal(raw, Message(n)) {
			t.Error("twice is not the same")
		}
	})
}
