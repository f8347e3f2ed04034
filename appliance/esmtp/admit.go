package esmtp

import (
	"math"
	"net/netip"
	"sync"
	"time"

	"hauspost/appliance/reply"
)

// Network gives the unit in which the box counts peers: an IPv4 address, or
// the /64 network of an IPv6 address.
func Network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is4() || !a.IsValid() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}

// Buckets are token buckets by key: each key may have burst events at once and
// regains them evenly within the period. The table is bounded; when it is full
// the keys that have regained everything are forgotten first. Safe for several
// goroutines.
type Buckets[K comparable] struct {
	burst  float64
	period time.Duration
	max    int

	mu   sync.Mutex
	keys map[K]bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

// NewBuckets makes buckets of burst events per period for at most max keys.
func NewBuckets[K comparable](burst int, period time.Duration, max int) *Buckets[K] {
	return &Buckets[K]{burst: float64(burst), period: period, max: max, keys: make(map[K]bucket)}
}

// Take takes one event from key's bucket, or tells that it is empty.
func (b *Buckets[K]) Take(now time.Time, key K) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	k, ok := b.keys[key]
	if !ok {
		if len(b.keys) >= b.max {
			b.forget(now)
		}
		k = bucket{b.burst, now}
	}
	k.tokens, k.at = b.level(k, now), now
	if k.tokens < 1 {
		b.keys[key] = k
		return false
	}
	k.tokens--
	b.keys[key] = k
	return true
}

// Next is when Take will give key another event, if nobody else takes it.
func (b *Buckets[K]) Next(now time.Time, key K) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	k, ok := b.keys[key]
	if !ok {
		return now
	}
	missing := max(1-b.level(k, now), 0)
	return now.Add(time.Duration(math.Ceil(missing / b.burst * float64(b.period))))
}

// Len is the number of keys in the table.
func (b *Buckets[K]) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.keys)
}

func (b *Buckets[K]) level(k bucket, now time.Time) float64 {
	gained := b.burst * float64(max(now.Sub(k.at), 0)) / float64(b.period)
	return min(k.tokens+gained, b.burst)
}

// forget makes room: full buckets go, and if that is not a quarter of the
// table, any others until it is.
func (b *Buckets[K]) forget(now time.Time) {
	for key, k := range b.keys {
		if b.level(k, now) >= b.burst {
			delete(b.keys, key)
		}
	}
	for key := range b.keys {
		if len(b.keys) <= b.max*3/4 {
			break
		}
		delete(b.keys, key)
	}
}

// gate counts connections.
type gate struct {
	limits *Limits
	rates  *Buckets[netip.Addr]

	mu    sync.Mutex
	total int
	per   map[netip.Addr]int
}

func newGate(l *Limits) *gate {
	return &gate{
		limits: l,
		rates:  NewBuckets[netip.Addr](l.ConnectionRate, time.Minute, 10000),
		per:    make(map[netip.Addr]int),
	}
}

// enter counts a connection from a, or says why it cannot come in.
func (g *gate) enter(now time.Time, a netip.Addr) *reply.Reply {
	exempt := g.limits.IsExempt(a)
	network := Network(a)
	if !exempt && !g.rates.Take(now, network) {
		return errTooFast
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total >= g.limits.Connections {
		return errFull
	}
	if !exempt && g.per[network] >= g.limits.ConnectionsPerAddress {
		return errFullForAddress
	}
	g.total++
	g.per[network]++
	return nil
}

func (g *gate) leave(a netip.Addr) {
	network := Network(a)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.per[network]--; g.per[network] == 0 {
		delete(g.per, network)
	}
}

// stressed tells that few connections are left.
func (g *gate) stressed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.total > g.limits.Connections/4*3
}

func (g *gate) active() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.total
}
