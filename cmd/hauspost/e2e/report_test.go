package e2e

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
)

// report is a delivery report as a mail program takes it apart.
type report struct {
	subject, from, to, text string
	// status is the machine's part, original the message that came back.
	status, original string
}

// readReport takes a report apart.
func readReport(raw string) (*report, error) {
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		return nil, err
	}
	kind, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	if kind != "multipart/report" || parameters["report-type"] != "delivery-status" {
		return nil, fmt.Errorf("it is %s %v", kind, parameters)
	}
	if m.Header.Get("Auto-Submitted") == "" {
		return nil, errors.New("it does not say that a program made it")
	}
	r := &report{subject: m.Header.Get("Subject"), from: m.Header.Get("From"), to: m.Header.Get("To")}
	parts := multipart.NewReader(m.Body, parameters["boundary"])
	for _, into := range []*string{&r.text, &r.status, &r.original} {
		p, err := parts.NextPart()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(p)
		if err != nil {
			return nil, err
		}
		*into = p.Header.Get("Content-Type") + "\n" + string(data)
	}
	if _, err := parts.NextPart(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("after the third part: %v", err)
	}
	if !strings.HasPrefix(r.status, "message/delivery-status") {
		return nil, fmt.Errorf("the second part is %q", r.status)
	}
	return r, nil
}

// reports waits until a person has so many reports in INBOX, and nothing else.
func (b *box) reports(person string, n int) []*report {
	b.t.Helper()
	var list []shown
	until(b.t, fmt.Sprintf("%d reports for %s", n, person), func() bool {
		list = b.show(person, "INBOX")
		return len(list) >= n
	})
	if len(list) != n {
		b.t.Fatalf("%s has %d messages, want %d reports: %+v", person, len(list), n, list)
	}
	var all []*report
	for _, s := range list {
		if !strings.HasPrefix(s.raw, "Return-Path: <>\r\n") {
			b.t.Errorf("a report was not sent from <>: %.300q", s.raw)
		}
		r, err := readReport(s.raw)
		if err != nil {
			b.t.Fatalf("a report cannot be read: %v\n%s", err, s.raw)
		}
		all = append(all, r)
	}
	return all
}

// refusing has the far end refuse recipients whose local part begins with "bad".
func refusing(st step) string {
	if st.verb == "RCPT" && strings.HasPrefix(st.arg, "bad") {
		return "550 5.1.1 Nobody of that name here"
	}
	return ""
}

// TestRefusedRecipient holds that a sender gets one report for what the far end
// refused, and that what it took went out.
func TestRefusedRecipient(t *testing.T) {
	t.Parallel()
	b, far := newHouse(t, nil)
	far.behave(refusing)
	b.start()
	b.mustSubmit("anna", note("anna", "n1", "good@far.test", "bad@far.test"), "good@far.test", "bad@far.test")
	r := b.reports("anna", 1)[0]
	for _, want := range []string{"Action: failed", "Status: 5.1.1", "Final-Recipient: rfc822; bad@far.test", "550 5.1.1 Nobody of that name here"} {
		if !strings.Contains(strings.ReplaceAll(r.status, "rfc822;bad", "rfc822; bad"), want) {
			t.Errorf("the report's status lacks %q:\n%s", want, r.status)
		}
	}
	if strings.Contains(r.status, "good@far.test") || !strings.Contains(r.text, "bad@far.test") || !strings.Contains(r.original, "Subject: n1") {
		t.Errorf("the report is %+v", r)
	}
	arrives(t, far, "n1 to good@far.test")
	b.drain()
	b.reports("anna", 1)
	if n := len(b.show("bert", "INBOX")); n != 0 {
		t.Errorf("bert got %d messages", n)
	}
	b.stop()
	b.mustVerify()
}

