package esmtp

import (
	"context"
	"encoding/base64"
	"errors"
	"net/smtp"
	"strings"
	"testing"

	"hauspost/appliance/reply"
)

// doorman is a session with AUTH: PLAIN, and CHAT, which says something at its
// end.
type doorman struct{ *recorded }

func (doorman) Mechanisms() []string { return []string{"PLAIN", "CHAT"} }

func (doorman) Auth(_ context.Context, mechanism string) (Exchange, *reply.Reply) {
	if mechanism == "PLAIN" {
		return &plain{}, nil
	}
	return &chat{}, nil
}

var errCredentials = reply.New(535, "5.7.8", "credentials", "Wrong user or password")

type plain struct{}

func (*plain) Next(_ context.Context, response []byte) ([]byte, bool, error) {
	switch string(response) {
	case "":
		if response == nil {
			return []byte{}, false, nil
		}
		return nil, false, errors.New("empty")
	case "\x00anna\x00secret":
		return nil, true, nil
	}
	return nil, false, errCredentials
}

type chat struct{ n int }

func (x *chat) Next(_ context.Context, response []byte) ([]byte, bool, error) {
	x.n++
	if x.n == 1 && string(response) != "hi" {
		return nil, false, errCredentials
	}
	return []byte("bye"), true, nil
}

func authServer(t *testing.T) (*recorder, string) {
	r := &recorder{wrap: func(s *recorded) Session { return doorman{s} }}
	_, addr := serve(t, r, false, func(o *Options) { o.Limits.AuthFailures = -1 })
	return r, addr
}

func TestAuth(t *testing.T) {
	t.Parallel()
	r, addr := authServer(t)
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	c := dial(t, addr)
	c.want("220 ")
	c.send("AUTH PLAIN\r\n")
	c.want("503 5.5.1 ")
	c.send("EHLO client.test\r\n")
	c.want("250 ")
	for _, step := range []struct{ line, want string }{
		{"AUTH", "501 5.5.4 "},
		{"AUTH NTLM", "504 5.5.4 "},
		{"AUTH PLAIN !!!", "501 5.5.2 "},
		{"AUTH PLAIN =", "451 4.3.0 "},
		{"AUTH PLAIN " + b64("\x00anna\x00wrong"), "535 5.7.8 "},
		{"AUTH PLAIN", "334 \r\n"},
		{"*", "501 5.7.0 "},
		{"AUTH PLAIN", "334 \r\n"},
		{strings.Repeat("A", 12290), "500 5.5.6 "},
		{"AUTH PLAIN " + b64(strings.Repeat("x", 5000)), "535 5.7.8 "},
		{"MAIL FROM:<a@b.test> AUTH=<>", "250 "},
		{"AUTH PLAIN", "503 5.5.1 "},
		{"RSET", "250 "},
		{"auth chat " + b64("hi"), "334 " + b64("bye")},
		{"", "235 2.7.0 "},
		{"AUTH PLAIN " + b64("\x00anna\x00secret"), "503 5.5.1 "},
		{"MAIL FROM:<a@b.test> AUTH=a@b.test", "250 "},
		{strings.Repeat("X", 3000), "500 5.5.1 "},
		{"RCPT TO:<" + strings.Repeat("X", 3000), "500 5.5.2 "},
	} {
		c.send("%s\r\n", step.line)
		c.want(step.want)
	}
	for _, refused := range r.allRefused() {
		if strings.HasPrefix(refused, "AUTH") && len(strings.Fields(refused)) != 2 {
			t.Errorf("a secret got out: %q", refused)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.lastConn.Protocol(false); p != "ESMTPA" {
		t.Errorf("the protocol is %s", p)
	}
}

// TestAuthStandardLibrary: net/smtp can sign in.
func TestAuthStandardLibrary(t *testing.T) {
	t.Parallel()
	r, addr := authServer(t)
	msg := []byte("Subject: x\r\n\r\n.dot\r\n")
	auth := smtp.PlainAuth("", "anna", "secret", "127.0.0.1")
	if err := smtp.SendMail(addr, auth, "a@b.test", []string{"c@d.test"}, msg); err != nil {
		t.Fatal(err)
	}
	if got := r.committed(); len(got) != 1 || got[0] != string(msg) {
		t.Errorf("committed %q", got)
	}
	auth = smtp.PlainAuth("", "anna", "wrong", "127.0.0.1")
	if err := smtp.SendMail(addr, auth, "a@b.test", []string{"c@d.test"}, msg); err == nil || !strings.HasPrefix(err.Error(), "535 ") {
		t.Errorf("a wrong password gives %v", err)
	}
}

// stern lets nobody in before AUTH, and is endless when asked to CHAT.
type stern struct{ doorman }

func (s stern) Permit(verb string) *reply.Reply {
	if verb == "MAIL" && !s.conn.Authenticated() {
		return reply.New(530, "5.7.0", "sign-in-first", "Please sign in")
	}
	return nil
}

func (stern) Auth(context.Context, string) (Exchange, *reply.Reply) { return endless{}, nil }

type endless struct{}

func (endless) Next(context.Context, []byte) ([]byte, bool, error) { return []byte("and?"), false, nil }

// TestGatekeeper: a command that is not permitted does nothing, and the octets
// of a chunk are no commands even so. An exchange without end is ended, and so
// is a peer that fails too often.
func TestGatekeeper(t *testing.T) {
	t.Parallel()
	r := &recorder{wrap: func(s *recorded) Session { return stern{doorman{s}} }}
	_, addr := serve(t, r, false, func(o *Options) { o.Limits.AuthFailures = 3 })
	c := dial(t, addr)
	c.hello()
	c.send("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 6 LAST\r\nRSET\r\nRSET\r\n")
	c.want("530 5.7.0 ")
	c.want("503 5.5.1 ")
	c.want("503 5.5.1 ")
	c.want("250 2.0.0 ")
	c.send("AUTH CHAT\r\n")
	for range maxRounds {
		c.want("334 ")
		c.send("=\r\n")
	}
	c.want("501 5.7.0 ")
	c.send("AUTH NTLM\r\n")
	c.want("504 5.5.4 ")
	c.send("AUTH NTLM\r\n")
	c.want("421 4.7.0 ")
	c.wantEnd()
	if r.mails != 0 {
		t.Errorf("%d transactions began", r.mails)
	}
}
