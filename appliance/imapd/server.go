package imapd

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

	"hauspost/appliance/accounts"
	"hauspost/store"
)

// ErrClosed is what Serve returns after Shutdown.
var ErrClosed = errors.New("the IMAP server was shut down")

// Server serves IMAP. Its methods are safe for many goroutines.
type Server struct {
	store    *store.Store
	accounts Accounts
	tls      *tls.Config
	opts     Options
	limits   Limits
	log      *slog.Logger
	now      func() time.Time
	push     pushQueue
	// whole bounds how many large messages are being searched at a time, places
	// how many are being sent.
	whole  chan struct{}
	places *places

	closing atomic.Bool
	// stressed tells that more than three quarters of all connections are taken.
	stressed atomic.Bool
	// ctx is that of every command; it ends when Shutdown loses patience.
	// stopping ends when Shutdown begins.
	ctx, stopping context.Context
	cancel, stop  context.CancelFunc

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	sessions  map[*session]struct{}
	accepted  uint64
	perAddr   map[netip.Addr]int
	perOwner  map[string]int
	running   sync.WaitGroup
}

// New makes a server.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		store: o.Store, accounts: o.Accounts, tls: o.TLS, opts: o,
		limits: o.Limits.withDefaults(), log: o.logger(), now: o.Now,
		whole:     make(chan struct{}, 2),
		places:    newPlaces(),
		listeners: map[net.Listener]struct{}{},
		sessions:  map[*session]struct{}{},
		perAddr:   map[netip.Addr]int{},
		perOwner:  map[string]int{},
	}
	s.push.init(s.limits.Pushers)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.stopping, s.stop = context.WithCancel(s.ctx)
	return s
}

// Serve accepts connections until ctx ends or Shutdown is called, and closes l.
// It returns ErrClosed then. With implicitTLS each connection begins with a
// handshake (port 993); Options.TLS must be there.
func (s *Server) Serve(ctx context.Context, l net.Listener, implicitTLS bool) error {
	defer l.Close()
	if implicitTLS && s.tls == nil {
		return errors.New("serving IMAP over TLS: no TLS configuration")
	}
	s.mu.Lock()
	if s.closing.Load() {
		s.mu.Unlock()
		return ErrClosed
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
	}()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for pause := time.Duration(0); ; {
		conn, err := l.Accept()
		if err == nil {
			pause = 0
			s.accept(conn, implicitTLS)
			continue
		}
		if s.closing.Load() || ctx.Err() != nil {
			return ErrClosed
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accepting IMAP connections: %w", err)
		}
		// Out of file descriptors, or a connection that is gone already.
		pause = min(pause+10*time.Millisecond, time.Second)
		s.log.Warn("imap cannot accept a connection", "error", err.Error())
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (s *Server) accept(conn net.Conn, implicitTLS bool) {
	ss := newSession(s, conn, implicitTLS)
	if refusal := s.register(ss); refusal != "" {
		s.log.Info("imap refuses a connection", "from", ss.remote.String(), "reason", refusal)
		if !implicitTLS {
			conn.SetWriteDeadline(time.Now().Add(time.Second))
			conn.Write([]byte("* BYE [UNAVAILABLE] " + refusal + "\r\n"))
		}
		conn.Close()
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetKeepAliveConfig(net.KeepAliveConfig{
			Enable: true, Idle: s.limits.KeepAlive, Interval: time.Minute, Count: 3,
		})
	}
	go func() {
		defer s.running.Done()
		ss.serve()
	}()
}

// block is what MaxPerAddress counts: the address, or its /64.
func block(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); a.Is6() {
		p, _ := a.Prefix(64)
		return p.Addr()
	}
	return a
}

// register counts a new session in, or says why not.
func (s *Server) register(ss *session) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := block(ss.remote)
	switch {
	case s.closing.Load():
		return "The server is shutting down"
	case s.perAddr[from] >= s.limits.MaxPerAddress:
		return "Too many connections from your address"
	case len(s.sessions) >= s.limits.MaxConnections && !s.makeRoom():
		return "Too many connections"
	}
	s.accepted++
	ss.number = s.accepted
	s.sessions[ss] = struct{}{}
	s.perAddr[from]++
	s.running.Add(1)
	s.feelStress()
	return ""
}

// maxLeaving is how many sessions may be on their way out to make room.
const maxLeaving = 50

// makeRoom ends the oldest of the sessions that did not log in: whoever opens
// connections and says nothing must not keep people out. Until its goroutine
// ends there is one more.
func (s *Server) makeRoom() bool {
	var oldest *session
	leaving := 0
	for ss := range s.sessions {
		switch {
		case ss.evicted.Load():
			leaving++
		case ss.account.ID == "" && (oldest == nil || ss.number < oldest.number):
			oldest = ss
		}
	}
	if len(s.sessions)-leaving < s.limits.MaxConnections && leaving <= maxLeaving {
		return true
	}
	if oldest == nil || leaving >= maxLeaving {
		return false
	}
	oldest.evict()
	return true
}

// feelStress notes whether few connections are left, and wakes those that did
// not log in when their time becomes shorter by that.
func (s *Server) feelStress() {
	few := len(s.sessions) > s.limits.MaxConnections*3/4
	if s.stressed.Swap(few) == few || !few {
		return
	}
	for ss := range s.sessions {
		if ss.account.ID == "" {
			ss.poke()
		}
	}
}

func (s *Server) unregister(ss *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, ss)
	s.feelStress()
	decrement(s.perAddr, block(ss.remote))
	if ss.account.ID != "" {
		decrement(s.perOwner, ss.account.ID)
	}
}

func decrement[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}

// admit counts a session in for its person. Where there are too many, silent
// ones make room: their clients are mostly gone without a word.
func (s *Server) admit(ss *session, account accounts.Account) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner := account.ID
	if s.perOwner[owner] >= s.limits.MaxPerAccount {
		var stale *session
		before := s.now().Add(-s.limits.StaleAfter).Unix()
		for other := range s.sessions {
			if other.account.ID == owner && !other.evicted.Load() && other.lastActive.Load() <= before &&
				(stale == nil || other.lastActive.Load() < stale.lastActive.Load()) {
				stale = other
			}
		}
		if stale == nil {
			return false
		}
		// It is counted out when its goroutine ends; until then there is one more.
		stale.evicted.Store(true)
		stale.poke()
	}
	s.perOwner[owner]++
	ss.account = account
	return true
}

// Shutdown stops accepting, says BYE to the sessions that wait, ends handshakes,
// lets running commands end as long as their clients go on, and closes what is
// left when ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.closing.Store(true)
	s.stop()
	s.mu.Lock()
	for l := range s.listeners {
		l.Close()
	}
	for ss := range s.sessions {
		ss.hurry()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	defer s.push.stop()
	defer s.cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	left := len(s.sessions)
	for ss := range s.sessions {
		ss.kill()
	}
	s.mu.Unlock()
	<-done
	return fmt.Errorf("closing %d IMAP sessions in the middle of a command: %w", left, ctx.Err())
}
