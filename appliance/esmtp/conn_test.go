package esmtp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
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

// lockedBuffer is a log that tests can read.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestPanics: a panic in any method of the session is a 421 to the peer and an
// error in the log, and everything is cleaned up.
func TestPanics(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*recorder){
		"new session": func(r *recorder) { r.newSession = func() *reply.Reply { panic("ouch") } },
		"mail":        func(r *recorder) { r.mail = func(Mail) *reply.Reply { panic("ouch") } },
		"rcpt":        func(r *recorder) { r.rcpt = func(envelope.Recipient) *reply.Reply { panic("ouch") } },
		"content":     func(r *recorder) { r.content = func() *reply.Reply { panic("ouch") } },
		"commit":      func(r *recorder) { r.commit = func(context.Context) *reply.Reply { panic("ouch") } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, log := &recorder{}, &lockedBuffer{}
			set(r)
			s, addr := serve(t, r, false, func(o *Options) {
				o.Logger, o.AllowPipelining = slog.New(slog.NewTextHandler(log, nil)), true
			})
			c := dial(t, addr)
			c.send("HELO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 2 LAST\r\n\r\n")
			var last string
			for {
				c.SetReadDeadline(time.Now().Add(5 * time.Second))
				line, err := c.in.ReadString('\n')
				if err != nil {
					break
				}
				last = line
			}
			if last != "421 4.3.0 Something went wrong here, please try again later\r\n" {
				t.Errorf("the last answer is %q", last)
			}
			c.Close()
			dialogue.Eventually(t, "the connection is over", func() bool { return s.Stats().Active == 0 })
			if !strings.Contains(log.String(), "ouch") || !strings.Contains(log.String(), "conn_test.go") {
				t.Errorf("the log has %q", log.String())
			}
		})
	}
}

func TestRefusedConnections(t *testing.T) {
	t.Parallel()
	r := &recorder{newSession: func() *reply.Reply { return reply.New(554, "5.7.1", "blocked", "Go\r\naway") }}
	s, addr := serve(t, r, false, nil)
	c := dial(t, addr)
	c.want("554 5.7.1 Go??away\r\n")
	c.wantEnd()
	if s.Stats().Refused["blocked"] != 1 {
		t.Errorf("stats are %+v", s.Stats())
	}
}

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	s, addr := serve(t, &recorder{}, false, func(o *Options) {
		o.Limits.ConnectionsPerAddress = 2
		o.Limits.ConnectionRate = 4
	})
	one, two := dial(t, addr), dial(t, addr)
	one.want("220 ")
	two.want("220 ")
	three := dial(t, addr)
	three.want("421 4.7.0 ")
	three.wantEnd()
	one.send("QUIT\r\n")
	one.want("221 ")
	one.wantEnd()
	dialogue.Eventually(t, "the place is free", func() bool { return s.Stats().Active == 1 })
	dial(t, addr).want("220 ")
	dial(t, addr).want("421 4.7.0 You open connections too fast")
	if st := s.Stats(); st.Accepted != 3 || st.Refused["too-many-connections-from-address"] != 1 || st.Refused["connecting-too-fast"] != 1 {
		t.Errorf("stats are %+v", st)
	}
}

// TestTarpit: errors beyond the limit are answered later and later, by the
// clock that was passed in.
func TestTarpit(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var pauses []time.Duration
	_, addr := serve(t, &recorder{}, false, func(o *Options) {
		o.Limits.TarpitAfter, o.Limits.TarpitStep, o.Limits.TarpitMax = 2, time.Hour, 3*time.Hour
		o.Pause = func(_ context.Context, d time.Duration) {
			mu.Lock()
			pauses = append(pauses, d)
			mu.Unlock()
		}
	})
	c := dial(t, addr)
	c.want("220 ")
	for range 7 {
		c.send("FOO\r\n")
		c.want("500 ")
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []time.Duration{1 * time.Hour, 2 * time.Hour, 3 * time.Hour, 3 * time.Hour, 3 * time.Hour}; !slices.Equal(pauses, want) {
		t.Errorf("pauses are %v, want %v", pauses, want)
	}
}

// TestSlowContent: a trickle that never stands still is too slow all the same.
func TestSlowContent(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	_, addr := serve(t, r, false, func(o *Options) {
		o.Limits.ContentGrace, o.Limits.ContentRate = 100*time.Millisecond, 1<<20
	})
	c := dial(t, addr)
	c.hello()
	c.transaction()
	c.send("DATA\r\n")
	c.want("354 ")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
			}
		}
	})
	c.want("421 4.4.2 The message came in too slowly")
	close(stop)
	wg.Wait()
	dialogue.Eventually(t, "the transaction ends", func() bool { return r.lastReset() == TimedOut })
}