// TestReportsAsAsked holds that a sender gets the reports that it asked for
// (RFC 3461), with its identifiers, and no others.
func TestReportsAsAsked(t *testing.T) {
	t.Parallel()
	b, far := newHouse(t, map[string]string{"queue.delay_notice": `"1s"`})
	far.behave(refusing)
	b.start()
	ask := func(person, id, parameters string, to ...string) {
		t.Helper()
		s, err := b.submitChunks(person)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		c := s.(byBdat)
		content := note(person, id)
		err = c.ask(250, "MAIL FROM:<%s> RET=HDRS ENVID=env-%s", addressOf(person), id)
		for _, r := range to {
			err = errors.Join(err, c.ask(250, "RCPT TO:<%s> NOTIFY=%s ORCPT=rfc822;first+2B%s", r, parameters, r))
		}
		if err = errors.Join(err, c.ask(250, "BDAT %d LAST\r\n%s", len(content), strings.TrimSuffix(string(content), "\r\n"))); err != nil {
			t.Fatal(err)
		}
	}
	ask("anna", "never", "NEVER", "bad1@far.test")
	ask("anna", "success", "SUCCESS", "good@far.test")
	r := b.reports("anna", 1)[0]
	for _, want := range []string{"Action: relayed", "Original-Envelope-Id: env-success", "first+good@far.test"} {
		if !strings.Contains(r.status, want) {
			t.Errorf("the report of success lacks %q:\n%s", want, r.status)
		}
	}
	if strings.Contains(r.original, "The text of") {
		t.Errorf("RET=HDRS, and the text came back: %s", r.original)
	}
	arrives(t, far, "success to good@far.test")
	b.drain()

	far.behave(func(st step) string {
		if st.verb == "RCPT" {
			return "451 4.3.0 Not now"
		}
		return ""
	})
	ask("bert", "delay", "DELAY,FAILURE", "late@far.test")
	until(t, "a report of a delay", func() bool {
		b.must("queue", "retry", "--all")
		return len(b.show("bert", "INBOX")) > 0
	})
	if r := b.reports("bert", 1)[0]; !strings.Contains(r.status, "Action: delayed") || !strings.Contains(r.status, "Will-Retry-Until: ") {
		t.Errorf("the report of a delay is %+v", r)
	}
	far.behave(nil)
	b.drain()
	arrives(t, far, "success to good@far.test", "delay to late@far.test")
	b.reports("anna", 1)
	b.reports("bert", 1)
	b.stop()
}

// TestForwarding leads mail out of the house by an alias: what the far end
// refuses is reported to nobody outside, and never for <>.
func TestForwarding(t *testing.T) {
	t.Parallel()
	b, far := newHouse(t, nil)
	b.must("alias", "add", "out@"+domain, "friend@far.test", "anna@"+domain)
	b.must("alias", "add", "lost@"+domain, "bad@far.test")
	far.behave(refusing)
	b.start()
	m, content := compose("w1", 2000, chance("forwarding"))
	if err := sendOne(b.smtp, content, "out"); err != nil {
		t.Fatal(err)
	}
	arrives(t, far, "w1 to friend@far.test")
	if a := far.got("")[0]; a.letter != *m || a.from != stranger {
		t.Errorf("it was forwarded from <%s> with %d octets, want <%s> and %d", a.from, a.letter.size, stranger, m.size)
	}
	if list := b.show("anna", "INBOX"); len(list) != 1 {
		t.Errorf("anna, whom the alias names too, has %d messages", len(list))
	}
	if err := sendOne(b.smtp, plain("w2", "lost", "To nobody."), "lost"); err != nil {
		t.Fatal(err)
	}
	s, err := dialBdat(b.smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	null := s.(byBdat)
	null.from = ""
	if err := null.send(plain("w3", "lost", "From nobody to nobody."), []string{"lost"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the queue to be empty", func() bool { return len(b.queue()) == 0 })
	arrives(t, far, "w1 to friend@far.test")
	b.stop()
	b.mustVerify()
}

// TestForwardingLoop has a far end send everything back to the alias that led
// out: the box refuses it before long.
func TestForwardingLoop(t *testing.T) {
	t.Parallel()
	b, far := newHouse(t, map[string]string{"smtp.max_hops": "10"})
	b.must("alias", "add", "round@"+domain, "round@far.test")
	b.start()
	content := plain("c1", "round", "And round.")
	for rounds := 0; ; rounds++ {
		if rounds > 12 {
			t.Fatal("it goes round for ever")
		}
		err := sendOne(b.smtp, content, "round")
		var no *refusal
		if errors.As(err, &no) {
			if no.code != 554 && no.code != 550 || !strings.Contains(strings.ToLower(no.text), "loop") && !strings.Contains(no.text, "round") {
				t.Errorf("the refusal is %v", no)
			}
			t.Logf("refused after %d rounds: %v", rounds, no)
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the letter to leave", func() bool { return far.count() > rounds })
		content = far.got("")[rounds].raw
	}
	b.drain()
	b.stop()
}
