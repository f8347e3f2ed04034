package esmtp

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp/dialogue"
	"hauspost/appliance/reply"
)

// recorder is a Backend that takes everything and notes what it is told. A test
// may replace single answers.
type recorder struct {
	mu       sync.Mutex
	sinks    []*sink
	refused  []string
	resets   []Cause
	mails    int
	closed   int
	lastConn *Conn

	newSession func() *reply.Reply
	mail       func(Mail) *reply.Reply
	rcpt       func(envelope.Recipient) *reply.Reply
	content    func() *reply.Reply
	commit     func(context.Context) *reply.Reply
	wrap       func(*recorded) Session
}

type recorded struct {
	*recorder
	conn *Conn
}

func (r *recorder) NewSession(_ context.Context, c *Conn) (Session, *reply.Reply) {
	if r.newSession != nil {
		if no := r.newSession(); no != nil {
			return nil, no
		}
	}
	r.mu.Lock()
	r.lastConn = c
	r.mu.Unlock()
	s := &recorded{r, c}
	if r.wrap != nil {
		return r.wrap(s), nil
	}
	return s, nil
}

func (r *recorded) Helo(context.Context, string) *reply.Reply { return nil }

func (r *recorded) Mail(_ context.Context, m Mail) *reply.Reply {
	r.mu.Lock()
	r.mails++
	r.mu.Unlock()
	if r.mail != nil {
		return r.mail(m)
	}
	return nil
}

func (r *recorded) Rcpt(_ context.Context, rcpt envelope.Recipient) *reply.Reply {
	if r.rcpt != nil {
		return r.rcpt(rcpt)
	}
	return nil
}

func (r *recorded) Content(context.Context, Via) (Content, *reply.Reply) {
	if r.content != nil {
		if no := r.content(); no != nil {
			return nil, no
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &recordedSink{sink: sink{answer: reply.New(250, "2.6.0", "ok", "Kept")}, r: r.recorder}
	r.sinks = append(r.sinks, &s.sink)
	return s, nil
}

type recordedSink struct {
	sink
	r *recorder
}

func (s *recordedSink) Commit(ctx context.Context, size int64) *reply.Reply {
	if s.r.commit != nil {
		if no := s.r.commit(ctx); no != nil {
			return no
		}
	}
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	return s.sink.Commit(ctx, size)
}

func (s *recordedSink) Discard() {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.sink.Discard()
}

func (s *recordedSink) Answered(err error) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.sink.Answered(err)
}

func (r *recorded) Refused(_ context.Context, verb, argument string, no *reply.Reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = append(r.refused, strings.TrimSpace(verb+" "+argument+" "+no.Name))
}

func (r *recorded) Reset(_ context.Context, cause Cause) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resets = append(r.resets, cause)
}

func (r *recorded) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed++
}

// committed gives the texts that were committed, in order.
func (r *recorder) committed() (texts []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sinks {
		if s.committed {
			texts = append(texts, s.String())
		}
	}
	return texts
}

func (r *recorder) lastReset() Cause {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.resets) == 0 {
		return ""
	}
	return r.resets[len(r.resets)-1]
}

func (r *recorder) allRefused() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.refused)
}

// serve runs a server and gives its address.
func serve(t testing.TB, r *recorder, implicitTLS bool, change func(*Options)) (*Server, string) {
	t.Helper()
	o := Options{
		Name: "mail.example.test", Backend: r,
		Pause:  func(context.Context, time.Duration) {},
		Limits: Limits{ConnectionRate: -1, ConnectionsPerAddress: -1},
	}
	if change != nil {
		change(&o)
	}
	s := New(o)
	return s, dialogue.Serve(t, s, implicitTLS, func() { r.checkBalance(t) })
}

// checkBalance holds what doc.go promises: one Reset for each Mail, one of
// Commit and Discard for each Content.
func (r *recorder) checkBalance(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.resets) != r.mails {
		t.Errorf("%d transactions were reset %d times: %v", r.mails, len(r.resets), r.resets)
	}
	for i, s := range r.sinks {
		if r.commit == nil && s.committed == s.discarded {
			t.Errorf("content %d: committed %v, discarded %v", i, s.committed, s.discarded)
		}
		if s.discarded && len(s.answered) != 0 {
			t.Errorf("content %d was discarded and answered", i)
		}
	}
}

// client is a simple SMTP client for tests.
type client struct {
	testing.TB
	net.Conn
	in *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return &client{TB: t, Conn: nc, in: bufio.NewReader(nc)}
}

func (c *client) send(format string, args ...any) {
	c.Helper()
	c.SetWriteDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(c.Conn, format, args...)
}

// want reads one reply and checks how it begins.
func (c *client) want(prefix string) string {
	c.Helper()
	for {
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.Fatalf("want %q, got %q, %v", prefix, line, err)
		}
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		if !strings.HasPrefix(line, prefix) {
			c.Fatalf("want %q, got %q", prefix, line)
		}
		return line
	}
}

func (c *client) wantEnd() {
	c.Helper()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if b, err := c.in.ReadByte(); err == nil {
		c.Fatalf("want the end of the connection, got %q", b)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.Fatal("the connection stays open")
	}
}

// hello greets and starts a transaction up to its recipient.
func (c *client) hello() {
	c.Helper()
	c.want("220 ")
	c.send("EHLO client.test\r\n")
	c.want("250 ")
}

func (c *client) transaction() {
	c.Helper()
	c.send("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n")
	c.want("250 ")
	c.want("250 ")
}
