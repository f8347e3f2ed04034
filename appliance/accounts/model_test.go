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

// model is the register in the simplest words: which domains are the box's, who
// has an address, and where aliases lead. It follows aliases by widening a set
// until nothing is new, which has no order and cannot loop.
type model struct {
	domains map[string]bool
	people  map[string]bool
	aliases map[string][]string
}

// here tells whether an address is one of the box.
func (m *model) here(address string) bool {
	_, domain, _ := strings.Cut(address, "@")
	return m.domains[domain]
}

func (m *model) hop(address string) (next string, ok bool) {
	if !m.here(address) {
		return address, true
	}
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
		if m.people[key] || !m.here(key) {
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
		m := &model{domains: map[string]bool{"a.test": true, "b.test": true}, people: map[string]bool{}, aliases: map[string][]string{}}
		address := rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"x", "y", "z", "x+1", "y+x"}).Draw(t, "local") +
				rapid.SampledFrom([]string{"@a.test", "@b.test", "@c.test"}).Draw(t, "domain")
		})
		key := rapid.OneOf(address, rapid.SampledFrom([]string{"@a.test", "@b.test", "@c.test"}))
		rt.Repeat(map[string]func(*rapid.T){
			"domain": func(t *rapid.T) {
				if err := b.do("domain c.test"); (err == nil) != !m.domains["c.test"] {
					t.Fatalf("domain c.test: %v", err)
				}
				m.domains["c.test"] = true
			},
			"remove domain": func(t *rapid.T) {
				if err := b.do("remove domain c.test"); (err == nil) != (m.domains["c.test"] && !m.uses("@c.test")) {
					t.Fatalf("remove domain c.test: %v", err)
				} else if err == nil {
					delete(m.domains, "c.test")
				}
			},
			"account": func(t *rapid.T) {
				a := address.Draw(t, "address")
				if err := b.do("account " + a); (err == nil) != (m.here(a) && !m.people[a] && m.aliases[a] == nil) {
					t.Fatalf("account %s: %v", a, err)
				} else if err == nil {
					m.people[a] = true
				}
			},
			"remove account": func(t *rapid.T) {
				a, was := address.Draw(t, "address"), m.copy()
				if err := b.do("remove account " + a); (err == nil) != m.people[a] {
					t.Fatalf("remove account %s: %v", a, err)
				} else if err == nil {
					delete(m.people, a)
					m.adopt(t, b, was)
				}
			},
			"alias": func(t *rapid.T) {
				k := key.Draw(t, "alias")
				to := rapid.SliceOfNDistinct(address, 1, 3, rapid.ID[string]).Draw(t, "to")
				taken := m.people[k] || m.aliases[k] != nil || !m.here(k)
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
				k, was := key.Draw(t, "alias"), m.copy()
				if err := b.do("remove alias " + k); (err == nil) != (m.aliases[k] != nil) {
					t.Fatalf("remove alias %s: %v", k, err)
				} else if err == nil {
					delete(m.aliases, k)
					m.adopt(t, b, was)
				}
			},
			"": func(t *rapid.T) { m.compare(t, b) },
		})
	})
}

func (m *model) copy() model {
	return model{domains: maps.Clone(m.domains), people: maps.Clone(m.people), aliases: maps.Clone(m.aliases)}
}

// uses tells whether an account, an alias or a target of one needs a domain.
func (m *model) uses(domain string) bool {
	for a := range m.people {
		if strings.HasSuffix(a, domain) {
			return true
		}
	}
	for key, to := range m.aliases {
		for _, a := range append([]string{key}, to...) {
			if strings.HasSuffix(a, domain) {
				return true
			}
		}
	}
	return false
}

// adopt takes over which aliases are left after a removal, of which was is a
// copy from before, and checks that those are a part of what was there and that
// all of them lead to somebody who did so before.
func (m *model) adopt(t *rapid.T, b *box, was model) {
	list, err := b.ListAliases(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	before := was.aliases
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
			if len(m.ends(target)) == 0 && len(was.ends(target)) > 0 {
				t.Fatalf("%s is left leading to %s, which is nobody", key, target)
			}
		}
	}
}

func (m *model) compare(t *rapid.T, b *box) {
	for _, local := range []string{"x", "y", "z", "x+1", "x+2", "y+x", "w"} {
		for _, domain := range []string{"a.test", "b.test", "c.test"} {
			address := local + "@" + domain
			targets, err := b.Resolve(context.Background(), envelope.MustAddress(address))
			if !m.here(address) {
				if !errors.Is(err, reply.RelayDenied) {
					t.Fatalf("%s: %v %v, want no relay", address, targets, err)
				}
				continue
			}
			want := m.ends(address)
			refusal := reply.UnknownRecipient
			if _, led := m.hop(address); led {
				refusal = leadsNowhere
			}
			if len(want) == 0 && !errors.Is(err, refusal) {
				t.Fatalf("%s: %v %v, want %v", address, targets, err, refusal)
			}
			var got []string
			for _, target := range targets {
				if elsewhere := target.Address.Domain == "c.test" && !m.domains["c.test"]; elsewhere != (target.Account == "") || elsewhere == target.Alias.IsNull() {
					t.Fatalf("%s ends at %+v", address, target)
				}
				got = append(got, target.Address.String())
			}
			slices.Sort(got)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%s ends at %v, want %v", address, got, want)
			}
		}
	}
}
