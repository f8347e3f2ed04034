package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"hauspost/appliance/resolver/dnstest"
)

const zone = `
example.test.        SOA ns.example.test. root.example.test. 1 3600 600 86400 60
example.test.        MX 20 mx2.example.test.
example.test.        MX 10 MX1.Example.Test.
example.test.        TXT "v=spf1 " "mx -all"
example.test.        TXT "quote \" back \\ byte \200 end"
mx1.example.test.    A 192.0.2.1
mx1.example.test.    AAAA 2001:db8::1
mx2.example.test.    A 192.0.2.2
www.example.test.    CNAME alias.example.test.
alias.example.test.  CNAME mx1.example.test.
lost.example.test.   CNAME nowhere.example.test.
a.example.test.      CNAME b.example.test.
b.example.test.      CNAME a.example.test.
out.example.test.    60 CNAME far.example.org.
null.example.test.   MX 0 .
odd.example.test.    MX 0 bad\032host.example.test.
nosoa.example.org.   A 192.0.2.9
far.example.org.     A 192.0.2.10
1.2.0.192.in-addr.arpa. PTR mx1.example.test.
2.2.0.192.in-addr.arpa. PTR other.example.test.
2.2.0.192.in-addr.arpa. PTR mx2.example.test.
3.2.0.192.in-addr.arpa. PTR mx2.example.test.
4.2.0.192.in-addr.arpa. PTR bad\010name.example.test.
5.2.0.192.in-addr.arpa. PTR down.example.test.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mx1.example.test.
`

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type rig struct {
	*Resolver
	dns   *dnstest.Server
	clock *clock
}

func newRig(t *testing.T, adjust func(o *Options)) *rig {
	t.Helper()
	r := &rig{dns: dnstest.New(t, zone), clock: &clock{now: time.Unix(1e9, 0)}}
	o := Options{Server: r.dns.Addr(), Now: r.clock.Now, Timeout: 5 * time.Second}
	if adjust != nil {
		adjust(&o)
	}
	var err error
	if r.Resolver, err = New(o); err != nil {
		t.Fatal(err)
	}
	return r
}

// say runs one look-up such as "MX example.test" and prints what it gave.
func (r *rig) say(ctx context.Context, query string) string {
	typ, name, _ := strings.Cut(query, " ")
	var v any
	var err error
	switch typ {
	case "MX":
		var a Answer[MX]
		a, err = r.LookupMX(ctx, name)
		v = a.Records
	case "TXT":
		var a Answer[string]
		a, err = r.LookupTXT(ctx, name)
		v = fmt.Sprintf("%q", a.Records)
	case "IP":
		var a Answer[netip.Addr]
		a, err = r.LookupIP(ctx, name)
		v = a.Records
	case "PTR":
		var a Answer[string]
		a, err = r.LookupPTR(ctx, netip.MustParseAddr(name))
		v = a.Records
	case "confirm":
		v, err = r.Confirm(ctx, netip.MustParseAddr(name))
	default:
		panic(query)
	}
	if err == nil {
		return fmt.Sprint(v)
	}
	var e *Error
	if !errors.As(err, &e) || e.Name == "" && name != "" || e.Type == "" {
		return "bare error " + err.Error()
	}
	for name, kind := range map[string]error{"not found": ErrNotFound, "no data": ErrNoData, "null MX": ErrNullMX,
		"not confirmed": ErrNotConfirmed, "temporary": ErrTemporary} {
		if errors.Is(err, kind) {
			return name
		}
	}
	return "error of no kind " + err.Error()
}

