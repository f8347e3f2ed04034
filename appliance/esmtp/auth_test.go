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
	_, addr := serve(t, r, false, nil)
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
