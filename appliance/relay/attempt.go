package relay

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"hauspost/appliance/transfer"
)

// attempt is one call of Attempt.
type attempt struct {
	c *Client
	m *transfer.Message
	// parent is the caller's; ctx ends with it, or when the time of the attempt
	// is over.
	parent, ctx context.Context
	total       *time.Timer
	span        time.Duration

	res     transfer.Result
	settled []bool
	open    int // recipients that are not settled

	failures []failure
	notes    []string

	// small is the whole message if it is small, in buffer.
	small  []byte
	buffer *[smallSize + 1]byte

	// let lets go of the connection that hold holds, and tells whether it is
	// still good.
	let func() bool
}

// failure is what a server, or one address of it, brought in the end.
type failure struct {
	transfer.Outcome
	host, greeting, tls string
	addr                netip.AddrPort
	// reached: there was a connection.
	reached bool
}

// Attempt hands m over, as transfer.Transport says.
func (c *Client) Attempt(ctx context.Context, m *transfer.Message) transfer.Result {
	began := time.Now()
	c.attempts.Add(1)
	a := &attempt{c: c, m: m, parent: ctx, settled: make([]bool, len(m.Recipients)), open: len(m.Recipients)}
	a.res.Outcomes = make([]transfer.Outcome, len(m.Recipients))
	var cancel context.CancelFunc
	a.ctx, cancel = context.WithCancel(ctx)
	defer cancel()
	a.span = c.l.Total + time.Duration(m.Size/c.l.Rate)*time.Second
	a.total = time.AfterFunc(a.span, cancel)
	defer a.total.Stop()
	defer a.free()
	a.run()
	a.res.Note = strings.Join(a.notes, "; ")
	a.res.Took = time.Since(began)
	return a.res
}

// run is the attempt from top to bottom.
func (a *attempt) run() {
	if strings.HasPrefix(a.m.Domain, "[") {
		a.settleAll(*ours(transfer.Failed, transfer.ScopeRecipient, "address-literal", "5.1.2", "",
			"mail for an IP address in brackets is not sent: it needs a domain"))
		return
	}
	if a.open == 0 {
		return
	}
	w, problem := a.c.wayOf(a.m)
	if problem == nil {
		problem = a.load()
	}
	if problem != nil {
		a.settleAll(*problem)
		return
	}
	if a.reuse(w) {
		return
	}
	ctx, cancel := context.WithTimeout(a.ctx, a.c.l.DNS)
	targets, problem := a.targets(ctx, w)
	cancel()
	if problem != nil {
		a.settleAll(*problem)
		return
	}
	for i := range targets {
		if a.ctx.Err() != nil || a.try(&targets[i], w) {
			break
		}
	}
	a.conclude()
}

// reuse takes connections of earlier messages on the same way, without asking
// the DNS, until one of them served or none is left.
func (a *attempt) reuse(w *way) (done bool) {
	n := needsOf(a.m, w.route)
	for a.ctx.Err() == nil {
		k := a.c.pool.take(func(k *conn) bool { return k.way == w.key && n.met(k, k.secure || !w.byMX()) })
		if k == nil {
			return false
		}
		if a.use(k); a.open == 0 {
			return true
		}
		a.res = transfer.Result{Outcomes: a.res.Outcomes}
	}
	return false
}

