package imapd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"hauspost/appliance/accounts"
	"hauspost/appliance/imapd/wire"
)

// state is where a session is in RFC 9051, section 3. The states are bits, so
// that a command can name several.
type state uint8

const (
	anonymous state = 1 << iota
	authenticated
	selectedState
	loggedOut

	anyState = anonymous | authenticated | selectedState
	withUser = authenticated | selectedState
)

// session is one connection. Its goroutine holds mu but while it waits for the
// first octet of a command; pushers take it while the client is on IDLE.
type session struct {
	srv    *Server
	conn   net.Conn
	remote netip.Addr
	// raw is the connection below TLS, which stays the same.
	raw net.Conn
	// number grows with each connection.
	number uint64

	mu    sync.Mutex
	rd    wire.Reader
	w     wire.Writer
	state state
	// implicit asks for a handshake at the beginning; secure tells that there
	// is TLS, plaintextOK that a login may do without.
	implicit, secure, plaintextOK bool

	account accounts.Account
	client  string
	// What the client enabled.
	condstore, utf8Accept, rev2 bool

	errors, failures int
	// greeted is from when on an anonymous connection has time to log in.
	greeted time.Time
	// timed tells that until, the read deadline of the running command, is set.
	timed      bool
	until      time.Time
	writeLimit time.Duration
	// readErr is why nothing more can be read.
	readErr error

	box *selected
	// saved is the result of SEARCH RETURN (SAVE), as UIDs.
	saved   []uint32
	idleTag string

	idling     atomic.Bool
	waiting    atomic.Bool
	reading    atomic.Bool // in the middle of a command
	evicted    atomic.Bool
	pushing    atomic.Int32
	lastActive atomic.Int64
	shown      atomic.Pointer[Client]
}

func newSession(srv *Server, conn net.Conn, implicitTLS bool) *session {
	s := &session{srv: srv, raw: conn, implicit: implicitTLS, state: anonymous, writeLimit: srv.limits.WriteTimeout}
	if a, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		s.remote = a.Addr().Unmap()
	}
	s.plaintextOK = srv.opts.AllowPlaintext || srv.opts.PlaintextOnLoopback && s.remote.IsLoopback()
	s.attach(conn)
	s.lastActive.Store(srv.now().Unix())
	return s
}

// attach makes conn the connection of the session. What was read from the one
// before is forgotten.
func (s *session) attach(conn net.Conn) {
	s.conn = conn
	s.rd.Reset((*link)(s))
	s.w.Dst = (*link)(s)
}

// link is the session as the other end of its reader and writer: it keeps the
// time limits, and sends what was answered before it waits for more.
type link session

// Read reads from the connection within the time that the command has left.
func (l *link) Read(p []byte) (int, error) {
	s := (*session)(l)
	// While the session waits, it has sent everything and the writer is for the
	// pushers.
	if !s.waiting.Load() {
		if err := s.w.Flush(); err != nil {
			s.readErr = err
			return 0, err
		}
		if !s.timed {
			s.allow(s.srv.limits.CommandTimeout)
		}
		s.reading.Store(true)
		defer s.reading.Store(false)
		if s.srv.closing.Load() {
			s.hurryRead()
		}
		if s.state == anonymous && s.evicted.Load() {
			s.readErr = os.ErrDeadlineExceeded
			return 0, s.readErr
		}
	}
	n, err := s.conn.Read(p)
	if n == 0 && err != nil {
		s.readErr = err
	}
	return n, err
}

// Write writes to the connection.
func (l *link) Write(p []byte) (int, error) {
	s := (*session)(l)
	s.writeDeadline()
	return s.conn.Write(p)
}

// allow gives the client d to send the rest of what it began.
func (s *session) allow(d time.Duration) {
	s.until = time.Now().Add(d)
	if by := s.loginBy(); s.state == anonymous && s.until.After(by) {
		s.until = by
	}
	s.conn.SetReadDeadline(s.until)
	s.timed = true
}

// loginBy is when an anonymous connection ends.
func (s *session) loginBy() time.Time {
	d := s.srv.limits.LoginTimeout
	if s.srv.stressed.Load() {
		d = min(d, s.srv.limits.StressTimeout)
	}
	return s.greeted.Add(d)
}

func (s *session) serve() {
	defer s.end()
	if s.implicit && !s.handshake() {
		return
	}
	s.mu.Lock()
	s.greeted = time.Now()
	s.w.Grab()
	s.greet()
	s.w.Flush()
	s.w.Release()
	s.mu.Unlock()
	for {
		err := s.wait()
		s.mu.Lock()
		again := err == nil && s.step()
		if err != nil {
			s.farewell(err)
		}
		s.mu.Unlock()
		if !again {
			return
		}
		// News that came while this goroutine held the lock was left to it.
		s.srv.push.notify(s)
	}
}

func (s *session) handshake() bool {
	limit := s.srv.limits.HandshakeTimeout
	if s.srv.stressed.Load() {
		limit = min(limit, s.srv.limits.StressTimeout)
	}
	ctx, cancel := context.WithTimeout(s.srv.stopping, limit)
	defer cancel()
	t := tls.Server(s.conn, s.srv.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		s.srv.log.Info("imap handshake failed", "from", s.remote.String(), "error", err.Error())
		return false
	}
	s.attach(t)
	s.secure = true
	return true
}

