package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const anna = "anna@example.test"

func household(t *testing.T, adjust func(o *Options)) *box {
	t.Helper()
	return newBox(t, adjust).must("domain example.test", "account "+anna, "account bob@example.test")
}

// try gives "in", "wrong", "wait" or an inner fault's text.
func (b *box) try(user, password string, from netip.Addr) string {
	b.t.Helper()
	acc, err := b.Password(context.Background(), user, password, from)
	var wait *TooManyGuesses
	switch {
	case err == nil && acc.ID != "":
		return "in"
	case errors.Is(err, ErrTooManyGuesses) && errors.As(err, &wait) && wait.Until.After(b.clock.Now()):
		return "wait"
	case errors.Is(err, ErrCredentials):
		return "wrong"
	}
	return "fault: " + err.Error()
}

func (b *box) want(want, user, password string, from netip.Addr) {
	b.t.Helper()
	if got := b.try(user, password, from); got != want {
		b.t.Fatalf("%s with %q from %s: %s, want %s", user, password, from, got, want)
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	b := household(t, nil)
	for _, c := range []struct{ want, user, password string }{
		{"in", anna, secret},
		{"in", " ANNA@Example.Test ", secret},
		{"wrong", anna, secret + " "},
		{"wrong", anna, ""},
		{"wrong", "anna", secret},
		{"wrong", "carol@example.test", secret},
		{"wrong", "anna+x@example.test", secret},
		{"wrong", anna, strings.Repeat("x", maxPassword+1)},
		{"wrong", anna, "\xff\x00"},
	} {
		b.want(c.want, c.user, c.password, home)
	}
}

func TestPasswordChanges(t *testing.T) {
	t.Parallel()
	b := household(t, nil)
	const fresh = "quite another one"
	b.want("in", anna, secret, home)
	b.want("wrong", anna, fresh, home)
	if err := b.SetPassword(t.Context(), anna, fresh); err != nil {
		t.Fatal(err)
	}
	b.want("wrong", anna, secret, home)
	b.want("in", anna, fresh, home)
	if err := b.SetDisabled(t.Context(), anna, true); err != nil {
		t.Fatal(err)
	}
	b.want("wrong", anna, fresh, home)
	if got := b.ends(anna); got != anna {
		t.Errorf("mail for the disabled account: %s", got)
	}
	if err := b.SetDisabled(t.Context(), anna, false); err != nil {
		t.Fatal(err)
	}
	b.want("in", anna, fresh, home)
	b.again(nil).want("in", anna, fresh, home)
	if err := b.SetPassword(t.Context(), "carol@example.test", fresh); !errors.Is(err, ErrNotFound) {
		t.Errorf("a password for nobody: %v", err)
	}
}

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	b := household(t, func(o *Options) { o.Limits.MinPassword = 8 })
	for password, says := range map[string]string{
		"":                                 "empty",
		"1234567":                          "at least 8",
		"üüüüüüü":                          "at least 8",
		"u\u0308u\u0308u\u0308u\u0308uuu":  "at least 8",
		"line\nline\nline":                 "control character",
		"tab\ttab\ttab":                    "control character",
		"\xffnotutf8atall":                 "UTF-8",
		strings.Repeat("x", maxPassword+1): "longer than",
	} {
		err := b.SetPassword(t.Context(), anna, password)
		if !errors.Is(err, ErrPassword) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want a refusal that says %q", password, err, says)
		}
	}
	b.want("in", anna, secret, home)
	// The same word however the keyboard composes it, and words that SASLprep
	// does not know.
	for set, typed := range map[string]string{"Übergrößen": "U\u0308bergro\u0308ßen", "🐎🔋🐎🔋🐎🔋🐎🔋": "🐎🔋🐎🔋🐎🔋🐎🔋"} {
		if err := b.SetPassword(t.Context(), anna, set); err != nil {
			t.Fatal(err)
		}
		b.want("in", anna, typed, home)
	}
}

func TestNewPassword(t *testing.T) {
	t.Parallel()
	b := household(t, nil)
	seen := map[string]bool{}
	for range 100 {
		p := NewPassword()
		if seen[p] || len(p) != 19 || strings.Trim(p, "23456789abcdefghjkmnpqrstuvwxyz-") != "" {
			t.Fatalf("password %q", p)
		}
		seen[p] = true
	}
	for p := range seen {
		if err := b.SetPassword(t.Context(), anna, p); err != nil {
			t.Fatal(err)
		}
		b.want("in", anna, p, home)
		break
	}
}

