package esmtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"hauspost/appliance/reply"
)

// Options make a Server.
type Options struct {
	// Name is the box's true host name, for the greeting and EHLO.
	Name string
	// Backend is the policy.
	Backend Backend
	// TLS is needed for STARTTLS and for listeners with implicit TLS; nil
	// means that neither is offered.
	TLS    *tls.Config
	Limits Limits
	// AllowPipelining lets a peer send more commands where RFC 2920 and RFC
	// 5321 tell it to wait for an answer: after EHLO, DATA, VRFY, NOOP and
	// before the greeting. By default such a peer is refused. Bytes after
	// STARTTLS are refused always.
	AllowPipelining bool
	// DSN announces delivery status notifications and takes their parameters
	// (RFC 3461). Who does that owes the sender the reports.
	DSN bool
	// Logger is for faults of connections; nil is silent.
	Logger *slog.Logger
	// Now is the clock for rates; nil means time.Now. Time-outs of sockets
	// follow the kernel's time.
	Now func() time.Time
	// Pause waits for d or the end of ctx (tarpit, greeting); nil means a
	// timer.
	Pause func(ctx context.Context, d time.Duration)
}

// Server runs SMTP listeners with one Backend.
type Server struct {
	opt  Options
	gate *gate

	closing atomic.Bool
	ctx     context.Context // of the connections, ends when they must
	cancel  context.CancelFunc
	awake   context.Context // ends when Shutdown begins: no more pauses
	hurry   context.CancelFunc

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*Conn]struct{}
	refused   map[string]uint64
	accepted  uint64
	done      chan struct{} // closed when the last connection is gone after closing
}

// Stats counts connections since the start.
type Stats struct {
	// Active connections now, and Accepted ones in all.
	Active   int
	Accepted uint64
	// Refused connections by the name of the reason.
	Refused map[string]uint64
}

// New makes a Server. It panics without a Name or Backend.
func New(o Options) *Server {
	if o.Name == "" || o.Backend == nil {
		panic("esmtp: a server needs a name and a backend")
	}
	o.Limits = o.Limits.WithDefaults()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Pause == nil {
		o.Pause = pause
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		opt:       o,
		listeners: make(map[net.Listener]struct{}),
		conns:     make(map[*Conn]struct{}),
		refused:   make(map[string]uint64),
		done:      make(chan struct{}),
	}
	s.gate = newGate(&s.opt.Limits)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.awake, s.hurry = context.WithCancel(s.ctx)
	return s
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Serve takes connections from ln until ctx ends or Shutdown is called (then it
// returns nil) or ln fails for good. It closes ln. The connections themselves
// go on until Shutdown. With implicitTLS the handshake comes first (465).
func (s *Server) Serve(ctx context.Context, ln net.Listener, implicitTLS bool) error {
	if implicitTLS && s.opt.TLS == nil {
		return errors.New("serving SMTP with implicit TLS: there is no TLS configuration")
	}
	if !s.listen(ln) {
		return nil
	}
	defer s.unlisten(ln)
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for wait := time.Duration(0); ; {
		nc, err := ln.Accept()
		if err == nil {
			wait = 0
			s.admit(nc, implicitTLS)
			continue
		}
		if s.closing.Load() || ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("serving SMTP: %w", err)
		}
		// Out of file descriptors, or a connection that was gone already:
		// others may still come.
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		s.opt.Logger.Warn("accepting an SMTP connection failed", "error", err, "retry_in", wait)
		s.opt.Pause(ctx, wait)
	}
}

func (s *Server) listen(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		ln.Close()
		return false
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) unlisten(ln net.Listener) {
	ln.Close()
	s.mu.Lock()
	delete(s.listeners, ln)
	s.mu.Unlock()
}

// admit starts a connection, or sends it away within the accept loop: the few
// octets fit the socket's buffer, so this does not block.
func (s *Server) admit(nc net.Conn, implicitTLS bool) {
	remote := addrPort(nc.RemoteAddr())
	r := s.gate.enter(s.opt.Now(), remote.Addr())
	if r == nil {
		c := newConn(s, nc, remote, implicitTLS)
		if s.add(c) {
			go c.run()
			return
		}
		c.cancel()
		s.gate.leave(remote.Addr())
		r = reply.ShuttingDown
	}
	s.count(r)
	if !implicitTLS {
		var o output
		o.line(r.Code, r.Enhanced, r.Text, true)
		if nc.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
			nc.Write(o.buf)
		}
	}
	nc.Close()
}

func (s *Server) add(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.conns[c] = struct{}{}
	s.accepted++
	return true
}

func (s *Server) remove(c *Conn) {
	s.gate.leave(c.remote.Addr())
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.closing.Load() && len(s.conns) == 0 {
		close(s.done)
	}
}

func (s *Server) count(r *reply.Reply) {
	s.mu.Lock()
	s.refused[r.Name]++
	s.mu.Unlock()
}

// Shutdown stops the listeners, says 421 to connections without a transaction,
// lets the others finish theirs as long as they send their commands promptly,
// and closes what is left when ctx ends; then it returns ctx's error. It returns when every connection is over.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.closing.Swap(true) {
		s.mu.Unlock()
		<-s.done
		return nil
	}
	s.hurry()
	for ln := range s.listeners {
		ln.Close()
	}
	for c := range s.conns {
		c.wake()
	}
	if len(s.conns) == 0 {
		close(s.done)
	}
	s.mu.Unlock()
	defer s.cancel()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	for c := range s.conns {
		c.raw.Close()
	}
	s.mu.Unlock()
	<-s.done
	return fmt.Errorf("stopping SMTP: %w", ctx.Err())
}

// Stats gives the counts of the moment.
func (s *Server) Stats() Stats {
	st := Stats{Active: s.gate.active(), Refused: make(map[string]uint64)}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Accepted = s.accepted
	for name, n := range s.refused {
		st.Refused[name] = n
	}
	return st
}

// addrPort gives the address of a TCP peer; of other networks (a Unix socket,
// a pipe) the zero AddrPort.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