func TestLookups(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Rounds = 1 })
	r.dns.Behave("down.example.test", dnstest.Behaviour{Rcode: dns.RcodeServerFailure})
	r.dns.Behave("refused.example.test", dnstest.Behaviour{Rcode: dns.RcodeRefused})
	for range 2 { // the second time from the cache
		for _, c := range []struct{ query, want string }{
			{"MX example.test", "[{mx1.example.test 10} {mx2.example.test 20}]"},
			{"MX EXAMPLE.TEST.", "[{mx1.example.test 10} {mx2.example.test 20}]"},
			{"MX null.example.test", "null MX"},
			{"MX odd.example.test", "no data"},
			{"MX mx1.example.test", "no data"},
			{"MX nowhere.example.test", "not found"},
			{"MX down.example.test", "temporary"},
			{"MX refused.example.test", "temporary"},
			{"TXT example.test", `["v=spf1 mx -all" "quote \" back \\ byte \xc8 end"]`},
			{"IP mx1.example.test", "[2001:db8::1 192.0.2.1]"},
			{"IP mx2.example.test", "[192.0.2.2]"},
			{"IP www.example.test", "[2001:db8::1 192.0.2.1]"},
			{"IP lost.example.test", "not found"},
			{"IP a.example.test", "temporary"},
			{"IP out.example.test", "[192.0.2.10]"},
			{"IP example.test", "no data"},
			{"IP test", "no data"},
			{"IP nosoa.example.org", "[192.0.2.9]"},
			{"IP down.example.test", "temporary"},
			{"IP ", "not found"},
			{"IP a..b", "not found"},
			{"IP " + strings.Repeat("x", 64) + ".test", "not found"},
			{"PTR 192.0.2.1", "[mx1.example.test]"},
			{"PTR ::ffff:192.0.2.1", "[mx1.example.test]"},
			{"PTR 192.0.2.4", "no data"},
			{"PTR 192.0.2.99", "not found"},
			{"confirm 192.0.2.1", "mx1.example.test"},
			{"confirm 192.0.2.2", "mx2.example.test"},
			{"confirm 192.0.2.3", "not confirmed"},
			{"confirm 192.0.2.4", "no data"},
			{"confirm 192.0.2.5", "temporary"},
			{"confirm 192.0.2.6", "not found"},
			{"confirm 2001:db8::1", "mx1.example.test"},
		} {
			if got := r.say(t.Context(), c.query); got != c.want {
				t.Errorf("%s: %s, want %s", c.query, got, c.want)
			}
		}
	}
	a, err := r.LookupIP(t.Context(), "www.example.test")
	if err != nil || a.Name != "mx1.example.test" {
		t.Errorf("the name at the end is %q (%v)", a.Name, err)
	}
}

func TestTruncationGoesToTCP(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	var big strings.Builder
	for i := range 100 {
		fmt.Fprintf(&big, "big.test. TXT \"%03d %s\"\n", i, strings.Repeat("x", 100))
	}
	if err := r.dns.SetZone(zone + big.String()); err != nil {
		t.Fatal(err)
	}
	if a, err := r.LookupTXT(t.Context(), "big.test"); err != nil || len(a.Records) != 100 {
		t.Errorf("%d records, %v", len(a.Records), err)
	}
	if n := r.dns.Queries("big.test", "TXT"); n != 2 {
		t.Errorf("%d queries, want one over UDP and one over TCP", n)
	}
	// Too long for the cache: asked anew.
	if _, err := r.LookupTXT(t.Context(), "big.test"); err != nil || r.dns.Queries("big.test", "TXT") != 4 {
		t.Errorf("%d queries for a second look-up (%v)", r.dns.Queries("big.test", "TXT"), err)
	}
	r.dns.Behave("mx2.example.test", dnstest.Behaviour{Truncate: true})
	if got := r.say(t.Context(), "IP mx2.example.test"); got != "[192.0.2.2]" {
		t.Errorf("cut off to nothing: %s", got)
	}
}

func TestOldServerWithoutEDNS(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.dns.Behave(".", dnstest.Behaviour{NoEDNS: true})
	if got := r.say(t.Context(), "MX example.test"); got != "[{mx1.example.test 10} {mx2.example.test 20}]" {
		t.Error(got)
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Timeout = 100 * time.Millisecond })
	r.dns.Behave("mx2.example.test", dnstest.Behaviour{Drop: 1})
	if a, err := r.lookupA(t.Context(), "mx2.example.test"); err != nil || len(a.Records) != 1 {
		t.Errorf("after one lost packet: %v %v", a, err)
	}
	r.dns.Behave("mx1.example.test", dnstest.Behaviour{Drop: -1})
	if got := r.say(t.Context(), "MX mx1.example.test"); got != "temporary" {
		t.Errorf("without any answer: %s", got)
	}
	if n := r.dns.Queries("mx1.example.test", "MX"); n != 2 {
		t.Errorf("%d queries in two rounds", n)
	}
	r.dns.Behave("null.example.test", dnstest.Behaviour{Stranger: true})
	if got := r.say(t.Context(), "MX null.example.test"); got != "temporary" {
		t.Errorf("an answer to another question: %s", got)
	}
}