// try offers the message to one server, at all of its addresses. done: there is
// no more to do, or nobody else to try.
func (a *attempt) try(t *target, w *way) (done bool) {
	n := needsOf(a.m, t.route)
	if n.requireTLS && !t.secure && !t.owned {
		a.fail(t, netip.AddrPort{}, *ours(transfer.Failed, transfer.ScopeDestination, "requiretls", "5.7.30", "",
			"the DNS does not prove (DNSSEC) that mail for "+a.m.Domain+" belongs to "+t.host))
		return false
	}
	ctx, cancel := context.WithTimeout(a.ctx, a.c.l.DNS)
	addrs, problem := a.addresses(ctx, t)
	cancel()
	if problem != nil {
		a.fail(t, netip.AddrPort{}, *problem)
		return false
	}
	for len(addrs) > 0 && a.open > 0 && a.ctx.Err() == nil {
		k, err := a.acquire(t, n)
		if err != nil {
			return true
		}
		if k == nil {
			var f *fault
			if k, addrs, f = a.connect(t, addrs, n); k == nil {
				a.c.pool.release(t.slot)
				if f != nil && f.Name == "loop" {
					return true // those that come after it are no better
				}
				continue
			}
		}
		k.way, k.secure = w.key, t.secure
		fresh := k.messages == 0
		if f := a.use(k); f != nil && fresh && a.open > 0 {
			a.fail(t, k.addr, f.Outcome)
		}
	}
	return a.open == 0
}

// acquire waits for an idle connection to t, or the right to open one.
func (a *attempt) acquire(t *target, n needs) (*conn, error) {
	limit := a.c.l.PerHost
	if t.owned && t.route.Connections > 0 {
		limit = t.route.Connections
	}
	a.total.Stop()
	k, surplus, err := a.c.pool.get(a.ctx, t.slot, limit, func(k *conn) bool { return n.met(k, t.owned || t.secure) })
	a.total.Reset(a.span)
	if surplus != nil {
		a.c.quit(surplus)
	}
	return k, err
}

// connect opens a connection to one of addrs; rest are those still to try
// where it is of no use.
func (a *attempt) connect(t *target, addrs []netip.AddrPort, n needs) (k *conn, rest []netip.AddrPort, f *fault) {
	nc, ap, rest, errs := a.c.race(a.ctx, addrs)
	for _, at := range addrs {
		if err := errs[at]; err != nil {
			a.fail(t, at, a.dialOutcome(t, at, err))
		}
	}
	if nc == nil {
		return nil, rest, nil
	}
	k, f = a.start(t, nc, ap, false)
	if f != nil && f.encryption && !n.strict() && a.ctx.Err() == nil {
		a.note(fmt.Sprintf("encryption with %s failed (%s), tried without", t.host, f.Answer))
		a.c.tlsFallbacks.Add(1)
		if nc, err := a.c.dial(a.ctx, ap); err != nil {
			f = &fault{Outcome: a.dialOutcome(t, ap, err)}
		} else {
			k, f = a.start(t, nc, ap, true)
		}
	}
	if f != nil {
		a.fail(t, ap, f.Outcome)
	}
	return k, rest, f
}

// use runs the message over a connection and keeps or ends it.
func (a *attempt) use(k *conn) *fault {
	a.met(k)
	a.res.Reused = k.messages > 0
	a.let = a.hold(k)
	f := a.transact(k)
	good := a.let()
	if f != nil && k.gone.Load() {
		f.Outcome = *a.calledOff(f.Verb)
	}
	switch {
	case f != nil || !good:
		a.c.discard(k)
	case k.messages >= a.c.l.Messages || k.ext.mailMax > 0 && k.messages >= k.ext.mailMax || !a.c.pool.put(k, a.c.quit):
		a.c.quit(k)
	}
	return f
}

// hold has the connection closed when the attempt is called off, until it is
// let go of.
func (a *attempt) hold(k *conn) (let func() bool) {
	return context.AfterFunc(a.ctx, func() {
		k.gone.Store(true)
		k.raw.Close()
	})
}

// allSent comes before the octets that make a message whole: from there on one
// that is called off could have been taken, so that its answer gets a last
// chance, and as much time as it needs.
func (a *attempt) allSent(k *conn) {
	a.total.Stop()
	if !a.let() {
		return
	}
	k.nc.SetDeadline(time.Now().Add(a.c.l.Final))
	a.let = context.AfterFunc(a.parent, func() { k.nc.SetDeadline(time.Now().Add(a.c.l.Grace)) })
}

