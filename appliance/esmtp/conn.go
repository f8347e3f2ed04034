package esmtp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"hauspost/appliance/reply"
)

// Conn is one SMTP connection. A Session may call its exported methods from
// within the session's own methods.
type Conn struct {
	srv    *Server
	limits *Limits
	raw    net.Conn // the socket
	nc     net.Conn // the socket, or TLS over it
	remote netip.AddrPort
	local  netip.AddrPort
	ctx    context.Context
	cancel context.CancelFunc

	in           input
	out          output
	lineDeadline time.Time
	broken       error // why nothing can be written any more

	implicitTLS bool
	tls         *tls.ConnectionState
	session     Session

	// The state of the protocol.
	helo     string
	extended bool // EHLO, not HELO
	authed   bool
	mail     bool // a MAIL was accepted
	utf8     bool // with SMTPUTF8
	open     bool // Session.Mail was called and Session.Reset was not
	rcpts    int
	content  bool // content has begun by BDAT
	transfer transfer

	// Budgets that are used up.
	errors, badRcpts, badAuths, soft, empties, mails int

	done   bool  // the connection is to end
	linger bool  // the peer may be sending still
	cause  Cause // why it ends

	mu      sync.Mutex
	waiting bool // for a command
	midway  bool // within a transaction
}

func newConn(s *Server, nc net.Conn, remote netip.AddrPort, implicitTLS bool) *Conn {
	c := &Conn{
		srv: s, limits: &s.opt.Limits, raw: nc, nc: nc, implicitTLS: implicitTLS,
		remote: remote, local: addrPort(nc.LocalAddr()), cause: Gone,
	}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	c.out.reset()
	c.in.buf = c.in.small[:]
	return c
}

// Remote is the address and port of the peer.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// Local is the address and port at which the peer was received.
func (c *Conn) Local() netip.AddrPort { return c.local }

// TLS is the state of TLS, nil without it.
func (c *Conn) TLS() *tls.ConnectionState { return c.tls }

// Helo is what the peer called itself, empty before it did.
func (c *Conn) Helo() string { return c.helo }

// Authenticated tells whether the peer was told 235.
func (c *Conn) Authenticated() bool { return c.authed }

// Protocol is the "with" keyword of RFC 3848 and RFC 6531, section 4.3.
func (c *Conn) Protocol(smtputf8 bool) string {
	word := "SMTP"
	if smtputf8 {
		word = "UTF8SMTP"
	} else if c.extended {
		word = "ESMTP"
	}
	if c.tls != nil && c.extended {
		word += "S"
	}
	if c.authed {
		word += "A"
	}
	return word
}

// TLSText says version and cipher suite, such as "TLS1.3
// TLS_AES_128_GCM_SHA256"; empty without TLS.
func (c *Conn) TLSText() string {
	if c.tls == nil {
		return ""
	}
	version := strings.ReplaceAll(tls.VersionName(c.tls.Version), " ", "")
	return version + " " + tls.CipherSuiteName(c.tls.CipherSuite)
}

func (c *Conn) deadline(d time.Duration) time.Time { return time.Now().Add(d) }

// run is the life of the connection.
func (c *Conn) run() {
	defer c.finish()
	defer func() {
		if p := recover(); p != nil {
			c.srv.opt.Logger.Error("an SMTP session panicked",
				"peer", c.remote, "panic", p, "stack", string(debug.Stack()))
			c.say(errPanic)
			c.stop(Closed)
		}
	}()
	if c.implicitTLS && !c.handshake() {
		return
	}
	session, r := c.srv.opt.Backend.NewSession(c.ctx, c)
	if r != nil {
		c.srv.count(r)
		c.say(r)
		c.stop(Closed)
		return
	}
	c.session = session
	if !c.greet() {
		return
	}
	for !c.done {
		c.step()
	}
}

// finish ends the session and the socket. The session may have panicked: each
// of its methods is called on its own.
func (c *Conn) finish() {
	c.flush()
	c.guard(func() { c.transfer.discard() })
	c.guard(func() { c.endTransaction(c.cause) })
	if c.session != nil {
		c.guard(c.session.Close)
	}
	c.in.release()
	if c.linger && c.broken == nil {
		c.drain()
	}
	c.nc.Close()
	c.cancel()
	c.srv.remove(c)
}

