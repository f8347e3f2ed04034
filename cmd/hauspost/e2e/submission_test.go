package e2e

import (
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// refusedWith holds that an error is a refusal with a code and words.
func refusedWith(t *testing.T, err error, code int, words ...string) {
	t.Helper()
	var no *refusal
	if !errors.As(err, &no) {
		t.Errorf("not refused: %v", err)
		return
	}
	for _, w := range words {
		if no.code != code || !strings.Contains(no.text, w) {
			t.Errorf("refused with %v, want %d and %q", no, code, w)
		}
	}
}

// TestSubmissionLimits holds that a person who sends too much is refused
// plainly and for now, that others are not concerned, and that nothing of the
// refused goes out.
func TestSubmissionLimits(t *testing.T) {
	t.Parallel()
	b, far := newHouse(t, map[string]string{"submission.messages_per_hour": "3", "submission.recipients_per_hour": "5"})
	b.start()
	for _, id := range []string{"a1", "a2", "a3"} {
		b.mustSubmit("anna", note("anna", id, "one@far.test"), "one@far.test")
	}
	refusedWith(t, b.submitOne("anna", note("anna", "a4", "one@far.test"), "one@far.test"), 450, "3 messages per hour", "try again after")
	b.mustSubmit("bert", note("bert", "b1"), "b1@far.test", "b2@far.test", "b3@far.test")
	refusedWith(t, b.submitOne("bert", note("bert", "b2"), "c1@far.test", "c2@far.test", "c3@far.test"), 450, "5 recipients per hour", "try again after")
	arrives(t, far, "a1 to one@far.test", "a2 to one@far.test", "a3 to one@far.test", "b1 to b1@far.test", "b1 to b2@far.test", "b1 to b3@far.test")
	b.drain()
	b.stop()
}

// TestSubmissionWithoutPassword sends from a network that may, and by a
// certificate that an authority of the owner's signed.
func TestSubmissionWithoutPassword(t *testing.T) {
	t.Parallel()
	b, far := newHouse(t, map[string]string{"submission.trusted": `["127.0.0.0/8"]`, "submission.client_ca": `"people.pem"`, "submission.hide_client": "true"})
	anna := selfSigned(t, addressOf("anna"), time.Now().AddDate(1, 0, 0))
	write(t, filepath.Join(b.dir, "people.pem"), string(pemOf(anna)))
	b.start()
	printer := func(from, id string) error {
		s, err := dialBdat(b.submission)
		if err != nil {
			return err
		}
		defer s.close()
		device := s.(byBdat)
		device.from = from
		return device.send(note("anna", id, "one@far.test"), []string{"one@far.test"})
	}
	if err := printer(addressOf("anna"), "printer"); err != nil {
		t.Error(err)
	}
	refusedWith(t, printer("scanner@elsewhere.test", "foreign"), 553, "only as an address of this server")
	refusedWith(t, printer("", "null"), 553, "only as an address of this server")

	certified := func(cert *tls.Certificate) error {
		config, err := b.trusting()
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{*cert}
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", b.submissions, config)
		if err != nil {
			return err
		}
		c := smtp.NewClient(conn)
		defer c.Close()
		if err := c.Auth(sasl.NewExternalClient("")); err != nil {
			return err
		}
		return byData{c, addressOf("anna")}.send(note("anna", "certified", "one@far.test"), []string{"one@far.test"})
	}
	if err := certified(anna); err != nil {
		t.Errorf("by certificate: %v", err)
	}
	arrives(t, far, "printer to one@far.test", "certified to one@far.test")
	for _, a := range far.got("") {
		if strings.Contains(string(a.raw), "127.0.0.1") {
			t.Errorf("the client's address is in what left: %s", a.raw)
		}
	}
	if err := certified(selfSigned(t, addressOf("anna"), time.Now().AddDate(1, 0, 0))); err == nil {
		t.Error("a certificate of an authority that nobody trusts was taken")
	}
	b.drain()
	b.stop()
}
