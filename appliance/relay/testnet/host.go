package testnet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Behaviour is how a host behaves. The zero Behaviour is a good one with
// PIPELINING, SIZE, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES and STARTTLS.
type Behaviour struct {
	// Steps change what happens at a verb: "connect" (the greeting), "EHLO",
	// "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BDAT", "content" (the
	// answer to the whole message), "RSET", "QUIT".
	Steps map[string]Step
	// Without and With change the lines of EHLO: "PIPELINING", "CHUNKING",
	// "DSN", "REQUIRETLS", "LIMITS RCPTMAX=2" …
	Without, With []string
	// MaxSize is that of SIZE; 0 means 50 MB.
	MaxSize int64
	// Greylist answers the first RCPT for each pair of sender and recipient
	// with 450 4.2.0.
	Greylist bool
	// Recipients are answers to RCPT in place of 250, by address.
	Recipients map[string]string
	// RecipientLimit refuses further ones with 452 4.5.3; 0 means none.
	RecipientLimit int
	// Users and their passwords; with any, AUTH is asked for before MAIL.
	// Mechanisms default to PLAIN and LOGIN.
	Users      map[string]string
	Mechanisms []string
	// Certificate is the one shown. MaxTLS is the highest version, 0 any.
	Certificate Certificate
	MaxTLS      uint16
	// Implicit is TLS from the start. BadHandshake answers the start of the
	// handshake with text.
	Implicit, BadHandshake bool
	// DropAfter so many octets of content the connection breaks off; 0 never.
	DropAfter int
	// Void counts messages and keeps nothing of them.
	Void bool
}

// Step is what happens in place of the usual. The zero Step changes nothing.
type Step struct {
	// Reply is the answer, with its code; CRLF is added where it has none. A
	// command is carried out where its Reply begins with 2 or 3.
	Reply string
	// Write is like Reply for what is no text: it may write without end, and
	// stops when it gets an error. The command is not carried out.
	Write func(w io.Writer)
	// Silent never answers. Drop breaks the connection off.
	Silent, Drop bool
	// Keep has a message kept before Silent or Drop.
	Keep bool
	// Times is how often this happens before the host is good again; 0 always.
	Times int
	// Before is called before anything else: it may wait until ctx ends with
	// the host, as a tarpit does.
	Before func(ctx context.Context)
}

// Rcpt is one accepted recipient.
type Rcpt struct{ Address, Params string }

// Message is one accepted message.
type Message struct {
	// Connection counts those to the host from 1; HELO is the client's name.
	Connection int
	HELO       string
	// From and To are as they stood between the angle brackets, Params what
	// came after them.
	From, FromParams string
	To               []Rcpt
	// Content is as it was before dots were added. BDAT tells how it came.
	Content string
	BDAT    bool
	// TLS is the version, 0 without; ServerName that of SNI; User who signed
	// in.
	TLS        uint16
	ServerName string
	User       string
}

// maxSessions is for how many connections the dialogue is kept.
const maxSessions = 100

// Host is one mail host. Its methods are safe for many goroutines.
type Host struct {
	net       *Net
	name      string
	four, six string

	mu         sync.Mutex
	b          Behaviour
	certs      map[Certificate]*tls.Certificate
	used       map[string]int // Steps, by verb
	seen       map[string]bool
	messages   []Message
	count      int
	changed    chan struct{} // closed when a message comes
	conns      int
	open       map[net.Conn]bool
	dialogues  []*dialogue
	violations []string
	listeners  []net.Listener
	ctx        context.Context
	cancel     context.CancelFunc
	running    sync.WaitGroup
}

func newHost(n *Net, name string, b Behaviour) *Host {
	return &Host{net: n, name: name, b: b, certs: map[Certificate]*tls.Certificate{},
		used: map[string]int{}, seen: map[string]bool{}, changed: make(chan struct{}), open: map[net.Conn]bool{}}
}

// Name is the host's name in the DNS.
func (h *Host) Name() string { return h.name }

// Addr is where it listens, as "127.0.0.3:2525".
func (h *Host) Addr() string {
	ip := h.four
	if ip == "" {
		ip = h.six
	}
	return net.JoinHostPort(ip, strconv.Itoa(h.net.port))
}

