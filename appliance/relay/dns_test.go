package relay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"hauspost/appliance/envelope"
	"hauspost/appliance/relay/testnet"
	"hauspost/appliance/resolver"
	"hauspost/appliance/resolver/dnstest"
	"hauspost/appliance/transfer"
)

// dnsCases are all that a real name server can say of a destination.
var dnsCases = map[string]struct {
	prepare func(r *rig)
	want    string
	note    string
}{
	"the domain itself": {func(r *rig) {
		h := r.host("mx1.example", good)
		r.must(r.net.Records("far.example. A " + host4(h)))
	}, "delivered 2.0.0", ""},
	"only IPv6": {func(r *rig) {
		h, err := r.net.Host6("mx6.example", good)
		r.must(err)
		r.domain("far.example", h)
	}, "delivered 2.0.0", ""},
	"IPv6 left out": {func(r *rig) {
		h, err := r.net.Host6("mx6.example", good)
		r.must(err)
		r.domain("far.example", h)
		r.o.NoIPv6 = true
	}, "deferred destination no-server 4.4.1", ""},
	"null MX": {func(r *rig) { r.must(r.net.NullMX("far.example")) }, "failed destination null-mx 5.1.10", ""},
	"no domain": {func(r *rig) {
		r.must(r.net.Records("else.example. A 127.0.0.1"))
	}, "failed destination dns-missing 5.1.2", ""},
	"nothing there": {func(r *rig) {
		r.must(r.net.Records(`far.example. TXT "no mail"`))
	}, "failed destination dns-missing 5.4.4", ""},
	"MX without address": {func(r *rig) {
		r.must(r.net.Records("far.example. MX 10 gone.example."))
	}, "failed destination dns-missing 5.4.4", ""},
	"MX without address, then one": {func(r *rig) {
		h := r.host("mx1.example", good)
		r.must(r.net.Records("far.example. MX 5 gone.example."))
		r.domain("far.example", h)
	}, "delivered 2.0.0", "gone.example: the mail server gone.example has no address in the DNS"},
	"the owner's server is not there": {func(r *rig) {
		r.o.Routes = []Route{{To: []string{"*"}, Host: "smtp.gone.example"}}
	}, "deferred destination no-smarthost 4.3.5", ""},
	"an address that cannot be": {func(r *rig) {
		r.must(r.net.Records("far.example. MX 10 odd.example.", "odd.example. A 0.0.0.0", "odd.example. A 224.0.0.1", "odd.example. AAAA fe80::1"))
	}, "failed destination bad-address 5.4.4", ""},
	"loopback": {func(r *rig) {
		r.domain("far.example", r.host("mx1.example", good))
		r.o.AllowLoopback = false
	}, "failed destination bad-address 5.4.4", ""},
	"no connection": {func(r *rig) {
		ip, err := r.net.Nowhere()
		r.must(err)
		r.must(r.net.Records("far.example. MX 10 dead.example.", "dead.example. A "+ip))
	}, "deferred destination no-server 4.4.1", ""},
	"this box alone": {func(r *rig) {
		r.must(r.net.Records("far.example. MX 10 box.example.", "far.example. MX 20 mx1.example."))
	}, "failed destination loop 5.4.6", ""},
	"this box after another": {func(r *rig) {
		r.host("mx9.example", good)
		r.domain("far.example", r.host("mx1.example", says("connect", "421 later")))
		r.must(r.net.Records("far.example. MX 20 box.example.", "far.example. MX 30 mx9.example."))
	}, "deferred destination refused-connection", ""},
	"trouble with MX": {func(r *rig) {
		r.net.DNS().Behave("far.example", dnstest.Behaviour{Rcode: 2})
	}, "deferred destination dns-trouble 4.4.3", ""},
	"trouble with one of two hosts": {func(r *rig) {
		r.must(r.net.Records("far.example. MX 10 gone.example.", "far.example. MX 20 slow.example.", "slow.example. A 127.0.0.1"))
		r.net.DNS().Behave("slow.example", dnstest.Behaviour{Rcode: 2})
	}, "deferred destination dns-trouble 4.4.3", "gone.example: the mail server gone.example has no address in the DNS"},
	"no DNS at all": {func(r *rig) {
		r.net.DNS().Behave(".", dnstest.Behaviour{Rcode: 2})
	}, "deferred local dns-trouble 4.4.3", ""},
}

// TestDNS tries dnsCases.
func TestDNS(t *testing.T) {
	t.Parallel()
	for name, c := range dnsCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			c.prepare(r)
			o, res := r.outcome(message(text))
			r.expect(o, c.want)
			if c.note != "" && res.Note != c.note {
				t.Errorf("note: %q, want %q", res.Note, c.note)
			}
			if o.Code == 0 && (res.Host != "" || res.Addr.IsValid()) {
				t.Errorf("nobody was reached, and it names %s %s", res.Host, res.Addr)
			}
		})
	}
}

func host4(h *testnet.Host) string {
	ip, _, _ := net.SplitHostPort(h.Addr())
	return ip
}

// TestRequireTLSWithDNSSEC: the promise of REQUIRETLS needs a secure MX.
func TestRequireTLSWithDNSSEC(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := r.host("mx1.example", testnet.Behaviour{With: []string{"REQUIRETLS"}})
	r.domain("far.example", h)
	r.net.DNS().Behave("far.example", dnstest.Behaviour{AD: true})
	m := message(text)
	m.RequireTLS = true
	res := r.delivered(m)
	if got := h.Messages()[0].FromParams; got != "SIZE=54 REQUIRETLS" || res.TLS == "" {
		t.Errorf("%q over %q", got, res.TLS)
	}
	if res = r.delivered(m); !res.Reused {
		t.Error("a second one does not use the connection")
	}
	r.net.DNS().Behave("far.example", dnstest.Behaviour{})
	if o, _ := r.outcome(m); o.Status != transfer.Delivered {
		t.Errorf("over a connection whose way was proven: %s", show(o))
	}
}