// TestSlowCommand: a command line has one deadline, however it trickles.
func TestSlowCommand(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, &recorder{}, false, func(o *Options) { o.Limits.CommandTimeout = 100 * time.Millisecond })
	c := dial(t, addr)
	c.want("220 ")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
			}
		}
	})
	c.want("421 4.4.2 ")
	close(stop)
	wg.Wait()
}

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	server, _ := dialogue.TLS()
	s, addr := serve(t, &recorder{}, true, func(o *Options) {
		o.TLS, o.Limits.HandshakeTimeout = server, 20*time.Millisecond
	})
	c := dial(t, addr)
	c.wantEnd()
	dialogue.Eventually(t, "the connection is over", func() bool { return s.Stats().Active == 0 })
}

func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	server, config := dialogue.TLS()
	r := &recorder{}
	_, addr := serve(t, r, true, func(o *Options) { o.TLS = server })
	c := dial(t, addr)
	secure := tls.Client(c.Conn, config)
	c.Conn = secure
	c.in.Reset(secure)
	c.hello()
	c.transaction()
	c.send("BDAT 4 LAST\r\nab\r\n")
	c.want("250 2.6.0 ")
	r.mu.Lock()
	text, protocol := r.lastConn.TLSText(), r.lastConn.Protocol(false)
	r.mu.Unlock()
	if text != "TLS1.3 "+tls.CipherSuiteName(secure.ConnectionState().CipherSuite) || protocol != "ESMTPS" {
		t.Errorf("TLS %q, protocol %q", text, protocol)
	}
	c.send("QUIT\r\n")
	c.want("221 ")
}