func TestServersInTurn(t *testing.T) {
	t.Parallel()
	bad := dnstest.New(t, zone)
	bad.Behave(".", dnstest.Behaviour{Rcode: dns.RcodeServerFailure})
	good := dnstest.New(t, zone)
	r, err := New(Options{Server: bad.Addr() + ", " + good.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mx1.example.test", "mx2.example.test"} {
		if _, err := r.lookupA(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if n := bad.Queries("", "A"); n != 1 {
		t.Errorf("the failing server was asked %d times, want once", n)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Timeout = time.Hour })
	r.dns.Behave("example.test", dnstest.Behaviour{Drop: -1})
	ctx, cancel := context.WithCancel(t.Context())
	stop := context.AfterFunc(t.Context(), cancel)
	defer stop()
	go func() {
		for r.dns.Queries("example.test", "MX") == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := r.LookupMX(ctx, "example.test")
	if !errors.Is(err, ErrTemporary) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.MaxTTL = 200 * time.Second; o.Cached = 3 })
	asked := func(query, name, typ string, want int) {
		t.Helper()
		r.say(t.Context(), query)
		if n := r.dns.Queries(name, typ); n != want {
			t.Fatalf("%s: %d queries so far, want %d", query, n, want)
		}
	}
	asked("MX example.test", "example.test", "MX", 1)
	asked("MX Example.Test.", "example.test", "MX", 1)
	r.clock.Add(150 * time.Second)
	if a, err := r.LookupMX(t.Context(), "example.test"); err != nil || a.TTL != 50*time.Second {
		t.Errorf("TTL left: %v (%v)", a.TTL, err)
	}
	r.clock.Add(50 * time.Second)
	asked("MX example.test", "example.test", "MX", 2)

	// The shortest TTL of a chain counts, and a denial lives as its SOA says.
	asked("MX out.example.test", "out.example.test", "MX", 1)
	asked("MX nowhere.example.test", "nowhere.example.test", "MX", 1)
	r.clock.Add(59 * time.Second)
	asked("MX nowhere.example.test", "nowhere.example.test", "MX", 1)
	r.clock.Add(time.Second)
	asked("MX nowhere.example.test", "nowhere.example.test", "MX", 2)

	// Without an SOA nothing says for how long, and faults are never kept.
	asked("MX nosoa.example.org", "nosoa.example.org", "MX", 1)
	asked("MX nosoa.example.org", "nosoa.example.org", "MX", 2)
	r.dns.Behave("mx1.example.test", dnstest.Behaviour{Rcode: dns.RcodeServerFailure})
	asked("MX mx1.example.test", "mx1.example.test", "MX", 2)
	asked("MX mx1.example.test", "mx1.example.test", "MX", 4)

	for i := range 10 {
		asked(fmt.Sprintf("MX n%d.example.test", i), fmt.Sprintf("n%d.example.test", i), "MX", 1)
	}
	if n, m := len(r.cache.items), r.cache.order.Len(); n != 3 || m != 3 {
		t.Errorf("%d answers are kept (%d in order), want 3", n, m)
	}
	off := newRig(t, func(o *Options) { o.Cached = -1 })
	off.say(t.Context(), "MX example.test")
	off.say(t.Context(), "MX example.test")
	if n := off.dns.Queries("example.test", "MX"); n != 2 {
		t.Errorf("%d queries without a cache", n)
	}
}

func TestSecure(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Cached = -1 })
	secure := func() (mx, ip, denial bool) {
		t.Helper()
		a, err := r.LookupMX(t.Context(), "example.test")
		if err != nil {
			t.Fatal(err)
		}
		b, err := r.LookupIP(t.Context(), "mx2.example.test")
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.LookupMX(t.Context(), "nowhere.example.test")
		var e *Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		return a.Secure, b.Secure, e.Secure
	}
	if mx, ip, denial := secure(); mx || ip || denial {
		t.Error("secure without the AD bit")
	}
	r.dns.Behave(".", dnstest.Behaviour{AD: true})
	if mx, ip, denial := secure(); !mx || !ip || !denial {
		t.Error("the AD bit of a server on loopback is lost:", mx, ip, denial)
	}
	// A chain in one answer is proven by the one bit.
	if err := r.dns.SetZone("c.test. CNAME d.test.\nd.test. CNAME e.test.\ne.test. MX 1 m.test."); err != nil {
		t.Fatal(err)
	}
	if a, err := r.LookupMX(t.Context(), "c.test"); err != nil || !a.Secure {
		t.Errorf("a proven chain: %v %v", a, err)
	}
	for i := range r.fixed {
		r.fixed[i].loopback = false // as if it were elsewhere
	}
	if a, err := r.LookupMX(t.Context(), "c.test"); err != nil || a.Secure {
		t.Errorf("the AD bit of a server elsewhere is believed: %v %v", a, err)
	}
}

