package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Options say whom to ask and for how long. Zero fields take their defaults.
type Options struct {
	// Server is the name server as "192.0.2.1", "192.0.2.1:53" or "[::1]:53";
	// several are separated by commas and asked in turn. Empty means those of
	// ResolvConf.
	Server string
	// ResolvConf is the file to take name servers from, read again when it
	// changes; default /etc/resolv.conf. Where it names none (or is missing),
	// 127.0.0.1:53 is asked.
	ResolvConf string
	// Timeout bounds one question to one server; default 3 seconds, and less
	// where the caller's time must do for all servers and rounds.
	Timeout time.Duration
	// Rounds is how often all servers are asked; default 2.
	Rounds int
	// Cached is how many answers are kept; default 4096 (at most 4 KB each),
	// negative none.
	Cached int
	// MaxTTL bounds for how long an answer is kept, MaxNegativeTTL for how
	// long a denial; defaults 1 hour and 5 minutes.
	MaxTTL, MaxNegativeTTL time.Duration
	// Now is the clock of the cache; nil means time.Now.
	Now func() time.Time
}

// Resolver looks names up. Its methods are safe for many goroutines. Names are
// absolute, with or without the final dot, and in A-labels; search lists are
// never used.
type Resolver struct {
	o     Options
	fixed []server
	cache *cache
	// last is the index of the server that answered last: one that is down
	// costs its timeout once, not for every question.
	last   atomic.Int32
	health health

	mu      sync.Mutex
	read    []server    // from ResolvConf
	stamp   os.FileInfo // of ResolvConf; nil where there is none
	checked time.Time
}

type server struct {
	addr string
	// loopback tells that nobody can change what it says on the way.
	loopback bool
}

// recheck is how often ResolvConf is looked at for changes.
const recheck = 5 * time.Second

// New makes a Resolver. The only error is a malformed Options.Server.
func New(o Options) (*Resolver, error) {
	if o.ResolvConf == "" {
		o.ResolvConf = "/etc/resolv.conf"
	}
	if o.Timeout <= 0 {
		o.Timeout = 3 * time.Second
	}
	if o.Rounds <= 0 {
		o.Rounds = 2
	}
	if o.Cached == 0 {
		o.Cached = 4096
	}
	if o.MaxTTL <= 0 {
		o.MaxTTL = time.Hour
	}
	if o.MaxNegativeTTL <= 0 {
		o.MaxNegativeTTL = 5 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Resolver{o: o, cache: newCache(o.Cached, o.Now)}
	for s := range strings.SplitSeq(o.Server, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		srv, err := parseServer(s, 53)
		if err != nil {
			return nil, err
		}
		r.fixed = append(r.fixed, srv)
	}
	return r, nil
}

func parseServer(s string, port uint16) (server, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		ip, ierr := netip.ParseAddr(strings.Trim(s, "[]"))
		if ierr != nil {
			return server{}, fmt.Errorf("name server %q: want an IP address with or without a port, such as 192.0.2.1:53", s)
		}
		ap = netip.AddrPortFrom(ip, port)
	}
	return server{addr: ap.String(), loopback: ap.Addr().Unmap().IsLoopback()}, nil
}

