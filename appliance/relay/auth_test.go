package relay

import (
	"bufio"
	"encoding/base64"
	"net"
	"strings"
	"testing"

	"hauspost/appliance/transfer"
)

// TestIterations: a server cannot keep the box busy by asking for more work on
// a password than anybody needs.
func TestIterations(t *testing.T) {
	t.Parallel()
	here, there := net.Pipe()
	defer here.Close()
	after := make(chan string, 1)
	go func() {
		defer there.Close()
		in := bufio.NewReader(there)
		first, _ := in.ReadString('\n')
		raw, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.TrimPrefix(first, "AUTH SCRAM-SHA-256 ")))
		_, nonce, _ := strings.Cut(string(raw), "r=")
		challenge := "r=" + nonce + "more,s=c2FsdA==,i=20000000"
		there.Write([]byte("334 " + base64.StdEncoding.EncodeToString([]byte(challenge)) + "\r\n"))
		line, _ := in.ReadString('\n')
		after <- line
	}()
	c := New(Options{Hostname: "box.example"})
	k := &conn{c: c, nc: here, raw: here, r: bufio.NewReader(here), w: bufio.NewWriter(here), tls: "TLS", ext: extensions{auth: []string{mechSCRAM}}}
	f := k.signIn(&Route{User: "anna", Password: "secret"})
	if f == nil || f.Status != transfer.Deferred || f.Name != "auth-failed" || !strings.Contains(f.Answer, "more work") {
		t.Errorf("%+v", f)
	}
	here.Close()
	if line := <-after; line != "" {
		t.Errorf("the work was done: %q", line)
	}
}
