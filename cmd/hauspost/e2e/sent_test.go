package e2e

import (
	"errors"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// save puts a message into a mailbox, as a mail program does with what it sent.
func (b *box) save(person, mailbox string, content []byte) {
	b.t.Helper()
	c, err := b.dialIMAP(person)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	cmd := c.Append(mailbox, int64(len(content)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen}})
	_, werr := cmd.Write(content)
	cerr := cmd.Close()
	if _, err := cmd.Wait(); errors.Join(err, werr, cerr) != nil {
		b.t.Fatal(errors.Join(err, werr, cerr))
	}
}

// TestSentCopy holds that what a person sends is in Sent once, whoever put it
// there, and that Bcc stays there.
func TestSentCopy(t *testing.T) {
	t.Parallel()
	b, far := newHouse(t, map[string]string{"submission.sent_copy": "true", "submission.sent_after": `"8s"`})
	b.must("account", "sent", "bert@"+domain, "off")
	b.start()
	secret := func(person, id string) []byte {
		content := note(person, id, "one@far.test", "bert")
		return []byte(strings.Replace(string(content), "Subject: ", "Bcc: Secret <secret@far.test>\r\nSubject: ", 1))
	}
	to := []string{"one@far.test", "bert", "secret@far.test"}
	b.save("anna", "Sent", secret("anna", "before"))
	for _, id := range []string{"before", "after", "never"} {
		b.mustSubmit("anna", secret("anna", id), to...)
	}
	b.save("anna", "Sent", secret("anna", "after"))
	b.mustSubmit("bert", secret("bert", "off"), "one@far.test")
	until(t, "the copies", func() bool { return len(b.show("anna", "Sent")) >= 3 && far.count() >= 7 })
	b.drain()

	seen := map[string]int{}
	for _, s := range b.show("anna", "Sent") {
		seen[s.subject]++
		if !s.has(`\Seen`) || !strings.Contains(s.raw, "Bcc: Secret <secret@far.test>\r\n") {
			t.Errorf("%s in Sent has %v: %s", s.subject, s.flags, s.raw)
		}
	}
	if len(seen) != 3 || seen["before"] != 1 || seen["after"] != 1 || seen["never"] != 1 {
		t.Errorf("Sent of anna has %v, want each once", seen)
	}
	if list := b.show("bert", "Sent"); len(list) != 0 {
		t.Errorf("bert wants no copies and has %d", len(list))
	}
	if n := far.count(); n != 7 {
		t.Errorf("the far end has %d copies, want 7", n)
	}
	for _, a := range far.got("") {
		if strings.Contains(string(a.raw), "Bcc") || strings.Contains(string(a.raw), "secret@") {
			t.Errorf("%s saw Bcc: %s", a.to, a.raw)
		}
	}
	for _, s := range b.show("bert", "INBOX") {
		if strings.Contains(s.raw, "Bcc") || strings.Contains(s.raw, "secret@") {
			t.Errorf("bert saw Bcc: %s", s.raw)
		}
	}
	b.stop()
	b.mustVerify()
}

// TestSentCopyOutlivesACrash holds that the copy is filed though the box is
// killed before its time.
func TestSentCopyOutlivesACrash(t *testing.T) {
	t.Parallel()
	b, far := newHouse(t, map[string]string{"submission.sent_copy": "true", "submission.sent_after": `"2s"`})
	b.start()
	b.mustSubmit("anna", note("anna", "crash", "one@far.test"), "one@far.test")
	b.kill()
	b.start()
	until(t, "the copy", func() bool { return len(b.show("anna", "Sent")) > 0 })
	b.drain()
	if list := b.show("anna", "Sent"); len(list) != 1 || list[0].subject != "crash" {
		t.Errorf("Sent has %d messages", len(list))
	}
	if n := far.count(); n < 1 || n > 2 {
		t.Errorf("the far end has %d copies", n)
	}
	b.stop()
}