// TestLiteral: mail for an IP address is never sent, whatever the route.
func TestLiteral(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.o.Dial = func(context.Context, netip.AddrPort) (net.Conn, error) {
		t.Error("it was dialled")
		return nil, syscall.ECONNREFUSED
	}
	r.o.Routes = []Route{{To: []string{"*"}, Host: "127.0.0.3"}}
	m := message(text)
	m.Domain, m.Recipients = "[127.0.0.3]", []envelope.Recipient{{Address: envelope.MustAddress("x@[127.0.0.3]")}}
	o, _ := r.outcome(m)
	r.expect(o, "failed recipient address-literal 5.1.2")
}

// names is a Resolver that answers from maps.
type names struct {
	mx  map[string][]resolver.MX
	ip  map[string][]string
	err error
}

func (n names) LookupMX(_ context.Context, domain string) (a resolver.Answer[resolver.MX], err error) {
	if n.err != nil {
		return a, n.err
	}
	if a.Records = slices.Clone(n.mx[domain]); a.Records == nil {
		return a, &resolver.Error{Kind: resolver.ErrNoData, Name: domain, Type: "MX"}
	}
	return a, nil
}

func (n names) LookupIP(_ context.Context, host string) (a resolver.Answer[netip.Addr], err error) {
	for _, s := range n.ip[host] {
		a.Records = append(a.Records, netip.MustParseAddr(s))
	}
	if a.Records == nil {
		return a, &resolver.Error{Kind: resolver.ErrNotFound, Name: host, Type: "A"}
	}
	return a, nil
}

// TestCaps: of many hosts with many addresses only so many are dialled, equal
// ones in random order, IPv6 and IPv4 in turn.
func TestCaps(t *testing.T) {
	t.Parallel()
	n := names{mx: map[string][]resolver.MX{}, ip: map[string][]string{}}
	for i := range 8 {
		name := string(rune('a'+i)) + ".example"
		n.mx["far.example"] = append(n.mx["far.example"], resolver.MX{Host: name, Preference: uint16(10 + i/2)})
		n.ip[name] = []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2", "2001:db8::3"}
	}
	r := newRig(t)
	r.o.Resolver = n
	r.o.AllowLoopback = false
	r.o.Shuffle = func(n int, swap func(i, j int)) {
		if n != 2 {
			t.Errorf("%d hosts are equal", n)
		}
		swap(0, n-1)
	}
	dialled := make(chan string, 100)
	r.o.Dial = func(_ context.Context, ap netip.AddrPort) (net.Conn, error) {
		dialled <- ap.Addr().String()
		return nil, syscall.ECONNREFUSED
	}
	o, res := r.outcome(message(text))
	r.expect(o, "deferred destination no-server 4.4.1")
	if want := "b.example [2001:db8::1]: connection refused"; o.Answer != want {
		t.Errorf("the answer is %q, want %q", o.Answer, want)
	}
	if len(dialled) != 5*4 {
		t.Errorf("%d addresses were dialled", len(dialled))
	}
	for _, want := range []string{"2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2"} {
		if got := <-dialled; got != want {
			t.Errorf("dialled %s, want %s", got, want)
		}
	}
	if res.Host != "" || res.Note == "" {
		t.Errorf("%+v", res)
	}
}

// TestNoNetwork: what is this machine's fault does not count against anybody.
func TestNoNetwork(t *testing.T) {
	t.Parallel()
	wrap := func(e error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: e} }
	for name, c := range map[string]struct {
		ips   []string
		err   error
		route bool
		want  string
	}{
		"no route":             {[]string{"192.0.2.1", "192.0.2.2"}, wrap(syscall.ENETUNREACH), false, "deferred local local 4.4.1"},
		"no IPv6":              {[]string{"2001:db8::1"}, wrap(syscall.ENETUNREACH), false, "deferred destination no-server 4.4.1"},
		"neither":              {[]string{"2001:db8::1", "192.0.2.1"}, wrap(syscall.ENETUNREACH), false, "deferred destination no-server 4.4.1"},
		"the host is gone":     {[]string{"192.0.2.1"}, wrap(syscall.EHOSTUNREACH), false, "deferred destination no-server 4.4.1"},
		"no sockets left":      {[]string{"192.0.2.1"}, wrap(syscall.EMFILE), false, "deferred local local 4.4.1"},
		"it takes too long":    {[]string{"192.0.2.1"}, wrap(context.DeadlineExceeded), false, "deferred destination no-server 4.4.1"},
		"a route by number":    {nil, wrap(syscall.EHOSTUNREACH), true, "deferred local local 4.4.1"},
		"a router says no":     {[]string{"192.0.2.1"}, wrap(syscall.ECONNREFUSED), false, "deferred destination no-server 4.4.1"},
		"something unheard of": {[]string{"192.0.2.1"}, errors.New("the sky falls"), false, "deferred destination no-server 4.4.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.o.Resolver = names{ip: map[string][]string{"far.example": c.ips}}
			if c.route {
				r.o.Routes = []Route{{To: []string{"*"}, Host: "192.0.2.9"}}
			}
			r.o.Dial = func(context.Context, netip.AddrPort) (net.Conn, error) { return nil, c.err }
			o, _ := r.outcome(message(text))
			r.expect(o, c.want)
		})
	}
}
