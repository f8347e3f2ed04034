package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"hauspost/appliance/transfer"
)

// Limits on one reply: far more than any server needs, and little memory.
const (
	maxLine       = 4096
	maxReplyLines = 64
	maxReplySize  = 16 << 10
)

// writeSize is how much is gathered before it is sent: one TLS record.
const writeSize = 16 << 10

// conn is one connection to one server, from its greeting to its end. Only one
// attempt at a time has it.
type conn struct {
	c *Client
	// nc is what is talked over: raw, or TLS on top of it.
	nc, raw net.Conn
	r       *bufio.Reader
	w       *bufio.Writer

	// slot is the key under which the pool counts it; way that of the last
	// message, which needs no DNS to find it again, and secure whether the DNS
	// proved that this message was to go here.
	slot, way string
	secure    bool

	// owned: the owner named the server.
	owned    bool
	host     string
	addr     netip.AddrPort
	greeting string
	ext      extensions

	// tls describes the encryption; verified tells that the certificate is
	// valid for host.
	tls      string
	verified bool

	// messages that were tried over it. dirty: a transaction is open.
	messages int
	dirty    bool
	// secrets must not come back in any text.
	secrets []string

	stopIdle func() bool
	// gone is set when the attempt was called off.
	gone atomic.Bool
}

// fault is the end of a connection that is of no more use. Its Outcome is what
// that means for what was not settled; another server may know better.
type fault struct {
	transfer.Outcome
	// encryption: it failed at STARTTLS or the handshake, so that a connection
	// without may work.
	encryption bool
}

// reply is what a server answered.
type reply struct {
	code int
	// lines are as they came, with their codes and without their ends.
	lines []string
}

// text is the whole reply, made safe.
func (r *reply) text() string { return transfer.Sanitize(strings.Join(r.lines, "\n")) }

// words gives the text of line i after its code.
func (r *reply) words(i int) string {
	if i >= len(r.lines) || len(r.lines[i]) < 4 {
		return ""
	}
	return r.lines[i][4:]
}

func (r *reply) ok() bool { return r.code/100 == 2 }

// enhanced gives the status code of RFC 3463 with which the reply begins, if it
// fits the reply's code.
func (r *reply) enhanced() string {
	word, _, _ := strings.Cut(r.words(0), " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || len(parts[0]) != 1 || int(parts[0][0]-'0') != r.code/100 {
		return ""
	}
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return ""
		}
	}
	return word
}

// errGarbage is wrapped by the errors about replies that are none.
var errGarbage = errors.New("this is no SMTP")

// readReply reads one reply within the limits.
func (k *conn) readReply() (*reply, error) {
	rep := &reply{}
	size := 0
	for {
		line, err := k.r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("%w: a line of more than %d octets", errGarbage, maxLine)
		}
		if err != nil {
			return nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		code, more, ok := parseLine(line)
		if !ok {
			return nil, fmt.Errorf("%w: %q", errGarbage, clip(k.redact(string(line))))
		}
		if rep.code != 0 && code != rep.code {
			return nil, fmt.Errorf("%w: a reply with the codes %d and %d", errGarbage, rep.code, code)
		}
		rep.code = code
		rep.lines = append(rep.lines, k.redact(string(line)))
		size += len(line)
		if !more {
			return rep, nil
		}
		if len(rep.lines) >= maxReplyLines || size > maxReplySize {
			return nil, fmt.Errorf("%w: a reply without end", errGarbage)
		}
	}
}

// parseLine reads the code of a line, and whether more lines follow.
func parseLine(line []byte) (code int, more, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' {
		return 0, false, false
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, false, false
		}
		code = code*10 + int(c-'0')
	}
	if len(line) == 3 {
		return code, false, true
	}
	return code, line[3] == '-', line[3] == '-' || line[3] == ' '
}

func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// redact keeps a server that repeats what it was told from giving a password
// away.
func (k *conn) redact(s string) string {
	for _, secret := range k.secrets {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return s
}

// command sends what was written with a last line and reads one reply.
func (k *conn) command(verb string, patience time.Duration, line ...string) (*reply, *fault) {
	for _, s := range line {
		k.w.WriteString(s) // an error stays until flush
	}
	k.w.WriteString("\r\n")
	if f := k.flush(verb, patience); f != nil {
		return nil, f
	}
	return k.answer(verb, patience)
}

// flush sends what was written.
func (k *conn) flush(verb string, patience time.Duration) *fault {
	k.nc.SetDeadline(time.Now().Add(patience))
	if err := k.w.Flush(); err != nil {
		return k.broken(verb, err)
	}
	return nil
}

// answer reads the reply to verb.
func (k *conn) answer(verb string, patience time.Duration) (*reply, *fault) {
	k.nc.SetDeadline(time.Now().Add(patience))
	rep, err := k.readReply()
	if err != nil {
		return nil, k.broken(verb, err)
	}
	return rep, nil
}

// broken says what the end of a connection means. After the door it may be for
// this message alone (a scanner that gives up, a line that carries small ones
// only), and others must not wait behind it.
func (k *conn) broken(verb string, err error) *fault {
	scope := transfer.ScopeDestination
	if slices.Contains(inTransaction, verb) {
		scope = transfer.ScopeRecipient
	}
	o := ours(transfer.Deferred, scope, "lost", "4.4.2", verb, "the connection broke off")
	switch {
	case k.gone.Load():
		o = interrupted(verb)
	case errors.Is(err, errGarbage):
		o = ours(transfer.Deferred, scope, "garbage", "4.5.0", verb, err.Error())
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		o = ours(transfer.Deferred, scope, "timeout", "4.4.2", verb, "no answer in time")
	}
	return &fault{Outcome: *o}
}

var inTransaction = []string{"MAIL", "RCPT", "DATA", "content"}

// unexpected is a reply that cannot be one to verb.
func unexpected(verb string, rep *reply) *fault {
	o := ours(transfer.Deferred, transfer.ScopeDestination, "garbage", "4.5.0", verb, rep.text())
	o.Code = rep.code
	return &fault{Outcome: *o}
}

// close ends the connection without a word.
func (k *conn) close() { k.raw.Close() }
