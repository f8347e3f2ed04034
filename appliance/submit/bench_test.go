package submit

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp/dialogue"
	"hauspost/appliance/maillog"
)

// void is an Intake that keeps nothing.
type void struct{}

func (void) Stage(context.Context, *envelope.Envelope, *maillog.Trace, Author) Staging { return void{} }
func (void) Write(p []byte) (int, error)                                               { return len(p), nil }
func (void) Commit(context.Context) error                                              { return nil }
func (void) Discard()                                                                  {}

// BenchmarkSubmit is the whole dialogue of one message of 4 KB: on a connection
// that is signed in already, and with a connection and a sign-in for each, as
// most mail programs do it. The CPU time is that of both ends; passwords are
// checked in no time.
func BenchmarkSubmit(b *testing.B) {
	b.Run("open", func(b *testing.B) { benchSubmit(b, false) })
	b.Run("each", func(b *testing.B) { benchSubmit(b, true) })
}

func benchSubmit(b *testing.B, each bool) {
	h := start(b, true, func(o *Options) {
		o.Intake = void{}
		o.Limits.Messages, o.Limits.MessagesPerHour, o.Limits.RecipientsPerHour = -1, -1, -1
	})
	c := &benchClient{B: b, addr: h.addr}
	defer func() { c.conn.Close() }()
	c.signIn()
	const line = "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eir\r\n"
	content := "Subject: bench\r\n\r\n" + strings.Repeat(line, 4<<10/len(line)) + ".\r\n"
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		if each {
			c.conn.Close()
			c.signIn()
		}
		c.say("MAIL FROM:<anna@example.test> SIZE=4096\r\nRCPT TO:<x@friend.test>\r\nDATA\r\n")
		c.want("250")
		c.want("250")
		c.want("354")
		c.say(content)
		c.want("250")
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/1000, "cpu-µs/op")
}

type benchClient struct {
	*testing.B
	addr string
	conn net.Conn
	in   *bufio.Reader
}

func (c *benchClient) signIn() {
	_, config := dialogue.TLS()
	conn, err := tls.Dial("tcp", c.addr, config)
	if err != nil {
		c.Fatal(err)
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
	c.want("220")
	c.say("EHLO client.test\r\n")
	c.want("250")
	c.say("AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00anna@example.test\x00"+password)) + "\r\n")
	c.want("235")
}

func (c *benchClient) say(s string) {
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.Fatal(err)
	}
}

func (c *benchClient) want(prefix string) {
	line, err := c.in.ReadSlice('\n')
	for err == nil && len(line) > 3 && line[3] == '-' {
		line, err = c.in.ReadSlice('\n')
	}
	if err != nil || !strings.HasPrefix(string(line), prefix) {
		c.Fatalf("got %q, %v, want %q", line, err, prefix)
	}
}

// cpuTime is the CPU time of this process in nanoseconds.
func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
