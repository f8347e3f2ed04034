package sendmail

import (
	"io"
	"os"
	"strings"
	"testing"

	"hauspost/appliance/envelope"
)

func TestSMTP(t *testing.T) {
	t.Parallel()
	folder := newSpool(t)
	if err := makePrivate(folder, -1, -1); err != nil {
		t.Fatal(err)
	}
	if err := writeFacts(folder, Facts{Hostname: "mail.example.org", Domains: []string{"example.org"}, MaxSize: 1000}); err != nil {
		t.Fatal(err)
	}
	c := newCommand(folder, strings.Join([]string{
		"EHLO here",
		"MAIL FROM:<x@example.com>",
		"MAIL FROM:<shop@example.org> RET=HDRS ENVID=id BODY=8BITMIME",
		"RCPT TO:<ben@[192.0.2.1]>",
		"RCPT TO:<ben@example.net> NOTIFY=NEVER ORCPT=rfc822;b@example.net",
		"RCPT TO:<Postmaster>",
		"DATA",
		"Subject: x",
		"",
		"..dot",
		".",
		"MAIL FROM:<>",
		"RCPT TO:<ben@example.net>",
		"DATA",
		strings.Repeat("x", 2000),
		".",
		"QUIT",
	}, "\r\n")+"\r\n", "-bs").run(t, ExitOK)
	var codes []string
	for line := range strings.Lines(c.out.String()) {
		if len(line) > 4 && line[3] == ' ' {
			codes = append(codes, line[:3])
		}
	}
	if got := strings.Join(codes, " "); got != "220 250 553 250 553 250 250 354 250 250 250 354 552 221" {
		t.Errorf("the dialogue is %s:\n%s", got, c.out.String())
	}
	if !strings.HasPrefix(c.out.String(), "220 mail.example.org ESMTP") {
		t.Errorf("it greets with %s", c.out.String())
	}
	list := files(t, folder, endingReady)
	if len(list) != 1 || len(files(t, folder, endingNew)) != 0 {
		t.Fatalf("in the spool: %q", files(t, folder, ""))
	}
	o, err := openSpooled(list[0], true, maxSize, os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if got := to(o); got != "ben@example.net NEVER, Postmaster" || *o.head.Sender != "shop@example.org" ||
		o.head.Ret != "HDRS" || o.head.EnvID != "id" || o.head.Body != "8BITMIME" || o.head.Via != "sendmail -bs" || o.head.To[0].ORcpt == "" {
		t.Errorf("the envelope is %+v", o.head)
	}
	if got := content(t, o); got != "Subject: x\r\n\r\n.dot\r\n" {
		t.Errorf("the content is %q", got)
	}
}

// A client that closes its side in the middle has sent nothing.
func TestSMTPBroken(t *testing.T) {
	t.Parallel()
	folder := newSpool(t)
	newCommand(folder, "HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\nSubject: x\r\n\r\nhal", "-bs").run(t, ExitOK)
	if left := files(t, folder, ""); len(left) != 0 {
		t.Errorf("in the spool: %q", left)
	}
}

func TestSMTPInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := contextWithCancel(t)
	r, w := io.Pipe()
	defer w.Close()
	c := newCommand(newSpool(t), "", "-bs")
	c.In = r
	out, greeted := io.Pipe()
	c.Out = greeted
	done := make(chan int)
	go func() { done <- Run(ctx, *c.Options) }()
	if _, err := out.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, out)
	cancel()
	if code := <-done; code != ExitTempFail {
		t.Errorf("interrupted: %d", code)
	}
}

// A spool that is full refuses for now, and the session goes on.
func TestSMTPFullSpool(t *testing.T) {
	t.Parallel()
	c := newCommand(newSpool(t), "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\nNOOP\r\nQUIT\r\n", "-bs")
	c.fs = &faultyFS{fail: 1, err: os.ErrPermission}
	c.run(t, ExitOK)
	if s := c.out.String(); !strings.Contains(s, "452 4.3.1") || !strings.HasSuffix(s, "221 2.0.0 Goodbye\r\n") {
		t.Errorf("the dialogue is %s", s)
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	f := Facts{Hostname: "mail.example.org", Domains: []string{"example.org"}}
	for sender, want := range map[string]bool{
		"anna": true, "anna@example.org": true, "anna@EXAMPLE.org": true, "root@pi": true, "root@mail.example.org": true,
		"anna@example.com": false, "a@b@c": false, "a@sub.example.org": false,
	} {
		if got := f.mayBe(sender); got != want {
			t.Errorf("%s may be one of the box's: %v, want %v", sender, got, want)
		}
	}
	if !(Facts{}).mayBe("anna@example.com") {
		t.Error("without facts a sender is refused")
	}
	folder := t.TempDir()
	if got := readFacts(folder); got.MaxSize != maxSize {
		t.Errorf("without facts: %+v", got)
	}
	for range 2 {
		if err := writeFacts(folder, f); err != nil {
			t.Fatal(err)
		}
	}
	if got := readFacts(folder); got.Hostname != f.Hostname || len(got.Domains) != 1 {
		t.Errorf("facts come back as %+v", got)
	}
	if _, bare, err := splitAddress("Postmaster"); err != nil || !bare {
		t.Errorf("Postmaster: %v %v", bare, err)
	}
	if isHere(envelope.MustAddress("a@b.test"), "", "") {
		t.Error("an unknown name of the machine is everything")
	}
}
