package relay

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"hauspost/appliance/transfer"
)

// extensions are what a server offers in its answer to EHLO.
type extensions struct {
	pipelining, eightBit, utf8, chunking, dsn, requireTLS, startTLS bool
	// size tells that SIZE is offered; maxSize is its limit, 0 if unknown.
	size    bool
	maxSize int64
	auth    []string
	// rcptMax and mailMax are those of RFC 9422; 0 if unknown.
	rcptMax, mailMax int
}

// parseEHLO reads the lines after the first.
func parseEHLO(rep *reply) (e extensions) {
	for i := 1; i < len(rep.lines); i++ {
		keyword, rest, _ := strings.Cut(strings.TrimSpace(rep.words(i)), " ")
		keyword = strings.ToUpper(keyword)
		switch keyword {
		case "PIPELINING":
			e.pipelining = true
		case "8BITMIME":
			e.eightBit = true
		case "SMTPUTF8":
			e.utf8 = true
		case "CHUNKING":
			e.chunking = true
		case "DSN":
			e.dsn = true
		case "REQUIRETLS":
			e.requireTLS = true
		case "STARTTLS":
			e.startTLS = true
		case "SIZE":
			e.size = true
			e.maxSize, _ = strconv.ParseInt(strings.TrimSpace(rest), 10, 64) // 0 where it says nothing
		case "AUTH":
			e.auth = append(e.auth, strings.Fields(strings.ToUpper(rest))...)
		case "LIMITS":
			e.limits(rest)
		default:
			// An old spelling that some servers still have.
			if mechs, ok := strings.CutPrefix(keyword, "AUTH="); ok {
				e.auth = append(e.auth, strings.Fields(mechs+" "+strings.ToUpper(rest))...)
			}
		}
	}
	return e
}

func (e *extensions) limits(s string) {
	for _, word := range strings.Fields(strings.ToUpper(s)) {
		name, value, _ := strings.Cut(word, "=")
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			continue
		}
		switch name {
		case "RCPTMAX":
			e.rcptMax = n
		case "MAILMAX":
			e.mailMax = n
		}
	}
}

// start brings a new connection to where a message can be sent. plain leaves
// STARTTLS alone. The connection is closed where that fails.
func (a *attempt) start(t *target, nc net.Conn, ap netip.AddrPort, plain bool) (*conn, *fault) {
	k := &conn{
		c: a.c, nc: nc, raw: nc, host: t.host, addr: ap, slot: t.slot,
		r: bufio.NewReaderSize(nc, maxLine), w: bufio.NewWriterSize(nc, writeSize),
	}
	if k.owned = t.owned; k.owned {
		k.secrets = secretsOf(t.route)
	}
	a.c.connections.Add(1)
	release := a.hold(k)
	f := k.prepare(a.ctx, t, needsOf(a.m, t.route), plain)
	release()
	a.met(k)
	if f != nil {
		k.close()
		if k.gone.Load() {
			return nil, &fault{Outcome: *a.calledOff(f.Verb)}
		}
		return nil, f
	}
	return k, nil
}

// prepare speaks the part of the dialogue that comes before any message.
func (k *conn) prepare(ctx context.Context, t *target, n needs, plain bool) *fault {
	r := t.route
	if t.owned && r.Implicit {
		if err := k.handshake(ctx, n); err != nil {
			f := tlsFault("connect", err)
			f.encryption = false // there is no other way in
			return f
		}
	}
	if f := k.greet(); f != nil {
		return f
	}
	if k.c.isSelf(k.greeting) {
		return &fault{Outcome: *ours(transfer.Failed, transfer.ScopeDestination, "loop", "5.4.6", "connect",
			"the server "+k.host+" is this box itself, which does not take the mail in")}
	}
	if f := k.hello(); f != nil {
		return f
	}
	if k.tls == "" && !plain && n.security != None {
		if f := k.startTLS(ctx, n); f != nil {
			return f
		}
	}
	if f := n.unmet(k); f != nil {
		return f
	}
	if t.owned && r.User != "" {
		return k.signIn(r)
	}
	return nil
}

