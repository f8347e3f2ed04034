package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"hauspost/appliance/transfer"
)

// dialled is what became of one connection attempt.
type dialled struct {
	i    int
	conn net.Conn
	err  error
}

// runners is how many addresses are tried at a time.
const runners = 2

// race connects to the first of addrs that answers: each gets a start before
// the next one, and no more than two run. rest are those that neither won nor
// failed.
func (c *Client) race(ctx context.Context, addrs []netip.AddrPort) (nc net.Conn, at netip.AddrPort, rest []netip.AddrPort, errs map[netip.AddrPort]error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialled, len(addrs))
	tick := make(chan struct{}, 1)
	stop := func() bool { return true }
	running, next := 0, 0
	start := func() {
		i := next
		next++
		running++
		go func() {
			conn, err := c.dial(ctx, addrs[i])
			results <- dialled{i, conn, err}
		}()
		stop()
		stop = c.o.After(c.l.Stagger, func() {
			select {
			case tick <- struct{}{}:
			default:
			}
		})
	}
	defer func() { stop() }()
	errs = make(map[netip.AddrPort]error)
	start()
	for running > 0 {
		select {
		case <-tick:
			if running < runners && next < len(addrs) {
				start()
			}
		case d := <-results:
			running--
			if d.err == nil {
				go discard(results, running)
				return d.conn, addrs[d.i], others(addrs, d.i, errs), errs
			}
			errs[addrs[d.i]] = d.err
			if next < len(addrs) && ctx.Err() == nil {
				start()
			}
		}
	}
	return nil, netip.AddrPort{}, nil, errs
}

// discard closes the losers that arrive after all.
func discard(results <-chan dialled, n int) {
	for range n {
		if d := <-results; d.conn != nil {
			d.conn.Close()
		}
	}
}

func others(addrs []netip.AddrPort, winner int, failed map[netip.AddrPort]error) (rest []netip.AddrPort) {
	for i, ap := range addrs {
		if i != winner && failed[ap] == nil {
			rest = append(rest, ap)
		}
	}
	return rest
}

// dial connects to one address within its time.
func (c *Client) dial(ctx context.Context, ap netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.l.Connect)
	defer cancel()
	return c.o.Dial(ctx, ap)
}

// dialOutcome says what it means that an address could not be reached.
func (a *attempt) dialOutcome(t *target, ap netip.AddrPort, err error) transfer.Outcome {
	scope, name, text := transfer.ScopeDestination, "no-server", err.Error()
	var ne net.Error
	switch {
	case a.ctx.Err() != nil:
		return *a.calledOff("connect")
	case errors.Is(err, syscall.ECONNREFUSED):
		text = "connection refused"
	case errors.As(err, &ne) && ne.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		text = "no answer"
	case noNetwork(err, ap, t):
		scope, name, text = transfer.ScopeLocal, "local", "this machine has no network to "+ap.Addr().String()
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		text = "no way leads there"
	}
	return *ours(transfer.Deferred, scope, name, "4.4.1", "connect", fmt.Sprintf("%s [%s]: %s", t.host, ap.Addr(), text))
}

// noNetwork tells that the fault is this machine's. A lack of IPv6 is none: a
// server that has nothing else cannot be reached from here, and that is for its
// mail to expire by. Nor is a single host that a router says it cannot find,
// unless it is known by its number alone: where the whole network is down, the
// DNS is silent too.
func noNetwork(err error, ap netip.AddrPort, t *target) bool {
	switch {
	case errors.Is(err, syscall.ENETDOWN), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return true
	case ap.Addr().Is6():
		return false
	case errors.Is(err, syscall.EHOSTUNREACH):
		_, perr := netip.ParseAddr(t.host)
		return perr == nil
	}
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL)
}