// wait blocks until the client sends something. The order of waiting, deadline
// and the look at closing is that of poke the other way round.
func (s *session) wait() error {
	if s.rd.Buffered() > 0 {
		return nil
	}
	s.waiting.Store(true)
	defer s.waiting.Store(false)
	for {
		until := time.Now().Add(s.srv.limits.Idle)
		if s.state == anonymous {
			until = s.loginBy()
		}
		s.conn.SetReadDeadline(until)
		if s.srv.closing.Load() || s.evicted.Load() {
			return os.ErrDeadlineExceeded
		}
		err := s.rd.Wait()
		if !errors.Is(err, os.ErrDeadlineExceeded) || s.srv.closing.Load() || s.evicted.Load() ||
			s.state != anonymous || !time.Now().Before(s.loginBy()) {
			return err
		}
		// It was woken to look at its deadline again.
	}
}

// poke wakes the session if it waits, so that it looks at closing, evicted and
// its deadline. It tells whether the session waits.
func (s *session) poke() bool {
	if !s.waiting.Load() {
		return false
	}
	s.raw.SetReadDeadline(time.Unix(1, 0))
	return true
}

const (
	// stopRead is how long a client may be silent in the middle of a command
	// while the server stops, stopWrite how long it may take for 64 KB.
	stopRead  = 2 * time.Second
	stopWrite = 5 * time.Second
)

// hurry is poke when the server stops: it also ends the patience with a client
// in the middle of a command, or one that does not read.
func (s *session) hurry() {
	s.poke()
	if s.reading.Load() {
		s.raw.SetReadDeadline(time.Now().Add(stopRead))
	}
	s.raw.SetWriteDeadline(time.Now().Add(stopWrite))
}

// hurryRead is hurry for the session's own next read.
func (s *session) hurryRead() {
	soon := time.Now().Add(stopRead)
	if s.until.Before(soon) {
		soon = s.until
	}
	s.conn.SetReadDeadline(soon)
}

// lastWord is how long a session that is to make room has to come to its wait,
// where it tells the client.
const lastWord = 100 * time.Millisecond

// evict makes the session end, with a word to a client that can hear it.
func (s *session) evict() {
	s.evicted.Store(true)
	if !s.poke() {
		time.AfterFunc(lastWord, s.kill)
	}
}

// kill closes the connection under the session's hands.
func (s *session) kill() { s.raw.Close() }

// farewell says why the connection ends, as far as the client can hear it.
func (s *session) farewell(cause error) {
	if !errors.Is(cause, os.ErrDeadlineExceeded) {
		return
	}
	s.idling.Store(false)
	s.w.Grab()
	switch {
	case s.srv.closing.Load():
		s.bye("", "The server is shutting down")
	case s.evicted.Load():
		s.bye("LIMIT", "Too many connections; this one makes room")
	default:
		s.bye("", "Closed for being silent too long")
	}
	s.writeLimit = min(s.writeLimit, 2*time.Second)
	s.w.Flush()
}

func (s *session) bye(code, text string) { s.untagged("BYE", code, text) }

// end gives back everything that the session holds.
func (s *session) end() {
	s.mu.Lock()
	s.idling.Store(false)
	s.unselect()
	conn := s.conn
	s.mu.Unlock()
	conn.Close()
	s.srv.unregister(s)
	if s.account.ID != "" {
		s.log(slog.LevelDebug, "imap session ended")
	}
}

// linger lets the client read the last words though it still sends: closing a
// connection with unread data would take them away from it.
func (s *session) linger() {
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
	s.conn.SetReadDeadline(time.Now().Add(time.Second))
	defer context.AfterFunc(s.srv.stopping, func() { s.raw.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) })()
	var sink [2048]byte
	for range 128 {
		if _, err := s.conn.Read(sink[:]); err != nil {
			return
		}
	}
}

func (s *session) log(level slog.Level, text string, args ...any) {
	if !s.srv.log.Enabled(s.srv.ctx, level) {
		return
	}
	args = append(args, "from", s.remote.String())
	if s.account.ID != "" {
		args = append(args, "account", s.account.Address)
	}
	s.srv.log.Log(s.srv.ctx, level, text, args...)
}

func (s *session) logPanic(command string, r any) {
	s.log(slog.LevelError, "imap command failed by a fault in the program", "command", command,
		"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
}

// show publishes what Stats tells of the session.
func (s *session) show() {
	if s.account.ID == "" {
		return
	}
	c := &Client{
		Account: s.account.Address, Address: s.remote.String(), Name: s.client, TLS: s.secure,
		Since: s.srv.now().UTC(),
	}
	if old := s.shown.Load(); old != nil {
		c.Since = old.Since
	}
	if s.box != nil {
		c.Mailbox = s.box.name
	}
	s.shown.Store(c)
}

// utf8Names tells whether the client takes UTF-8 in quoted strings.
func (s *session) utf8Names() bool { return s.utf8Accept || s.rev2 }

// untagged writes an untagged status response.
func (s *session) untagged(kind, code, text string) {
	s.w.B = append(s.w.B, "* "...)
	s.status(kind, code, text)
}

func (s *session) status(kind, code, text string) {
	b := append(s.w.B, kind...)
	b = append(b, ' ')
	if code != "" {
		b = append(b, '[')
		b = wire.AppendText(b, code)
		b = append(b, "] "...)
	}
	if text == "" {
		text = kind
	}
	s.w.B = wire.AppendText(b, text)
	s.w.End()
}
