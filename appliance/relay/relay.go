package relay

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"hauspost/appliance/resolver"
	"hauspost/appliance/transfer"
)

// Resolver is what relay asks of the DNS; *resolver.Resolver has it.
type Resolver interface {
	LookupMX(ctx context.Context, domain string) (resolver.Answer[resolver.MX], error)
	LookupIP(ctx context.Context, host string) (resolver.Answer[netip.Addr], error)
}

// Options say how mail is handed over. Hostname and Resolver are needed.
type Options struct {
	// Hostname is the true name of this box: a server with that name is the
	// box itself. Hello is the name in EHLO; empty means Hostname.
	Hostname, Hello string
	Resolver        Resolver
	// Dial connects; nil means TCP from any address of this machine.
	Dial func(ctx context.Context, addr netip.AddrPort) (net.Conn, error)
	// Port of servers that MX records name; default 25.
	Port int
	// TLS has the roots that certificates are verified against, and may have
	// client certificates; nil means those of the system, and none.
	TLS *tls.Config
	// Routes and Smarthost are the owner's; Smarthost takes what no Route has a
	// way for, and may be nil.
	Routes    []Route
	Smarthost *Route
	// AllowLoopback lets MX records lead to this machine, for test networks. A
	// Host of a Route may always do so.
	AllowLoopback bool
	// NoIPv4 and NoIPv6 leave one kind of address out.
	NoIPv4, NoIPv6 bool
	Limits         Limits
	// Logger gets what no Result can tell; nil means none.
	Logger *slog.Logger
	// Now is the clock for certificates; nil means time.Now.
	Now func() time.Time
	// After is the timer of the race between addresses, and of idle
	// connections: fire is called once d has passed, unless stop was called
	// before. nil means time.AfterFunc.
	After func(d time.Duration, fire func()) (stop func() bool)
	// Shuffle brings servers of equal preference into a random order; nil
	// means rand.Shuffle.
	Shuffle func(n int, swap func(i, j int))
}

// Client makes attempts and keeps connections between them. It is a
// transfer.Transport.
type Client struct {
	o         Options
	l         Limits
	routes    []Route
	smarthost *Route
	sessions  tls.ClientSessionCache
	pool      *pool
	// closing runs the goodbyes that nobody waits for.
	closing sync.WaitGroup

	attempts, connections, messages, reused  atomic.Uint64
	plain, encrypted, verified, tlsFallbacks atomic.Uint64
}

var _ transfer.Transport = (*Client)(nil)

// New makes a Client.
func New(o Options) *Client {
	if o.Hello == "" {
		o.Hello = o.Hostname
	}
	if o.Port == 0 {
		o.Port = 25
	}
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr.String())
		}
	}
	if o.TLS == nil {
		o.TLS = &tls.Config{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = func(d time.Duration, fire func()) func() bool { return time.AfterFunc(d, fire).Stop }
	}
	if o.Shuffle == nil {
		o.Shuffle = rand.Shuffle
	}
	c := &Client{o: o, l: o.Limits.WithDefaults(), sessions: tls.NewLRUClientSessionCache(256)}
	for _, r := range o.Routes {
		c.routes = append(c.routes, r.prepared(o.Port))
	}
	if o.Smarthost != nil {
		s := o.Smarthost.prepared(o.Port)
		c.smarthost = &s
	}
	c.pool = newPool(&c.l, o.After)
	return c
}

// Close says goodbye to the servers of idle connections, and waits until that
// is done or ctx ends. Attempts that run are not called off; their connections
// are closed after them, and later ones keep none. The error is that of ctx.
func (c *Client) Close(ctx context.Context) error {
	for _, idle := range c.pool.close(&c.closing) {
		go func() {
			defer c.closing.Done()
			c.bye(idle)
		}()
	}
	done := make(chan struct{})
	go func() {
		c.closing.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stats are counts since New, and what is open now.
type Stats struct {
	// Open connections, Idle ones of them, and attempts that wait for one.
	Open, Idle, Waiting int
	// Attempts that were made; Connections that reached a server; Messages
	// that a server took for at least one recipient; Reused ones of them that
	// went over a connection of an earlier one.
	Attempts, Connections, Messages, Reused uint64
	// Messages by encryption: Plain without, Encrypted with, Verified those of
	// Encrypted whose server had a valid certificate.
	Plain, Encrypted, Verified uint64
	// TLSFallbacks counts connections made anew without TLS because it failed.
	TLSFallbacks uint64
}

// Stats gives the counts.
func (c *Client) Stats() Stats {
	s := Stats{
		Attempts: c.attempts.Load(), Connections: c.connections.Load(), Messages: c.messages.Load(), Reused: c.reused.Load(),
		Plain: c.plain.Load(), Encrypted: c.encrypted.Load(), Verified: c.verified.Load(), TLSFallbacks: c.tlsFallbacks.Load(),
	}
	s.Open, s.Idle, s.Waiting = c.pool.count()
	return s
}
