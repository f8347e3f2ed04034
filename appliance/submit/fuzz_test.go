package submit

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp/dialogue"
)

// register is a household that notes whom it let in.
type register struct {
	*household
	mu      sync.Mutex
	granted map[string]bool
}

func (r *register) SASL(mechanism string, from netip.Addr) (Exchange, error) {
	x, err := r.household.SASL(mechanism, from)
	if err != nil {
		return nil, err
	}
	return &registered{x, r}, nil
}

type registered struct {
	Exchange
	r *register
}

func (x *registered) Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = x.Exchange.Next(ctx, response)
	if done && err == nil {
		x.r.mu.Lock()
		x.r.granted[x.Person().Address] = true
		x.r.mu.Unlock()
	}
	return challenge, done, err
}

// FuzzSession runs live sessions, in the clear and under TLS, and holds the
// invariant of submission: a message is taken from somebody whom the accounts
// let in on this connection, under TLS, in a name of their own, and is answered
// by a 250 of its own; whatever else is said.
func FuzzSession(f *testing.F) {
	const (
		mail  = "MAIL FROM:<anna@example.test>\r\nRCPT TO:<x@friend.test>\r\nDATA\r\nhello\r\n.\r\n"
		plain = "AUTH PLAIN {base64 \\x00anna@example.test\\x00" + password + "}\r\n"
	)
	for _, seed := range []string{
		"EHLO x\r\n" + mail,
		"EHLO x\r\n" + plain + mail + "QUIT\r\n",
		"EHLO x\r\n" + plain + strings.Replace(mail, "anna", "ben", 1),
		"EHLO x\r\n" + plain + strings.Replace(mail, "anna@example.test", "", 1) + "RSET\r\n" + mail,
		"EHLO x\r\nAUTH PLAIN {base64 \\x00anna@example.test\\x00wrong}\r\n" + mail,
		"EHLO x\r\nAUTH PLAIN\r\n*\r\n" + mail,
		"EHLO x\r\nAUTH LOGIN {base64 ben@example.test}\r\n{base64 " + password + "}\r\n" + strings.Replace(mail, "anna", "ben", 1),
		"EHLO x\r\nAUTH SCRAM-SHA-256 {base64 n,,n=anna@example.test,r=abc}\r\n{base64 c=biws,r=abc,p=AAAA}\r\n" + mail,
		"EHLO x\r\nAUTH EXTERNAL =\r\n" + mail,
		"EHLO x\r\nSTARTTLS\r\n" + plain + mail,
		"EHLO x\r\n" + plain + "MAIL FROM:<info@example.org>\r\nRCPT TO:<x@friend.test>\r\nBDAT 4 LAST\r\nhi\r\n",
		"EHLO x\r\nBDAT 99 LAST\r\n" + plain + mail,
		"EHLO x\r\n" + plain + "STARTTLS\r\n" + mail,
	} {
		f.Add([]byte(dialogue.Unescape(strings.ReplaceAll(strings.ReplaceAll(seed, "\r", `\r`), "\n", `\n`))), true)
		f.Add([]byte(dialogue.Unescape(strings.ReplaceAll(strings.ReplaceAll(seed, "\r", `\r`), "\n", `\n`))), false)
	}
	f.Fuzz(func(t *testing.T, input []byte, secure bool) {
		people := &register{household: theHousehold(), granted: map[string]bool{}}
		h := start(t, secure, func(o *Options) { o.People, o.AllowPipelining = people, true })
		output := play(t, h.addr, input, secure)
		// Then nobody adds to the depot any more.
		dialogue.Eventually(t, "the session ends", func() bool { return h.Stats().Connections.Active == 0 })
		stored := h.depot.stored()
		if n := bytes.Count(output, []byte("\r\n250 2.6.0 Accepted as ")); n != len(stored) {
			t.Fatalf("%d messages are stored and %d were accepted\ninput %q\noutput %q", len(stored), n, input, output)
		}
		for _, m := range stored {
			address := m.author.Person.Address
			if !secure || !people.granted[address] || !strings.HasSuffix(m.env.Client.Protocol, "SA") {
				t.Fatalf("a message of %q came in by %s\ninput %q", address, m.env.Client.Protocol, input)
			}
			if from := m.env.From; from != (envelope.Address{}) && home(from) != address {
				t.Fatalf("%q sent as %q\ninput %q", address, from, input)
			}
		}
	})
}

// play sends input to a server, ends, and gives what was said.
func play(t *testing.T, addr string, input []byte, secure bool) []byte {
	var conn interface {
		net.Conn
		CloseWrite() error
	}
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(10 * time.Second))
	conn = raw.(*net.TCPConn)
	if secure {
		_, config := dialogue.TLS()
		conn = tls.Client(raw, config)
	}
	read := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(conn)
		read <- b
	}()
	// An error tells that the session ended before it had everything.
	conn.Write(input)
	conn.CloseWrite()
	return <-read
}
