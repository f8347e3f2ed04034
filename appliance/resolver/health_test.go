package resolver

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/resolver/dnstest"
)

// TestSilence: servers that answer nothing make somebody wait once, and
// everybody after that fails at once, until they answer again.
func TestSilence(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.dns.Behave(".", dnstest.Behaviour{Drop: -1})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if _, err := r.LookupMX(ctx, "example.test"); !errors.Is(err, ErrTemporary) {
		t.Fatalf("no answer at all: %v", err)
	}
	eventually(t, "the servers are known to be silent", r.resting)
	asked := r.dns.Queries("mx1.example.test", "A")
	if _, err := r.lookupA(t.Context(), "mx1.example.test"); !errors.Is(err, ErrSilent) || !errors.Is(err, ErrTemporary) {
		t.Errorf("another name: %v", err)
	}
	if n := r.dns.Queries("mx1.example.test", "A"); n != asked {
		t.Errorf("a silent server was asked %d times", n-asked)
	}
	r.dns.Behave(".", dnstest.Behaviour{})
	r.health.mu.Lock()
	r.health.probed = time.Now().Add(-probePause)
	r.health.mu.Unlock()
	eventually(t, "the servers are heard again", func() bool { return !r.resting() })
	if _, err := r.lookupA(t.Context(), "mx1.example.test"); err != nil {
		t.Errorf("after the silence: %v", err)
	}
}

// TestSlowNameIsNoSilence: a stranger whose domain is never answered for does
// not switch the DNS off for all others, and is waited for once.
func TestSlowNameIsNoSilence(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.dns.Behave("example.test", dnstest.Behaviour{Drop: -1})
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if _, err := r.LookupMX(ctx, "example.test"); !errors.Is(err, ErrTemporary) {
		t.Fatalf("a name without an answer: %v", err)
	}
	eventually(t, "the servers were asked for the root", func() bool {
		r.health.mu.Lock()
		defer r.health.mu.Unlock()
		return !r.health.probed.IsZero() && r.health.probing == nil
	})
	if r.resting() {
		t.Error("one name without an answer counts as silence")
	}
	asked := r.dns.Queries("example.test", "MX")
	if _, err := r.LookupMX(t.Context(), "example.test"); !errors.Is(err, ErrTemporary) {
		t.Errorf("the same name again: %v", err)
	}
	if n := r.dns.Queries("example.test", "MX"); n != asked {
		t.Errorf("it was asked for %d times more", n-asked)
	}
	r.dns.Behave("example.test", dnstest.Behaviour{})
	r.clock.Add(failureTTL)
	if _, err := r.LookupMX(t.Context(), "example.test"); err != nil {
		t.Errorf("later: %v", err)
	}
}

// TestDeadServerLeavesTime: with a deadline that is no longer than the time-out
// of one question the second server is asked too.
func TestDeadServerLeavesTime(t *testing.T) {
	t.Parallel()
	dead, good := dnstest.New(t, zone), dnstest.New(t, zone)
	dead.Behave(".", dnstest.Behaviour{Drop: -1})
	r, err := New(Options{Server: strings.Join([]string{dead.Addr(), good.Addr()}, ","), Timeout: 4 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if _, err := r.LookupMX(ctx, "example.test"); err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// TestSilentAtOnce: servers that cannot be reached, and servers that know
// nothing, are told apart from a name that has trouble, at the first question.
func TestSilentAtOnce(t *testing.T) {
	t.Parallel()
	gone, err := dnstest.Start("")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	r, err := New(Options{Server: gone.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.LookupMX(t.Context(), "example.test"); !errors.Is(err, ErrSilent) || !errors.Is(err, ErrTemporary) {
		t.Errorf("no server there: %v", err)
	}
	g := newRig(t, nil)
	g.dns.Behave("example.test", dnstest.Behaviour{Rcode: 2})
	if _, err := g.LookupMX(t.Context(), "example.test"); !errors.Is(err, ErrTemporary) || errors.Is(err, ErrSilent) {
		t.Errorf("trouble with one name: %v", err)
	}
	b := newRig(t, nil)
	b.dns.Behave(".", dnstest.Behaviour{Rcode: 2})
	if _, err := b.LookupMX(t.Context(), "example.test"); !errors.Is(err, ErrSilent) || !errors.Is(err, ErrTemporary) {
		t.Errorf("a server that knows nothing: %v", err)
	}
	if b.resting() {
		t.Error("a server that answers is not asked any more")
	}
	b.dns.Behave(".", dnstest.Behaviour{})
	if _, err := b.LookupMX(t.Context(), "example.test"); err != nil {
		t.Errorf("after it: %v", err)
	}
}