// listen starts to serve.
func (h *Host) listen() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ctx, h.cancel = context.WithCancel(context.Background())
	for _, ip := range []string{h.four, h.six} {
		if ip == "" {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(h.net.port)))
		if err != nil {
			return fmt.Errorf("starting the host %s: %w", h.name, err)
		}
		h.listeners = append(h.listeners, l)
		h.running.Go(func() { h.accept(l) })
	}
	return nil
}

func (h *Host) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		h.mu.Lock()
		if h.ctx.Err() != nil {
			h.mu.Unlock()
			conn.Close()
			return
		}
		h.conns++
		s := &session{h: h, ctx: h.ctx, conn: conn, number: h.conns, log: &dialogue{}}
		if len(h.dialogues) < maxSessions {
			h.dialogues = append(h.dialogues, s.log)
		}
		h.open[conn] = true
		h.running.Go(s.serve)
		h.mu.Unlock()
	}
}

// Stop breaks all connections off and refuses further ones, until Restart.
func (h *Host) Stop() {
	h.mu.Lock()
	h.cancel()
	for _, l := range h.listeners {
		l.Close()
	}
	h.listeners = nil
	for c := range h.open {
		c.Close()
	}
	h.mu.Unlock()
	h.running.Wait()
}

// Restart serves again after Stop.
func (h *Host) Restart() error { return h.listen() }

// DropIdle breaks all open connections off.
func (h *Host) DropIdle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.open {
		c.Close()
	}
}

// Set changes the behaviour, also of connections that are open, from their next
// command on. Steps with Times begin anew.
func (h *Host) Set(b Behaviour) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.b, h.used = b, map[string]int{}
}

func (h *Host) behaviour() Behaviour {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b
}

// step gives what happens at a verb, and counts it.
func (h *Host) step(verb string) Step {
	h.mu.Lock()
	defer h.mu.Unlock()
	st, ok := h.b.Steps[verb]
	if !ok || st.Times > 0 && h.used[verb] >= st.Times {
		return Step{}
	}
	h.used[verb]++
	return st
}

// certificate gives the one to show.
func (h *Host) certificate() (*tls.Certificate, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kind := h.b.Certificate
	if h.certs[kind] == nil {
		cert, err := h.net.ca.issue(h.name, kind)
		if err != nil {
			return nil, err
		}
		h.certs[kind] = cert
	}
	return h.certs[kind], nil
}

// firstTime tells whether a pair was never seen, and notes it.
func (h *Host) firstTime(pair string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := !h.seen[pair]
	h.seen[pair] = true
	return first
}

func (h *Host) keep(m Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.b.Void {
		h.messages = append(h.messages, m)
	}
	h.count++
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *Host) violate(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.violations) < 20 {
		h.violations = append(h.violations, fmt.Sprintf(format, args...))
	}
}

// Messages are those that were accepted, in their order.
func (h *Host) Messages() []Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.messages)
}

// Count is how many messages were accepted.
func (h *Host) Count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// Connections is how many there were.
func (h *Host) Connections() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conns
}

// Open is how many connections there are now.
func (h *Host) Open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open)
}

// Violations are what clients did against the protocol.
func (h *Host) Violations() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.violations)
}

// Dialogues are the first hundred connections as they were seen here: lines
// that begin with "C: ", "S: " or "-- ".
func (h *Host) Dialogues() []string {
	h.mu.Lock()
	logs := slices.Clone(h.dialogues)
	h.mu.Unlock()
	var out []string
	for _, d := range logs {
		out = append(out, d.String())
	}
	return out
}

// ErrFewer is wrapped by the error of Wait.
var ErrFewer = errors.New("fewer messages than expected")

// Wait waits until n messages were accepted, and gives them.
func (h *Host) Wait(ctx context.Context, n int) ([]Message, error) {
	for {
		h.mu.Lock()
		count, changed := h.count, h.changed
		h.mu.Unlock()
		if count >= n {
			return h.Messages(), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return h.Messages(), fmt.Errorf("%w at %s: %d of %d", ErrFewer, h.name, count, n)
		}
	}
}

// dialogue is what was said on one connection.
type dialogue struct {
	mu    sync.Mutex
	lines []string
}

// maxDialogue is how many lines of one connection are kept.
const maxDialogue = 500

func (d *dialogue) add(who, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for line := range strings.SplitSeq(strings.TrimRight(text, "\r\n"), "\n") {
		if len(d.lines) < maxDialogue {
			d.lines = append(d.lines, who+" "+strings.TrimRight(line, "\r"))
		}
	}
}

// String gives the lines, each with its end.
func (d *dialogue) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "\n") + "\n"
}