// stored reads an account's document.
func (b *box) stored(address string) (credentials, string) {
	b.t.Helper()
	acc, err := b.Find(context.Background(), address)
	if err != nil {
		b.t.Fatal(err)
	}
	raw, err := b.store.Get(context.Background(), kindAccount, acc.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	var p person
	if err := json.Unmarshal(raw, &p); err != nil {
		b.t.Fatal(err)
	}
	return p.Credentials, string(raw)
}

func TestUpgradeAtLogin(t *testing.T) {
	t.Parallel()
	b := household(t, nil)
	before, raw := b.stored(anna)
	if strings.Contains(raw, secret) {
		t.Fatal("the password is kept")
	}
	dear := b.again(func(o *Options) { o.Hash = HashCost{Memory: 128, Passes: 2, Threads: 1, Iterations: 5000} })
	dear.want("wrong", anna, "something else", home)
	if after, _ := b.stored(anna); after.meets(dear.cost) {
		t.Fatal("a wrong password upgraded the hash")
	}
	dear.want("in", anna, secret, home)
	after, _ := b.stored(anna)
	if !after.meets(dear.cost) || string(after.Argon2.Hash) == string(before.Argon2.Hash) {
		t.Errorf("kept after the login: %+v", after.Argon2)
	}
	dear.again(nil).want("in", anna, secret, home)
}

// A password that was right is not hashed again for a while, and again after
// that; a wrong one not as long as it is remembered.
func TestHashingIsSpared(t *testing.T) {
	t.Parallel()
	b := household(t, nil)
	b.want("in", anna, secret, home)
	b.want("wrong", anna, "not it, sorry", home)
	for range cap(b.hashing) {
		b.hashing <- struct{}{} // nobody can hash any more
	}
	b.want("in", anna, secret, netip.MustParseAddr("192.0.2.99"))
	b.want("wrong", anna, "not it, sorry", home)
	hashes := func(password string) bool {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := b.Password(ctx, anna, password, home)
		return errors.Is(err, context.Canceled)
	}
	if !hashes("another wrong one") {
		t.Error("a new password is not hashed")
	}
	b.clock.Add(b.limits.Remember)
	if !hashes(secret) {
		t.Error("a password is remembered beyond its time")
	}
}

func TestMemoryOfHashingIsGivenBack(t *testing.T) {
	t.Parallel()
	b := household(t, nil)
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	b.want("in", anna, secret, home)
	now := before
	for end := time.Now().Add(20 * time.Second); now.NumForcedGC == before.NumForcedGC; {
		if runtime.ReadMemStats(&now); time.Now().After(end) {
			t.Fatal("the memory is kept")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func guesses(o *Options) { o.Limits.AddressGuesses, o.Limits.AccountGuesses = 3, 5 }

// wrong makes n different wrong guesses, each of which must be looked at.
func (b *box) wrong(n int, user string, from netip.Addr) {
	b.t.Helper()
	for range n {
		b.want("wrong", user, "guess "+NewPassword(), from)
	}
}

var thief = netip.MustParseAddr("203.0.113.5")

func TestGuessesPerAddress(t *testing.T) {
	t.Parallel()
	b := household(t, guesses)
	b.wrong(2, anna, thief)
	b.clock.Add(b.limits.Window)
	b.wrong(3, "carol@example.test", thief) // the first two are past
	b.want("wait", anna, secret, thief)
	b.want("wait", "bob@example.test", secret, netip.MustParseAddr("::ffff:203.0.113.5"))
	b.want("in", anna, secret, home)

	b.clock.Add(b.limits.Backoff)
	b.wrong(1, "carol@example.test", thief)
	b.clock.Add(2*b.limits.Backoff - time.Second)
	b.want("wait", anna, secret, thief)
	b.clock.Add(time.Second)
	b.want("in", anna, secret, thief)
}

func TestBackoffIsBounded(t *testing.T) {
	t.Parallel()
	b := household(t, guesses)
	b.wrong(3, anna, thief)
	for range 40 {
		b.clock.Add(b.limits.MaxBackoff)
		if b.try(anna, "guess "+NewPassword(), thief) != "wrong" {
			t.Fatal("waits longer than the longest back-off")
		}
	}
}

func TestGuessesPerNetwork6(t *testing.T) {
	t.Parallel()
	b := household(t, guesses)
	for _, from := range []string{"2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff::"} {
		b.wrong(1, anna, netip.MustParseAddr(from))
	}
	b.want("wait", anna, secret, netip.MustParseAddr("2001:db8:1:2:3:4:5:6"))
	b.want("in", anna, secret, netip.MustParseAddr("2001:db8:1:3::1"))
}

// Guesses from many addresses stop at the account, and do not tell whether it
// exists; an address that logged in before is let in all the same.
func TestGuessesPerAccount(t *testing.T) {
	t.Parallel()
	b := household(t, guesses)
	b.want("in", anna, secret, home)
	for _, user := range []string{anna, "nobody@example.test", "not an address"} {
		from := thief
		for range 5 {
			from = from.Next()
			b.wrong(1, user, from)
		}
		b.want("wait", user, secret, from.Next())
	}
	b.want("in", anna, secret, home)
	b.clock.Add(b.limits.MaxBackoff)
	b.want("in", anna, secret, netip.MustParseAddr("198.51.100.1"))
}

// Whatever comes from a house, those who logged in from there can still do so.
func TestKnownAddressIsNeverLockedOut(t *testing.T) {
	t.Parallel()
	b := household(t, guesses)
	var paused time.Duration
	b.pause = func(_ context.Context, d time.Duration) error { paused += d; return nil }
	b.want("in", anna, secret, home)
	b.wrong(5, anna, home)
	if paused != 0 {
		t.Error("slow before the limit")
	}
	b.wrong(20, anna, home)
	if paused != 20*b.limits.Slow {
		t.Errorf("paused %v for 20 guesses too many", paused)
	}
	b.want("in", anna, secret, home)
	// Nor does it lock out the account elsewhere, or somebody else at home.
	b.want("in", anna, secret, thief)
	b.want("in", "bob@example.test", secret, home)
	// It is known for anna and bob only: others' accounts have their limit.
	b.wrong(5, "carol@example.test", home)
	b.want("wait", "carol@example.test", secret, home)
	// And it is forgotten in time.
	b.clock.Add(b.limits.GoodFor)
	b.wrong(3, anna, home)
	b.want("wait", anna, secret, home)
}

// A restart in the middle of an attack locks nobody out at home.
func TestKnownAddressOutlivesRestart(t *testing.T) {
	t.Parallel()
	b := household(t, guesses)
	b.want("in", anna, secret, home)
	x, err := b.SASL("PLAIN", thief)
	if err != nil {
		t.Fatal(err)
	}
	if _, done, err := x.Next(t.Context(), []byte("\x00bob@example.test\x00"+secret)); !done || err != nil {
		t.Fatal(done, err)
	}
	b = b.again(guesses)
	b.wrong(3, anna, netip.MustParseAddr("203.0.113.1"))
	b.wrong(2, anna, netip.MustParseAddr("203.0.113.2"))
	b.want("wait", anna, secret, netip.MustParseAddr("203.0.113.99"))
	b.want("in", anna, secret, home)
	b.clock.Add(b.limits.GoodFor)
	b.must("remove account bob@example.test")
	known := func() (n int) {
		if err := b.store.List(t.Context(), kindKnown, func(string, []byte) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := known(); n != 2 {
		t.Errorf("%d addresses are kept, want 2", n)
	}
	b = b.again(guesses)
	b.want("wrong", anna, "another", thief)
	if n := known(); n != 0 {
		t.Errorf("%d addresses are kept that are too old or nobody's", n)
	}
}

// A thief with an account of his own wins no more guesses at others by it.
func TestOwnLoginClearsNothing(t *testing.T) {
	t.Parallel()
	b := household(t, guesses)
	b.wrong(2, anna, thief)
	b.want("in", "bob@example.test", secret, thief)
	b.wrong(3, anna, thief)
	b.want("wait", anna, secret, thief)
}

// A device with an old password makes no new guesses.
func TestSameGuessCountsOnce(t *testing.T) {
	t.Parallel()
	b := household(t, guesses)
	for range 50 {
		b.want("wrong", anna, "my old password", thief)
	}
	b.want("in", anna, secret, thief)
}

func TestGuessesWithoutLimit(t *testing.T) {
	t.Parallel()
	b := household(t, func(o *Options) { o.Limits.AddressGuesses, o.Limits.AccountGuesses = -1, -1 })
	b.wrong(50, anna, thief)
	b.want("in", anna, secret, thief)
}

// Guesses that were let in together and wait to be hashed are judged again
// when their turn comes.
func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	b := household(t, guesses)
	v := b.guard.visitor(thief, anna)
	for i := range 50 {
		_, err := b.verify(t.Context(), v, nil, "", b.guard.digest(strings.Repeat("x", i)))
		want := ErrCredentials
		if i >= 3 {
			want = ErrTooManyGuesses
		}
		if !errors.Is(err, want) {
			t.Fatalf("guess %d: %v, want %v", i, err, want)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	l := Limits{Tracked: 100, AddressGuesses: 3}.withDefaults()
	g := newGuard(l)
	c := newClock()
	for i := range 1000 {
		v := g.visitor(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), NewPassword())
		for range 20 {
			g.failed(v, digest{}, c.Now())
		}
		g.succeeded(v, c.Now())
	}
	if n, m := len(g.counts.items), len(g.goodFor.items); n != 100 || m != 100 {
		t.Errorf("%d counts and %d good addresses are kept, want 100", n, m)
	}
	if n := g.counts.order.Len(); n != 100 {
		t.Errorf("%d in order", n)
	}
	for _, el := range g.counts.items {
		if c := el.Value.(*lruItem[bucket, *count]).value; len(c.fails) > 30 || cap(c.fails) > 100 {
			t.Fatalf("%d times are kept (room for %d)", len(c.fails), cap(c.fails))
		}
	}
}

// Logins, changes and look-ups at once; the race detector watches.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	b := household(t, nil)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 10 {
				b.try(anna, secret, home)
				b.try(anna, "wrong password", thief)
				b.ends("bob@example.test")
			}
		})
		wg.Go(func() {
			who := string(rune('p'+i)) + "@example.test"
			for range 3 {
				if err := b.do("account " + who); err != nil {
					t.Error(err)
				}
				if err := b.do("remove account " + who); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if list, err := b.List(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("left: %v, %v", list, err)
	}
}
