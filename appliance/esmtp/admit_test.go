package esmtp

import (
	"net/netip"
	"testing"
	"time"

	"hauspost/appliance/esmtp/dialogue"
	"hauspost/appliance/reply"
)

func TestBuckets(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	b := NewBuckets[string](3, time.Minute, 4)
	take := func(key string, want bool) {
		t.Helper()
		if b.Take(now, key) != want {
			t.Fatalf("Take(%q) is not %v", key, want)
		}
	}
	for range 3 {
		take("a", true)
	}
	take("a", false)
	take("b", true)
	now = now.Add(19 * time.Second)
	take("a", false)
	now = now.Add(time.Second)
	take("a", true)
	take("a", false)
	// A clock that goes back takes nothing away and gives nothing.
	now = now.Add(-time.Hour)
	take("a", false)
	now = now.Add(time.Hour)
	for _, key := range []string{"c", "d", "e", "f", "g", "h"} {
		take(key, true)
		if b.Len() > 4 {
			t.Fatalf("%d keys", b.Len())
		}
	}
	now = now.Add(time.Hour)
	for range 3 {
		take("a", true)
	}
	take("a", false)
}

// TestBucketsKeepTheEmptyOnes: a full table forgets those who have regained
// everything first, so that a flood of others does not free a peer that is
// over its rate.
func TestBucketsKeepTheEmptyOnes(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	b := NewBuckets[int](2, time.Minute, 8)
	for key := 1; key < 8; key++ {
		b.Take(now, key)
	}
	now = now.Add(50 * time.Second)
	b.Take(now, 0)
	b.Take(now, 0)
	b.Take(now, 100)
	if b.Take(now, 0) {
		t.Error("the empty bucket was forgotten")
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		if got := Network(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("Network(%s) = %s, want %s", in, got, want)
		}
	}
	if Network(netip.Addr{}).IsValid() {
		t.Error("the zero address became a network")
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	l := Limits{
		Connections: 4, ConnectionsPerAddress: 2, ConnectionRate: 3,
		Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}.WithDefaults()
	g := newGate(&l)
	enter := func(addr string, want *reply.Reply) {
		t.Helper()
		if got := g.enter(now, netip.MustParseAddr(addr)); got != want {
			t.Fatalf("%s: %v, want %v", addr, got, want)
		}
	}
	enter("2001:db8::1", nil)
	enter("2001:db8::2", nil)
	enter("2001:db8::3", errFullForAddress)
	g.leave(netip.MustParseAddr("2001:db8::9"))
	enter("2001:db8::3", errTooFast)
	enter("2001:db8:0:1::3", nil)
	enter("10.0.0.1", nil)
	enter("::ffff:10.0.0.1", nil)
	enter("10.0.0.1", errFull)
	if g.active() != 4 {
		t.Errorf("%d are active", g.active())
	}
	for range 2 {
		g.leave(netip.MustParseAddr("10.0.0.1"))
	}
	g.leave(netip.MustParseAddr("2001:db8::1"))
	g.leave(netip.MustParseAddr("2001:db8:0:1::1"))
	if g.active() != 0 || len(g.per) != 0 {
		t.Errorf("%d are active, %d networks are kept", g.active(), len(g.per))
	}
}

func TestLimitsDefaults(t *testing.T) {
	t.Parallel()
	d := Limits{}.WithDefaults()
	if d.MessageSize != 50<<20 || d.CommandTimeout != 5*time.Minute || d.Recipients != 100 || d.GreetPause != 0 {
		t.Errorf("defaults are %+v", d)
	}
	n := Limits{Connections: -1, MessageSize: -1, CommandTimeout: -1, TarpitStep: -1, ContentRate: -1}.WithDefaults()
	if n.Connections != unlimited || n.MessageSize != 50<<20 || n.CommandTimeout != never || n.TarpitStep != 0 {
		t.Errorf("without limits: %+v", n)
	}
	if p := (&pace{waited: time.Hour}).patience(&n); p != n.ContentTimeout {
		t.Errorf("without a rate the patience is %v", p)
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	l := Limits{ContentTimeout: time.Minute, ContentGrace: 10 * time.Second, ContentRate: 100}.WithDefaults()
	for _, c := range []struct {
		p    pace
		want time.Duration
	}{
		{pace{}, 10 * time.Second},
		{pace{waited: 4 * time.Second}, 6 * time.Second},
		{pace{waited: 11 * time.Second}, -time.Second},
		{pace{waited: 11 * time.Second, octets: 500}, 4 * time.Second},
		{pace{octets: 1 << 40}, time.Minute},
	} {
		if got := c.p.patience(&l); got != c.want {
			t.Errorf("%+v: %v, want %v", c.p, got, c.want)
		}
	}
}

// TestStress: when few connections are left, those that say nothing must go
// soon, but not those that hand a message over.
func TestStress(t *testing.T) {
	t.Parallel()
	s, addr := serve(t, &recorder{}, false, func(o *Options) {
		o.Limits.Connections, o.Limits.ConnectionsPerAddress = 4, 4
		o.Limits.StressTimeout = 50 * time.Millisecond
	})
	var calm []*client
	for range 3 {
		c := dial(t, addr)
		c.hello()
		calm = append(calm, c)
	}
	silent := dial(t, addr)
	silent.want("220 ")
	calm[0].transaction()
	silent.want("421 4.4.2 ")
	silent.wantEnd()
	dialogue.Eventually(t, "there is room again", func() bool { return s.Stats().Active < 4 })
	calm[0].send("RSET\r\n")
	calm[0].want("250 ")
	calm[1].transaction()
}

func TestBucketsNext(t *testing.T) {
	t.Parallel()
	b, now := NewBuckets[string](2, time.Hour, 10), time.Unix(1_800_000_000, 0)
	if at := b.Next(now, "x"); !at.Equal(now) {
		t.Errorf("an unknown key has to wait until %v", at)
	}
	for b.Take(now, "x") {
	}
	at := b.Next(now, "x")
	if wait := at.Sub(now); wait != 30*time.Minute {
		t.Errorf("half an event's hour is %v", wait)
	}
	if b.Take(at.Add(-time.Second), "x") {
		t.Error("taken too early")
	}
	if !b.Take(at, "x") {
		t.Error("not taken when it was promised")
	}
}