// unmet says why nothing may be sent over a connection that is ready.
func (n needs) unmet(k *conn) *fault {
	refuse := func(status transfer.Status, name, enhanced, text string) *fault {
		return &fault{Outcome: *ours(status, transfer.ScopeDestination, name, enhanced, "STARTTLS", text)}
	}
	switch {
	case k.tls == "" && n.requireTLS:
		return refuse(transfer.Failed, "requiretls", "5.7.30", "the server does not offer encryption")
	case k.tls == "" && n.strict():
		return refuse(transfer.Deferred, "tls-required", "4.7.10", "the server does not offer encryption")
	case n.security == Verified && !k.verified:
		return refuse(transfer.Deferred, "tls-required", "4.7.5", "the server's certificate is not valid")
	case n.requireTLS && !k.ext.requireTLS:
		return refuse(transfer.Failed, "requiretls", "5.7.30", "the server does not offer REQUIRETLS")
	}
	return nil
}

// greet reads the greeting. Any refusal here sends us to another server; only
// one that says that it never takes mail is final (RFC 7504; RFC 5321, section
// 3.1).
func (k *conn) greet() *fault {
	rep, f := k.answer("connect", k.c.l.Greeting)
	if f != nil {
		return f
	}
	if rep.code == 220 {
		k.greeting, _, _ = strings.Cut(transfer.Sanitize(rep.words(0)), " ")
		return nil
	}
	if rep.code/100 < 4 {
		return unexpected("connect", rep)
	}
	return k.turnedAway("connect", rep)
}

// turnedAway is a refusal before any message.
func (k *conn) turnedAway(verb string, rep *reply) *fault {
	o := theirs(verb, rep)
	o.Scope = transfer.ScopeDestination
	if !(verb == "connect" && (rep.code == 554 || rep.code == 521)) {
		o.Status = transfer.Deferred
	}
	return &fault{Outcome: o}
}

// hello introduces us, by HELO where the server does not know EHLO.
func (k *conn) hello() *fault {
	k.ext = extensions{}
	rep, f := k.command("EHLO", k.c.l.Command, "EHLO ", k.c.o.Hello)
	if f != nil {
		return f
	}
	switch {
	case rep.ok():
		k.ext = parseEHLO(rep)
		return nil
	case rep.code/100 < 4:
		return unexpected("EHLO", rep)
	case rep.code != 500 && rep.code != 502:
		return k.turnedAway("EHLO", rep)
	}
	if rep, f = k.command("HELO", k.c.l.Command, "HELO ", k.c.o.Hello); f != nil {
		return f
	}
	switch {
	case rep.ok():
		return nil
	case rep.code/100 < 4:
		return unexpected("HELO", rep)
	}
	return k.turnedAway("HELO", rep)
}

// startTLS encrypts where the server offers it.
func (k *conn) startTLS(ctx context.Context, n needs) *fault {
	if !k.ext.startTLS {
		return nil
	}
	const verb = "STARTTLS"
	rep, f := k.command(verb, k.c.l.Command, verb)
	if f != nil {
		f.encryption = f.Scope != transfer.ScopeLocal
		return f
	}
	switch {
	case rep.code != 220:
		o := ours(transfer.Deferred, transfer.ScopeDestination, "tls-required", "4.7.5", verb, rep.text())
		o.Code = rep.code
		return &fault{Outcome: *o, encryption: true}
	case k.r.Buffered() > 0:
		// What came in clear must not be taken for what came encrypted.
		f := unexpected(verb, rep)
		f.encryption = true
		return f
	}
	if err := k.handshake(ctx, n); err != nil {
		return tlsFault(verb, err)
	}
	if f := k.hello(); f != nil {
		// A server that did not like the handshake says so only now.
		f.encryption = f.Name == "lost"
		return f
	}
	return nil
}

// quit says goodbye, for which nobody waits, and gives the place of the
// connection back. Once the Client is closed it only closes.
func (c *Client) quit(k *conn) {
	if !c.pool.leave(&c.closing, func() { c.bye(k) }) {
		c.discard(k)
	}
}

func (c *Client) bye(k *conn) {
	k.raw.SetDeadline(time.Now().Add(c.l.Farewell))
	k.w.WriteString("QUIT\r\n")
	if k.w.Flush() == nil {
		_, _ = k.readReply() // whatever it is
	}
	c.discard(k)
}

// discard ends a connection and gives its place back.
func (c *Client) discard(k *conn) {
	k.close()
	if k.slot != "" {
		c.pool.release(k.slot)
	}
}
