package imapd_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"testing"

	"hauspost/appliance/imapd"
)

// pipes is a listener of connections without any buffer: who writes waits until
// the other end has read.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// newPipe starts a server on pipes and gives a client that is logged in.
func newPipe(t *testing.T) (*box, *wireClient) {
	t.Helper()
	b := newBox(t, func(o *imapd.Options) { o.AllowPlaintext = true })
	return b, b.servePipes(t)(ann)
}

// servePipes serves on pipes too; what it gives makes a client on one that is
// logged in and has INBOX selected.
func (b *box) servePipes(t *testing.T) (dial func(user string) *wireClient) {
	t.Helper()
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	go b.server.Serve(context.Background(), p, false)
	return func(user string) *wireClient { return dialPipe(t, p, user) }
}

func dialPipe(t *testing.T, p *pipes, user string) *wireClient {
	t.Helper()
	client, server := net.Pipe()
	p.conns <- server
	t.Cleanup(func() { client.Close() })
	// One octet at a time, so that the server is still writing when the test
	// has seen the beginning.
	c := &wireClient{t: t, Conn: client, r: bufio.NewReaderSize(oneByte{client}, 16)}
	c.until("* OK")
	c.command("l", fmt.Sprintf("LOGIN %s %q", user, password))
	c.command("s", "SELECT INBOX")
	return c
}

type oneByte struct{ net.Conn }

func (o oneByte) Read(p []byte) (int, error) { return o.Conn.Read(p[:1]) }

// TestNewsDuringPush: what comes in while a push is being written is pushed
// after it.
func TestNewsDuringPush(t *testing.T) {
	t.Parallel()
	b, c := newPipe(t)
	c.send("i IDLE\r\n")
	c.until("+ ")
	b.deliver(t, "INBOX", testMessage(t, "short"))
	if first, err := c.r.ReadByte(); err != nil || first != '*' {
		t.Fatal(first, err)
	}
	b.deliver(t, "INBOX", testMessage(t, "short"))
	c.until("* 2 EXISTS")
}

// TestNewsAtTheStartOfIdle: what comes in while the server still answers IDLE
// is pushed after it.
func TestNewsAtTheStartOfIdle(t *testing.T) {
	t.Parallel()
	b, c := newPipe(t)
	c.send("i IDLE\r\n")
	if first, err := c.r.ReadByte(); err != nil || first != '+' {
		t.Fatal(first, err)
	}
	b.deliver(t, "INBOX", testMessage(t, "short"))
	for range 10 {
		// Time for a pusher to find the session busy.
		b.deliver(t, "Archive", testMessage(t, "short"))
	}
	c.until("* 1 EXISTS")
}