func (c *Conn) guard(f func()) {
	defer func() {
		if p := recover(); p != nil {
			c.srv.opt.Logger.Error("an SMTP session panicked as it ended",
				"peer", c.remote, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	f()
}

// drain reads what the peer has sent already, within narrow bounds: closing a
// socket with unread input would make the network drop our last answer. When
// the server stops only what is there already is read: nobody waits for peers
// that have nothing to say.
func (c *Conn) drain() {
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		if c.raw.SetReadDeadline(c.deadline(time.Second)) == nil {
			defer c.whenStopping(func() { c.raw.SetReadDeadline(c.deadline(drainStopping)) })()
			io.CopyN(io.Discard, c.raw, 64<<10)
		}
	}
}

const (
	// drainStopping is drain's patience while the server stops.
	drainStopping = 20 * time.Millisecond
	// commandStopping is how long a peer within a transaction may take for its
	// next command while the server stops.
	commandStopping = 2 * time.Second
)

// whenStopping has f called when Shutdown begins, at once if it has begun.
func (c *Conn) whenStopping(f func()) (forget func() bool) {
	return context.AfterFunc(c.srv.awake, f)
}

// stop ends the connection once the output is written.
func (c *Conn) stop(cause Cause) {
	c.done, c.linger, c.cause = true, cause != Gone, cause
}

// greet sends the greeting, unless the peer talks first.
func (c *Conn) greet() bool {
	if d := c.limits.GreetPause; d > 0 && c.talksWithin(d) && !c.srv.opt.AllowPipelining {
		c.refuse("CONNECT", "", errEarlyTalker)
		c.stop(Closed)
	}
	if c.done {
		return false
	}
	c.out.line(220, "", c.srv.opt.Name+" ESMTP", true)
	return true
}

// talksWithin tells whether the peer sends something within d.
func (c *Conn) talksWithin(d time.Duration) bool {
	c.in.grow()
	c.raw.SetReadDeadline(c.deadline(d))
	defer c.whenStopping(func() { c.raw.SetReadDeadline(time.Unix(1, 0)) })()
	n, err := c.nc.Read(c.in.buf[c.in.w:])
	c.in.w += n
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.broken = err
		c.stop(Gone)
	}
	return n > 0
}

// step reads one command and runs it.
func (c *Conn) step() {
	limit := longLine
	if _, ok := c.session.(Authenticator); ok {
		limit = authLine
	}
	line, err := c.readLine(limit)
	switch {
	case err == nil:
		c.command(line)
	case errors.Is(err, errTooLong):
		c.refuse("", "", errLongLine)
	case errors.Is(err, errBareLF):
		c.refuseLine(line, errBareLineFeed)
	default:
		c.lost(err)
	}
}

// refuseLine refuses a malformed command line. After BDAT the octets of a chunk
// may follow, and as nobody knows how many, the connection ends.
func (c *Conn) refuseLine(line []byte, r *reply.Reply) {
	c.refuse("", "", r)
	if len(line) >= 4 && strings.EqualFold(string(line[:4]), "BDAT") {
		c.stop(Closed)
	}
}

// lost ends the connection for an error of reading.
func (c *Conn) lost(err error) {
	switch {
	case errors.Is(err, errStopping):
		c.refuse("", "", reply.ShuttingDown)
		c.stop(Closed)
	case errors.Is(err, errEndless):
		c.refuse("", "", errLongLine)
		c.stop(Closed)
	case errors.Is(err, errTooSlow):
		c.refuse(string(c.transfer.via), "", errSlow)
		c.stop(TimedOut)
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.refuse("", "", errIdle)
		c.stop(TimedOut)
	default:
		c.broken = err
		c.stop(Gone)
	}
}

var (
	errStopping = errors.New("the server is stopping")
	errTooSlow  = errors.New("the peer is too slow")
)

// fillCommand writes what is to be said and waits for more of a command line.
func (c *Conn) fillCommand() error {
	if err := c.flush(); err != nil {
		return err
	}
	c.in.grow()
	c.mu.Lock()
	c.waiting, c.midway = true, c.open
	err := c.raw.SetReadDeadline(c.lineDeadline)
	if err == nil && c.srv.closing.Load() {
		err = c.hurry()
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	n, err := c.nc.Read(c.in.buf[c.in.w:])
	c.in.w += n
	c.mu.Lock()
	c.waiting = false
	c.mu.Unlock()
	if n > 0 {
		return nil
	}
	if err != nil && c.srv.closing.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		return errStopping
	}
	return err
}

// wake makes a connection that waits for a command see that the server is
// stopping.
func (c *Conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting {
		c.hurry()
	}
}

// hurry ends the wait for a command: at once outside a transaction, and soon
// within one, whose peer gets the chance to go on with it.
func (c *Conn) hurry() error {
	deadline := time.Unix(1, 0)
	if c.midway {
		deadline = c.deadline(commandStopping)
		if c.lineDeadline.Before(deadline) {
			deadline = c.lineDeadline
		}
	}
	return c.raw.SetReadDeadline(deadline)
}

// endTransaction forgets the transaction and tells the session.
func (c *Conn) endTransaction(cause Cause) {
	c.mail, c.utf8, c.content, c.rcpts = false, false, false, 0
	c.transfer.discard()
	c.transfer = transfer{}
	if c.open {
		c.open = false
		c.session.Reset(c.ctx, cause)
	}
}

// refuse answers with a 4yz or 5yz, counts it against the budgets and makes a
// peer that has used them up wait, or go.
func (c *Conn) refuse(verb, argument string, r *reply.Reply) {
	r = c.charge(verb, r)
	if c.session != nil {
		c.session.Refused(c.ctx, verb, argument, r)
	}
	if over := c.errors + c.badRcpts + c.badAuths - c.limits.TarpitAfter; over > 0 && r.Code >= 500 {
		if d := min(time.Duration(over)*c.limits.TarpitStep, c.limits.TarpitMax); d > 0 {
			c.srv.opt.Pause(c.srv.awake, d)
		}
	}
	c.say(r)
	if r.Code == 421 {
		c.stop(Closed)
	}
}

// maxSoft bounds the temporary refusals of one connection.
const maxSoft = 1000

// charge counts r and replaces it where a budget is used up.
func (c *Conn) charge(verb string, r *reply.Reply) *reply.Reply {
	switch {
	case r.Code == 421:
	case verb == "AUTH":
		if c.badAuths++; c.badAuths >= c.limits.AuthFailures {
			return errTooManyAuths.Because(r)
		}
	case r.Code < 500:
		if c.soft++; c.soft >= maxSoft {
			return errTooManyErrors
		}
	case verb == "RCPT" && c.mail:
		if c.badRcpts++; c.badRcpts >= c.limits.BadRecipients {
			return errTooManyBad
		}
	default:
		if c.errors++; c.errors >= c.limits.Errors {
			return errTooManyErrors
		}
	}
	return r
}