// servers are those to ask now.
func (r *Resolver) servers() []server {
	if r.fixed != nil {
		return r.fixed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.o.Now()
	if r.read != nil && now.Sub(r.checked) < recheck {
		return r.read
	}
	r.checked = now
	stamp, err := os.Stat(r.o.ResolvConf)
	if err != nil {
		stamp = nil
	}
	if r.read != nil && sameFile(stamp, r.stamp) {
		return r.read
	}
	r.stamp, r.read = stamp, readServers(r.o.ResolvConf)
	return r.read
}

// sameFile tells that a file was neither written nor replaced.
func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// readServers takes what it can from a resolv.conf; without one it does as the
// C library does.
func readServers(file string) []server {
	var list []server
	if conf, err := dns.ClientConfigFromFile(file); err == nil {
		for _, s := range conf.Servers {
			if srv, err := parseServer(s, 53); err == nil {
				list = append(list, srv)
			}
		}
	}
	if list == nil {
		list = []server{{addr: "127.0.0.1:53", loopback: true}}
	}
	return list
}

// result is what is known of one name and type.
type result struct {
	rrs    []dns.RR // of the type asked for only
	name   string   // the owner of rrs, at the end of CNAMEs
	secure bool
	ttl    time.Duration
	err    *Error // ErrNotFound or ErrNoData
	cached bool   // may be cached
}

// failureTTL is how long it is remembered that a name could not be looked up
// (RFC 9520, section 3.2), where finding that out took long.
const failureTTL = 30 * time.Second

// maxChain bounds CNAMEs, whether in one answer or over several questions.
const maxChain = 16

// lookup gives the records of one type, following CNAMEs.
func (r *Resolver) lookup(ctx context.Context, name string, qtype uint16) (*result, error) {
	typ := dns.TypeToString[qtype]
	fqdn := strings.ToLower(dns.Fqdn(name))
	if _, ok := dns.IsDomainName(fqdn); !ok || name == "" {
		return nil, &Error{Kind: ErrNotFound, Name: name, Type: typ, Cause: errors.New("no well-formed name")}
	}
	if res, ok := r.cache.get(fqdn, qtype); ok {
		return res, nilable(res.err)
	}
	res := &result{secure: true, ttl: r.o.MaxTTL, name: fqdn, cached: true}
	for range maxChain {
		start := time.Now()
		reply, srv, err := r.ask(ctx, res.name, qtype)
		if err != nil {
			e := &Error{Kind: ErrTemporary, Name: name, Type: typ, Cause: err}
			if time.Since(start) >= suspicion && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrSilent) {
				r.cache.put(fqdn, qtype, &result{ttl: failureTTL, err: e, cached: true})
			}
			return nil, e
		}
		res.secure = res.secure && reply.AuthenticatedData && srv.loopback
		again, err := res.take(reply, qtype)
		if err != nil {
			return nil, &Error{Kind: ErrTemporary, Name: name, Type: typ, Cause: fmt.Errorf("%s: %w", srv.addr, err)}
		}
		if again {
			continue
		}
		if len(res.rrs) == 0 {
			res.deny(reply, name, typ, r.o.MaxNegativeTTL)
		}
		r.cache.put(fqdn, qtype, res)
		return res, nilable(res.err)
	}
	return nil, &Error{Kind: ErrTemporary, Name: name, Type: typ, Cause: errors.New("too many CNAMEs")}
}

// nilable keeps a nil *Error from becoming an error that is not nil.
func nilable(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}

// take reads one reply: the chain of CNAMEs from res.name, and the records at
// its end. again tells that the chain leads out of the reply.
func (res *result) take(reply *dns.Msg, qtype uint16) (again bool, err error) {
	moved := false
	for range maxChain {
		var next string
		for _, rr := range reply.Answer {
			h := rr.Header()
			if !strings.EqualFold(h.Name, res.name) {
				continue
			}
			if h.Rrtype == qtype {
				res.rrs = append(res.rrs, rr)
				res.lower(h.Ttl)
			} else if c, ok := rr.(*dns.CNAME); ok {
				next = strings.ToLower(c.Target)
				res.lower(h.Ttl)
			}
		}
		if len(res.rrs) > 0 || next == "" {
			return moved && len(res.rrs) == 0 && !denies(reply), nil
		}
		res.name, moved = next, true
	}
	return false, errors.New("CNAMEs go round in circles")
}

// denies tells that a reply is final though it has no records: the name does
// not exist, or the SOA of its zone vouches for that (RFC 2308, section 2.2).
func denies(reply *dns.Msg) bool {
	return reply.Rcode == dns.RcodeNameError || soa(reply) != nil
}

func soa(reply *dns.Msg) *dns.SOA {
	for _, rr := range reply.Ns {
		if s, ok := rr.(*dns.SOA); ok {
			return s
		}
	}
	return nil
}

func (res *result) lower(ttl uint32) {
	res.ttl = min(res.ttl, time.Duration(ttl)*time.Second)
}

// deny makes res a denial, kept as RFC 2308, section 5, says.
func (res *result) deny(reply *dns.Msg, name, typ string, most time.Duration) {
	res.err = &Error{Kind: ErrNoData, Name: name, Type: typ, Secure: res.secure}
	if reply.Rcode == dns.RcodeNameError {
		res.err.Kind = ErrNotFound
	}
	s := soa(reply)
	if s == nil {
		res.cached = false
		return
	}
	res.ttl = min(res.ttl, most)
	res.lower(min(s.Header().Ttl, s.Minttl))
}