// calledOff says why ctx ended.
func (a *attempt) calledOff(verb string) *transfer.Outcome {
	if a.parent.Err() != nil {
		return interrupted(verb)
	}
	return ours(transfer.Deferred, transfer.ScopeDestination, "timeout", "4.4.2", verb, "the whole attempt took longer than "+a.span.String())
}

// met notes whom the attempt talks to.
func (a *attempt) met(k *conn) {
	a.res.Host, a.res.Addr, a.res.Greeting, a.res.TLS = k.host, k.addr, k.greeting, k.tls
}

func (a *attempt) note(s string) { a.notes = append(a.notes, s) }

// settle says what became of a recipient, once.
func (a *attempt) settle(i int, o transfer.Outcome) {
	if !a.settled[i] {
		a.settled[i] = true
		a.open--
		a.res.Outcomes[i] = o
	}
}

func (a *attempt) settleAll(o transfer.Outcome) {
	for i := range a.settled {
		a.settle(i, o)
	}
}

// fail notes that a server brought nothing. What the owner named never fails
// mail for good, but for what was asked of REQUIRETLS: the owner can mend it.
func (a *attempt) fail(t *target, ap netip.AddrPort, o transfer.Outcome) {
	if t.owned && o.Status == transfer.Failed && o.Name != "requiretls" {
		o.Status = transfer.Deferred
		if o.Code == 0 {
			o.Enhanced = "4" + o.Enhanced[1:]
		}
	}
	fl := failure{Outcome: o, host: t.host, addr: ap}
	if ap.IsValid() && a.res.Addr == ap {
		fl.reached, fl.greeting, fl.tls = true, a.res.Greeting, a.res.TLS
	}
	a.failures = append(a.failures, fl)
}

// weight orders outcomes by how much they tell: what a server said, what it did
// not keep to, how it went away, that it was not there.
func (f *failure) weight() int {
	switch {
	case f.Scope == transfer.ScopeLocal:
		return 0
	case f.Code != 0:
		return 5
	case f.Verb == "STARTTLS" || f.Name == "requiretls" || f.Name == "tls-required":
		return 4
	case f.Name == "garbage":
		return 3
	case f.Name == "lost", f.Name == "timeout":
		return 2
	}
	return 1
}

// conclude settles those for whom no server was found. It fails them only
// where no server left hope.
func (a *attempt) conclude() {
	if a.ctx.Err() != nil {
		a.settleAll(*a.calledOff(""))
	}
	best := -1
	for i := range a.failures {
		f := &a.failures[i]
		if best < 0 || better(f, &a.failures[best]) {
			best = i
		}
	}
	if a.open > 0 && best >= 0 {
		f := a.failures[best] // a copy: Delete clears its place
		a.res.Host, a.res.Addr, a.res.Greeting, a.res.TLS = "", netip.AddrPort{}, "", ""
		if f.reached {
			a.res.Host, a.res.Addr, a.res.Greeting, a.res.TLS = f.host, f.addr, f.greeting, f.tls
		}
		a.failures = slices.Delete(a.failures, best, best+1)
		a.settleAll(f.Outcome)
	}
	for _, f := range a.failures {
		where := f.host
		if f.addr.IsValid() {
			where += " [" + f.addr.Addr().String() + "]"
		}
		text := f.Answer
		if !strings.HasPrefix(text, f.host) {
			text = where + ": " + text
		}
		a.note(text)
	}
	if a.open > 0 {
		a.settleAll(*ours(transfer.Deferred, transfer.ScopeDestination, "no-server", "4.4.1", "connect", "no server could be reached"))
	}
}

// better tells whether x says more than y. Hope goes first.
func better(x, y *failure) bool {
	if hope := x.Status == transfer.Deferred; hope != (y.Status == transfer.Deferred) {
		return hope
	}
	return x.weight() > y.weight()
}