// Some forwarders give only the first link.
func TestChainOverSeveralAnswers(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	srv := &dns.Server{PacketConn: pc, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		name := q.Question[0].Name
		mu.Lock()
		asked = append(asked, name)
		mu.Unlock()
		line := map[string]string{"a.test.": "a.test. 60 CNAME b.test.", "b.test.": "b.test. 60 CNAME c.test.", "c.test.": "c.test. 60 TXT end"}[name]
		rr, err := dns.NewRR(line)
		if err == nil {
			m.Answer = append(m.Answer, rr)
		}
		m.AuthenticatedData = name != "b.test."
		_ = w.WriteMsg(m)
	})}
	go func() { _ = srv.ActivateAndServe() }()
	<-started
	defer srv.Shutdown()
	r, err := New(Options{Server: pc.LocalAddr().String()})
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.LookupTXT(t.Context(), "a.test")
	if err != nil || a.Records[0] != "end" || a.Name != "c.test" || a.Secure {
		t.Errorf("%+v %v", a, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(asked, " "); got != "a.test. b.test. c.test." {
		t.Errorf("asked for %s", got)
	}
}

func TestServerNames(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:53 false", "192.0.2.1:5353": "192.0.2.1:5353 false", "::1": "[::1]:53 true",
		"[::1]": "[::1]:53 true", "[2001:db8::1]:54": "[2001:db8::1]:54 false", "127.1.2.3": "127.1.2.3:53 true",
	} {
		r, err := New(Options{Server: given})
		if err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		if s := r.servers()[0]; fmt.Sprint(s.addr, " ", s.loopback) != want {
			t.Errorf("%s: %v, want %s", given, s, want)
		}
	}
	if _, err := New(Options{Server: "dns.example.test"}); err == nil || !strings.Contains(err.Error(), "dns.example.test") {
		t.Errorf("a name for a name server: %v", err)
	}
}

func TestResolvConf(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "resolv.conf")
	r := newRig(t, func(o *Options) { o.Server = ""; o.ResolvConf = file })
	want := func(want string) {
		t.Helper()
		var got []string
		for _, s := range r.servers() {
			got = append(got, s.addr)
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("servers are %s, want %s", g, want)
		}
	}
	want("127.0.0.1:53")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("search example.test\nnameserver 192.0.2.1\n# x\nnameserver 2001:db8::1\nnameserver nonsense\n")
	want("127.0.0.1:53") // looked at a moment ago
	r.clock.Add(recheck)
	want("192.0.2.1:53 [2001:db8::1]:53")
	write("nameserver 192.0.2.77\n")
	r.clock.Add(recheck)
	want("192.0.2.77:53")
}

// Both families must be proven for the whole to be, also that one is not there,
// and the shorter TTL counts.
func TestBothFamilies(t *testing.T) {
	t.Parallel()
	a, err := dns.NewRR("h.test. 60 A 192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	aaaa, err := dns.NewRR("h.test. 60 AAAA 2001:db8::1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		secure4, secure6, none6 bool
		want                    bool
	}{
		{true, true, false, true}, {true, false, false, false}, {false, true, false, false},
		{true, true, true, true}, {true, false, true, false}, {false, true, true, false},
	} {
		r := newRig(t, nil)
		r.cache.put("h.test.", dns.TypeA, &result{rrs: []dns.RR{a}, name: "h.test.", secure: c.secure4, ttl: 50 * time.Second, cached: true})
		six := &result{rrs: []dns.RR{aaaa}, name: "h.test.", secure: c.secure6, ttl: 90 * time.Second, cached: true}
		if c.none6 {
			six.rrs, six.err = nil, &Error{Kind: ErrNoData, Secure: c.secure6}
		}
		r.cache.put("h.test.", dns.TypeAAAA, six)
		got, err := r.LookupIP(t.Context(), "h.test")
		if err != nil || got.Secure != c.want || got.TTL != 50*time.Second {
			t.Errorf("%+v: secure %v, TTL %v, %v", c, got.Secure, got.TTL, err)
		}
	}
}
