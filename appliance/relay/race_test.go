package relay

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"
)

// track is a place to race in: every dial waits for its result.
type track struct {
	mu      sync.Mutex
	results map[string]chan error
	started chan string
	closed  chan string
	fire    func()
}

func newTrack() *track {
	return &track{results: map[string]chan error{}, started: make(chan string, 10), closed: make(chan string, 10)}
}

func (k *track) result(ip string) chan error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.results[ip] == nil {
		k.results[ip] = make(chan error, 1)
	}
	return k.results[ip]
}

type lane struct {
	net.Conn
	ip string
	k  *track
}

func (l lane) Close() error {
	l.k.closed <- l.ip
	return nil
}

func (k *track) client() *Client {
	return New(Options{
		Hostname: "box.example", Limits: Limits{Idle: -1},
		Dial: func(_ context.Context, ap netip.AddrPort) (net.Conn, error) {
			ip := ap.Addr().String()
			k.started <- ip
			if err := <-k.result(ip); err != nil {
				return nil, err
			}
			return lane{ip: ip, k: k}, nil
		},
		After: func(_ time.Duration, fire func()) func() bool {
			k.mu.Lock()
			k.fire = fire
			k.mu.Unlock()
			return func() bool { return true }
		},
	})
}

// tick lets the time of a head start pass.
func (k *track) tick() {
	k.mu.Lock()
	fire := k.fire
	k.mu.Unlock()
	fire()
}

func addrs(ips ...string) (list []netip.AddrPort) {
	for _, ip := range ips {
		list = append(list, netip.AddrPortFrom(netip.MustParseAddr(ip), 25))
	}
	return list
}

type finish struct {
	nc   net.Conn
	at   netip.AddrPort
	rest []netip.AddrPort
	errs map[netip.AddrPort]error
}

func (k *track) race(list []netip.AddrPort) chan finish {
	done := make(chan finish, 1)
	go func() {
		var f finish
		f.nc, f.at, f.rest, f.errs = k.client().race(context.Background(), list)
		done <- f
	}()
	return done
}

func (k *track) wantStart(t *testing.T, ip string) {
	t.Helper()
	if got := <-k.started; got != ip {
		t.Fatalf("started %s, want %s", got, ip)
	}
}

// TestRace: the second address gets its chance after the head start of the
// first, no third one runs beside them, the loser is closed.
func TestRace(t *testing.T) {
	t.Parallel()
	k := newTrack()
	done := k.race(addrs("2001:db8::1", "192.0.2.1", "192.0.2.2"))
	k.wantStart(t, "2001:db8::1")
	k.tick()
	k.wantStart(t, "192.0.2.1")
	k.tick()
	k.result("192.0.2.1") <- nil
	f := <-done
	if f.at.Addr().String() != "192.0.2.1" || len(f.errs) != 0 || len(f.rest) != 2 {
		t.Errorf("%+v", f)
	}
	if len(k.started) != 0 {
		t.Errorf("a third address was dialled: %s", <-k.started)
	}
	k.result("2001:db8::1") <- nil
	if got := <-k.closed; got != "2001:db8::1" {
		t.Errorf("%s was closed", got)
	}
}

// TestRaceGoesOn: an address that fails lets the next one start at once.
func TestRaceGoesOn(t *testing.T) {
	t.Parallel()
	k := newTrack()
	list := addrs("2001:db8::1", "192.0.2.1", "192.0.2.2")
	done := k.race(list)
	k.wantStart(t, "2001:db8::1")
	k.result("2001:db8::1") <- syscall.ECONNREFUSED
	k.wantStart(t, "192.0.2.1")
	k.result("192.0.2.1") <- nil
	f := <-done
	if f.at != list[1] || len(f.errs) != 1 || f.errs[list[0]] == nil || len(f.rest) != 1 || f.rest[0] != list[2] {
		t.Errorf("%+v", f)
	}
	k = newTrack()
	done = k.race(list[:2])
	k.wantStart(t, "2001:db8::1")
	k.tick()
	k.wantStart(t, "192.0.2.1")
	k.result("192.0.2.1") <- syscall.ECONNREFUSED
	k.result("2001:db8::1") <- syscall.ECONNREFUSED
	if f := <-done; f.nc != nil || len(f.errs) != 2 {
		t.Errorf("%+v", f)
	}
}

// TestFamilies: a server whose IPv6 address takes no connections is reached over
// IPv4, and the other way round.
func TestFamilies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h, err := r.net.Host46("mx1.example", good)
	r.must(err)
	r.domain("far.example", h)
	var dead netip.Addr
	dial := New(Options{}).o.Dial
	r.o.Dial = func(ctx context.Context, ap netip.AddrPort) (net.Conn, error) {
		if ap.Addr() == dead {
			return nil, syscall.ECONNREFUSED
		}
		return dial(ctx, ap)
	}
	r.o.Limits.Idle = -1
	for _, x := range []struct{ dead, want, note string }{
		{"192.0.2.1", "::1", ""},
		{"::1", host4(h), "mx1.example [::1]: connection refused"},
	} {
		dead = netip.MustParseAddr(x.dead)
		res := r.delivered(message(text))
		if res.Addr.Addr().String() != x.want || res.Note != x.note {
			t.Errorf("over %s (%s), want %s (%s)", res.Addr, res.Note, x.want, x.note)
		}
	}
}
