package accounts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hauspost/appliance/envelope"
	"hauspost/appliance/reply"
	"hauspost/store"
)

// model is the register in the simplest words: who has an address, and where
// aliases lead. It follows aliases by widening a set until nothing is new,
// which has no order and cannot loop.
type model struct {
	people  map[string]bool
	aliases map[string][]string
}

func (m *model) hop(address string) (next string, ok bool) {
	local, domain, _ := strings.Cut(address, "@")
	keys := []string{address, "@" + domain}
	if base, _, plus := strings.Cut(local, "+"); plus {
		keys = []string{address, base + "@" + domain, "@" + domain}
	}
	for _, key := range keys {
		if m.people[key] || m.aliases[key] != nil {
			return key, true
		}
	}
	return "", false
}

func (m *model) ends(address string) []string {
	reached := map[string]bool{}
	wave := []string{address}
	for len(wave) > 0 {
		var next []string
		for _, a := range wave {
			if key, ok := m.hop(a); ok && !reached[key] {
				reached[key] = true
				next = append(next, m.aliases[key]...)
			}
		}
		wave = next
	}
	var ends []string
	for _, key := range slices.Sorted(maps.Keys(reached)) {
		if m.people[key] {
			ends = append(ends, key)
		}
	}
	return ends
}

// newBoxInMemory has no store: what the model test does is about the mirror.
func newBoxInMemory(t *rapid.T) *box {
	c := newClock()
	b := &box{Accounts: New(Options{Now: c.Now, Hash: cheap}), t: t, clock: c}
	b.update = func(context.Context, func(*store.Tx) error) error { return nil }
	d, err := read(func(string, func(string, []byte) error) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	d.separator = "+"
	b.dir.Store(d)
	return b
}

// The register agrees with the model after every step, an alias that leads to
// nobody is never accepted, and none is left behind.
func TestAliasesAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := newBoxInMemory(rt).must("domain a.test", "domain b.test")
		m := &model{people: map[string]bool{}, aliases: map[string][]string{}}
		address := rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"x", "y", "z", "x+1", "y+x"}).Draw(t, "local") +
				rapid.SampledFrom([]string{"@a.test", "@b.test"}).Draw(t, "domain")
		})
		key := rapid.OneOf(address, rapid.SampledFrom([]string{"@a.test", "@b.test"}))
		rt.Repeat(map[string]func(*rapid.T){
			"account": func(t *rapid.T) {
				a := address.Draw(t, "address")
				if err := b.do("account " + a); (err == nil) != (!m.people[a] && m.aliases[a] == nil) {
					t.Fatalf("account %s: %v", a, err)
				} else if err == nil {
					m.people[a] = true
				}
			},
			"remove account": func(t *rapid.T) {
				a := address.Draw(t, "address")
				if err := b.do("remove account " + a); (err == nil) != m.people[a] {
					t.Fatalf("remove account %s: %v", a, err)
				} else if err == nil {
					delete(m.people, a)
					m.adopt(t, b)
				}
			},
			"alias": func(t *rapid.T) {
				k := key.Draw(t, "alias")
				to := rapid.SliceOfNDistinct(address, 1, 3, rapid.ID[string]).Draw(t, "to")
				taken := m.people[k] || m.aliases[k] != nil
				if !taken {
					m.aliases[k] = to
				}
				good := !taken
				for _, target := range to {
					good = good && len(m.ends(target)) > 0
				}
				if err := b.AddAlias(context.Background(), k, to); (err == nil) != good {
					t.Fatalf("alias %s to %v: %v, want %v", k, to, err, good)
				}
				if !good && !taken {
					delete(m.aliases, k)
				}
			},
			"remove alias": func(t *rapid.T) {
				k := key.Draw(t, "alias")
				if err := b.do("remove alias " + k); (err == nil) != (m.aliases[k] != nil) {
					t.Fatalf("remove alias %s: %v", k, err)
				} else if err == nil {
					delete(m.aliases, k)
					m.adopt(t, b)
				}
			},
			"": func(t *rapid.T) { m.compare(t, b) },
		})
	})
}

// adopt takes over which aliases are left after a removal, and checks that
// those are a part of what was there and that all of them lead to somebody.
func (m *model) adopt(t *rapid.T, b *box) {
	list, err := b.ListAliases(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	before := m.aliases
	m.aliases = map[string][]string{}
	for _, al := range list {
		for _, to := range al.To {
			if !slices.Contains(before[al.Address], to) {
				t.Fatalf("%s leads to %s only after a removal", al.Address, to)
			}
		}
		m.aliases[al.Address] = al.To
	}
	for key, to := range m.aliases {
		for _, target := range to {
			if len(m.ends(target)) == 0 {
				t.Fatalf("%s is left leading to %s, which is nobody", key, target)
			}
		}
	}
}

func (m *model) compare(t *rapid.T, b *box) {
	for _, local := range []string{"x", "y", "z", "x+1", "x+2", "y+x", "w"} {
		for _, domain := range []string{"a.test", "b.test"} {
			address := local + "@" + domain
			targets, err := b.Resolve(context.Background(), envelope.MustAddress(address))
			want := m.ends(address)
			if len(want) == 0 && !errors.Is(err, reply.UnknownRecipient) {
				t.Fatalf("%s: %v %v, want nobody", address, targets, err)
			}
			var got []string
			for _, target := range targets {
				got = append(got, target.Address.String())
			}
			slices.Sort(got)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%s ends at %v, want %v", address, got, want)
			}
		}
	}
}