// TestLostAnswer: the message is kept, the answer cannot be written, and the
// content is told.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	committing, gone := make(chan struct{}), make(chan struct{})
	r := &recorder{commit: func(context.Context) *reply.Reply { close(committing); <-gone; return nil }}
	s, addr := serve(t, r, false, nil)
	c := dial(t, addr)
	c.hello()
	c.transaction()
	c.send("BDAT 4 LAST\r\nab\r\n")
	<-committing
	r.mu.Lock()
	conn := r.lastConn
	r.mu.Unlock()
	c.Close()
	conn.raw.Close() // what a reset by the peer comes to, without its timing
	close(gone)
	dialogue.Eventually(t, "the connection is over", func() bool { return s.Stats().Active == 0 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.sinks[0]; !k.committed || len(k.answered) != 1 || k.answered[0] == nil {
		t.Errorf("committed %v, answered %v", k.committed, k.answered)
	}
	if !slices.Equal(r.resets, []Cause{Answered}) {
		t.Errorf("resets %v", r.resets)
	}
}

// TestRefusedContent: what the session does not want is not asked for after
// DATA; after BDAT it is read and dropped.
func TestRefusedContent(t *testing.T) {
	t.Parallel()
	r := &recorder{content: func() *reply.Reply { return reply.StorageError }}
	_, addr := serve(t, r, false, nil)
	c := dial(t, addr)
	c.hello()
	c.transaction()
	c.send("DATA\r\n")
	c.want("452 4.3.1 ")
	c.send("BDAT 5\r\nfirstBDAT 6 LAST\r\nsecond")
	c.want("452 4.3.1 ")
	c.want("452 4.3.1 ")
	c.send("MAIL FROM:<a@b.test>\r\n")
	c.want("250 ")
}

// TestOneSegment: the answers to a group of commands go out in one write.
func TestOneSegment(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	s := New(Options{Name: "x", Backend: r})
	ours, theirs := net.Pipe()
	counted := &countingConn{Conn: theirs}
	c := attach(t, s, ours, counted)
	read := func() string {
		buf := make([]byte, 4096)
		ours.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := ours.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	read()
	c.send("HELO x\r\n")
	read()
	c.send("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nRCPT TO:<e@d.test>\r\nBDAT 2 LAST\r\n\r\n")
	if got := read(); strings.Count(got, "\r\n") != 4 || !strings.HasSuffix(got, "Kept\r\n") {
		t.Errorf("the first segment is %q", got)
	}
	if counted.writes() != 3 {
		t.Errorf("%d writes", counted.writes())
	}
	ours.Close()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	r.checkBalance(t)
}

// attach runs the server on one end of a pipe.
func attach(t *testing.T, s *Server, ours, theirs net.Conn) *client {
	t.Helper()
	remote := addrPort(theirs.RemoteAddr())
	if r := s.gate.enter(time.Now(), remote.Addr()); r != nil {
		t.Fatal(r)
	}
	conn := newConn(s, theirs, remote, false)
	s.add(conn)
	go conn.run()
	return &client{TB: t, Conn: ours, in: bufio.NewReader(ours)}
}

// TestTailOfALongLine: when the first part of a long line is dropped, the rest
// is not a line of its own.
func TestTailOfALongLine(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	s := New(Options{Name: "x", Backend: r})
	ours, theirs := net.Pipe()
	c := attach(t, s, ours, theirs)
	c.want("220 ")
	// A pipe hands over each write on its own, so the tail comes alone.
	c.send("%s", strings.Repeat("x", 3000))
	c.send("NOOP\r\n")
	c.want("500 5.5.2 ")
	c.send("NOOP\r\n")
	c.want("250 ")
	ours.Close()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

type countingConn struct {
	net.Conn
	mu sync.Mutex
	n  int
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *countingConn) writes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// TestEndlessGroup: a peer that sends commands and never reads its answers is
// cut off by the time for writing, and what waits for it stays bounded.
func TestEndlessGroup(t *testing.T) {
	t.Parallel()
	s, addr := serve(t, &recorder{}, false, func(o *Options) {
		o.Limits.WriteTimeout, o.Limits.EmptyCommands = 50*time.Millisecond, -1
	})
	c := dial(t, addr)
	group := []byte(strings.Repeat("RSET\r\n", 10000))
	c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	for {
		if _, err := c.Write(group); err != nil {
			break
		}
	}
	dialogue.Eventually(t, "the connection is over", func() bool { return s.Stats().Active == 0 })
}

// TestReplies: no text of a policy can break the protocol.
func TestReplies(t *testing.T) {
	t.Parallel()
	r := &recorder{
		rcpt: func(envelope.Recipient) *reply.Reply {
			return reply.New(550, "5.1.1", "x", "no\r\n250 yes\x00ü"+strings.Repeat("y", 1000))
		},
		mail: func(Mail) *reply.Reply { return reply.New(250, "2.1.0", "x", "Welcome") },
	}
	_, addr := serve(t, r, false, nil)
	c := dial(t, addr)
	c.hello()
	c.send("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n")
	c.want("250 2.1.0 Welcome\r\n")
	line := c.want("550 5.1.1 no??250 yes???yyy")
	if len(line) > 512 {
		t.Errorf("a reply of %d octets", len(line))
	}
	if got := r.allRefused(); !slices.Equal(got, []string{"RCPT c@d.test x"}) {
		t.Errorf("refused: %q", got)
	}
}

// TestUnknownCommandIsNotNamed: a peer that goes on with its message or its
// password after a refusal shows them to nobody.
func TestUnknownCommandIsNotNamed(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	_, addr := serve(t, r, false, nil)
	c := dial(t, addr)
	c.hello()
	c.send("c2VjcmV0cGFzc3dvcmQ=\r\n")
	c.want("500 5.5.1 ")
	if got := r.allRefused(); !slices.Equal(got, []string{"unknown-command"}) {
		t.Errorf("told of %q", got)
	}
}
