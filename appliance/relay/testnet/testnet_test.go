package testnet

import (
	"bufio"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// caller speaks to a host line by line.
type caller struct {
	*testing.T
	nc net.Conn
	r  *bufio.Reader
}

func call(t *testing.T, h *Host) *caller {
	t.Helper()
	nc, err := net.Dial("tcp", h.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	return &caller{t, nc, bufio.NewReader(nc)}
}

// say sends text and wants the last line of a reply to begin so.
func (c *caller) say(text, want string) {
	c.Helper()
	if _, err := c.nc.Write([]byte(text)); err != nil {
		c.Fatal(err)
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil || len(line) < 4 {
			c.Fatalf("after %q: %q, %v", text, line, err)
		}
		if line[3] == ' ' {
			if !strings.HasPrefix(line, want) {
				c.Fatalf("after %q: %q, want %s", text, line, want)
			}
			return
		}
	}
}

func start(t *testing.T, b Behaviour) (*Net, *Host) {
	t.Helper()
	n, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	h, err := n.Host("mx.example", b)
	if err != nil {
		t.Fatal(err)
	}
	return n, h
}

func TestHostKeepsWhatItTook(t *testing.T) {
	t.Parallel()
	_, h := start(t, Behaviour{With: []string{"CHUNKING"}})
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan []Message, 1)
	go func() {
		m, err := h.Wait(ctx, 2)
		if err != nil {
			t.Error(err)
		}
		waited <- m
	}()
	c := call(t, h)
	c.say("", "220")
	c.say("EHLO client.example\r\n", "250")
	c.say("MAIL FROM:<a@b.example> SIZE=7\r\n", "250")
	c.say("RCPT TO:<c@d.example>\r\n", "250")
	c.say("DATA\r\n", "354")
	c.say("..x\r\n\r\n.\r\n", "250")
	c.say("MAIL FROM:<>\r\n", "250")
	c.say("RCPT TO:<c@d.example>\r\n", "250")
	c.say("BDAT 3\r\na\r\n", "250")
	c.say("BDAT 2 LAST\r\nb\n", "250")
	c.say("QUIT\r\n", "221")
	m := <-waited
	if len(m) != 2 || m[0].Content != ".x\r\n\r\n" || m[0].From != "a@b.example" || m[0].FromParams != "SIZE=7" || m[0].To[0].Address != "c@d.example" ||
		m[1].Content != "a\r\nb\n" || !m[1].BDAT || m[1].From != "" || m[1].HELO != "client.example" {
		t.Errorf("%+v", m)
	}
	cancel()
	if _, err := h.Wait(ctx, 3); !errors.Is(err, ErrFewer) {
		t.Errorf("waiting for one too many: %v", err)
	}
	if v := h.Violations(); len(v) != 0 {
		t.Errorf("%q", v)
	}
}

// TestViolations: what a client must not do is noticed.
func TestViolations(t *testing.T) {
	t.Parallel()
	_, h := start(t, Behaviour{Without: []string{"PIPELINING", "8BITMIME"}})
	c := call(t, h)
	c.say("", "220")
	c.say("MAIL FROM:<early@b.example>\r\n", "250")
	c.say("EHLO client.example\r\n", "250")
	c.say("MAIL FROM:<\xc3\xbc@b.example> BODY=8BITMIME\r\nRCPT TO:<c@d.example>\r\n", "250")
	c.say("", "250")
	c.say("DATA\r\n", "354")
	c.say("a\nb\r\n.\r\n", "250")
	c.say("NOOP\n", "500")
	got := strings.Join(h.Violations(), "\n")
	for _, want := range []string{"MAIL before EHLO", "BODY=8BITMIME", "8-bit", "together with MAIL", "bare CR or LF", "ends without CR", "unknown command"} {
		if !strings.Contains(got, want) {
			t.Errorf("not noticed: %s in\n%s", want, got)
		}
	}
}

func TestStopAndRestart(t *testing.T) {
	t.Parallel()
	n, h := start(t, Behaviour{})
	c := call(t, h)
	c.say("", "220")
	h.Stop()
	if _, err := c.r.ReadByte(); err == nil {
		t.Error("a stopped host says more")
	}
	if nc, err := net.Dial("tcp", h.Addr()); err == nil {
		nc.Close()
		t.Error("a stopped host takes connections")
	}
	if err := h.Restart(); err != nil {
		t.Fatal(err)
	}
	call(t, h).say("", "220")
	if h.Connections() != 2 || len(h.Dialogues()) != 2 || !slices.Equal(n.Hosts(), []*Host{h}) {
		t.Errorf("%d connections", h.Connections())
	}
	if _, err := n.Host6("six.example", Behaviour{}); err != nil {
		t.Error(err)
	}
	if _, err := n.Host6("seven.example", Behaviour{}); err == nil {
		t.Error("two hosts have the one IPv6 address")
	}
	ip, err := n.Nowhere()
	if err != nil || ip == "" {
		t.Error(err)
	}
}
