package accounts

import (
	"crypto/rand"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// guard counts wrong passwords and makes those who try many wait.
//
// Every wrong password counts against its address and against its account,
// whether the account exists or not. Two things keep people of the house from
// being locked out by it. An address that logged in to an account before is
// never refused for that account, and never because of what else comes from
// its address; beyond the limit it only gets slow. And the same wrong password
// again is no new guess: a forgotten device that retries an old password for
// ever is neither counted nor hashed a second time.
type guard struct {
	limits Limits
	key    [32]byte // random: nobody can aim at a bucket

	mu      sync.Mutex
	counts  *lru[bucket, *count]
	goodFor *lru[bucket, good]
}

// digest stands for an account or a guess in bounded memory.
type digest [16]byte

// bucket is what is counted together: an address, an account, or both.
type bucket struct {
	addr    netip.Addr
	account digest
}

// count is what is known of the wrong passwords of one bucket.
type count struct {
	fails []time.Time // within the window, oldest first, at most the limit
	seen  []digest    // the last different guesses
	waits int         // how often it had to wait in a row
	until time.Time
}

// good is what is known of a bucket that logged in: when it did so last, and
// what time of that its caller was told to keep.
type good struct{ last, kept time.Time }

// recentGuesses is how many different wrong passwords are recognised when
// they come again: devices with an old password are few.
const recentGuesses = 8

func newGuard(limits Limits) *guard {
	g := &guard{
		limits:  limits,
		counts:  newLRU[bucket, *count](limits.Tracked),
		goodFor: newLRU[bucket, good](limits.Tracked),
	}
	rand.Read(g.key[:])
	return g
}

func (g *guard) digest(parts ...string) (d digest) {
	copy(d[:], mac(g.key[:], parts...))
	return d
}

// visitor is one try at one account from one address.
type visitor struct {
	addr, account, pair bucket
}

func (g *guard) visitor(from netip.Addr, account string) visitor {
	from = from.Unmap().WithZone("")
	if from.Is6() {
		// A household, and a thief's rented server, has a /64 at least.
		if p, err := from.Prefix(64); err == nil {
			from = p.Addr()
		}
	}
	d := g.digest("account", account)
	return visitor{addr: bucket{addr: from}, account: bucket{account: d}, pair: bucket{addr: from, account: d}}
}

// admit tells whether v may try now. If not, until is when it may; slow tells
// that it may, but late.
func (g *guard) admit(v visitor, now time.Time) (until time.Time, slow, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.good(v.pair, now) {
		return until, now.Before(g.waits(v.pair)), true
	}
	until = g.waits(v.account)
	if !g.good(v.addr, now) {
		if u := g.waits(v.addr); u.After(until) {
			until = u
		}
	}
	return until, false, !now.Before(until)
}

func (g *guard) good(b bucket, now time.Time) bool {
	it, ok := g.goodFor.get(b)
	return ok && now.Sub(it.last) < g.limits.GoodFor
}

func (g *guard) waits(b bucket) time.Time {
	if c, ok := g.counts.get(b); ok {
		return c.until
	}
	return time.Time{}
}

// succeeded notes that v logged in. The counts stay: whoever has an account
// here must not use it to win more guesses at another one. keep tells that v is
// new, or was not to be kept for the next start for knownAgain.
func (g *guard) succeeded(v visitor, now time.Time) (keep bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	it, ok := g.goodFor.get(v.pair)
	if keep = !ok || now.Sub(it.kept) >= knownAgain; keep {
		it.kept = now
	}
	it.last = now
	g.goodFor.put(v.pair, it)
	g.goodFor.put(v.addr, it)
	return keep
}

// failed notes a wrong password of v. guess tells one from another; the zero
// guess (SCRAM shows none) is always a new one.
func (g *guard) failed(v visitor, guess digest, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.good(v.pair, now) {
		g.count(v.pair, g.limits.AccountGuesses, guess, now)
		return
	}
	g.count(v.account, g.limits.AccountGuesses, guess, now)
	g.count(v.addr, g.limits.AddressGuesses, guess, now)
}

func (g *guard) count(b bucket, limit int, guess digest, now time.Time) {
	if limit < 0 {
		return
	}
	c, ok := g.counts.get(b)
	if !ok {
		c = new(count)
	}
	g.counts.put(b, c)
	if !c.isNew(guess) {
		return
	}
	if now.Sub(c.until) > g.limits.MaxBackoff {
		c.waits = 0 // it has been quiet for long
	}
	for len(c.fails) > 0 && (now.Sub(c.fails[0]) >= g.limits.Window || len(c.fails) >= limit) {
		c.fails = c.fails[1:]
	}
	c.fails = append(c.fails, now)
	if len(c.fails) < limit {
		return
	}
	wait := g.limits.Backoff
	for i := 0; i < c.waits && wait < g.limits.MaxBackoff; i++ {
		wait *= 2
	}
	wait = min(wait, g.limits.MaxBackoff)
	c.waits++
	c.until = now.Add(wait)
}

// knownWrong tells whether v tried just this a short while ago, in vain.
func (g *guard) knownWrong(v visitor, guess digest) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range []bucket{v.pair, v.account, v.addr} {
		if c, ok := g.counts.get(b); ok && slices.Contains(c.seen, guess) {
			return true
		}
	}
	return false
}

func (c *count) isNew(guess digest) bool {
	if guess == (digest{}) {
		return true
	}
	if slices.Contains(c.seen, guess) {
		return false
	}
	if len(c.seen) == recentGuesses {
		c.seen = c.seen[1:]
	}
	c.seen = append(c.seen, guess)
	return true
}
