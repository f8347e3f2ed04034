package accounts

import (
	"encoding/json"
	"errors"
	"testing"

	"hauspost/appliance/envelope"
	"hauspost/store"
)

func TestOutwardAliases(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil).must(
		"domain example.test", "domain example.org of example.test",
		"account anna@example.test",
		"alias out@example.test to Ben@Far.example cleo@far.example Ben@far.example",
		"alias both@example.test to anna@example.test out@example.test ben@far.example",
		"alias @example.test to dora@other.example",
		"alias role@example.test to abuse@example.test",
		"alias lit@example.test to x@büro.example",
	)
	for _, c := range []struct{ address, want string }{
		{"out@example.test", "Ben@far.example via alias out@example.test; cleo@far.example via alias out@example.test"},
		{"OUT+x@example.org", "Ben@far.example detail x via alias out@example.test; cleo@far.example detail x via alias out@example.test"},
		{"both@example.test", "anna@example.test via alias both@example.test; Ben@far.example via alias both@example.test, alias out@example.test; " +
			"cleo@far.example via alias both@example.test, alias out@example.test; ben@far.example via alias both@example.test"},
		{"whoever@example.org", "dora@other.example via catch-all example.test"},
		{"postmaster@example.test", "dora@other.example via catch-all example.test"},
		{"role@example.test", "dora@other.example via alias role@example.test, catch-all example.test"},
		{"lit@example.test", "x@xn--bro-hoa.example via alias lit@example.test"},
		{"ben@far.example", "relay-denied"},
	} {
		for _, b := range []*box{b, b.again(nil)} {
			if got := b.ends(c.address); got != c.want {
				t.Errorf("%s ends at\n\t%s, want\n\t%s", c.address, got, c.want)
			}
		}
	}
	for address, want := range map[string]string{
		"Out+x@example.org":   "out@example.test",
		"Whoever@example.org": "Whoever@example.test",
	} {
		targets, err := b.Resolve(t.Context(), envelope.MustAddress(address))
		if err != nil || targets[0].Account != "" || targets[0].Alias.String() != want {
			t.Errorf("%s: %+v %v, want it to be forwarded as %s", address, targets, err, want)
		}
	}
	b.must("remove alias @example.test")
	if got := b.ends("role@example.test"); got != "anna@example.test via alias role@example.test, oldest account" {
		t.Errorf("an alias to a role that nobody took ends at %s", got)
	}
}

// A domain that comes to the box takes over what aliases forwarded to it.
func TestDomainComesHome(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil).must(
		"domain example.test", "account anna@example.test", "account ben@example.test",
		"alias out@example.test to cleo@far.example anna@example.test",
		"alias only@example.test to cleo@far.example",
		"domain far.example",
	)
	want := func(address, want string) {
		t.Helper()
		if got := b.ends(address); got != want {
			t.Errorf("%s ends at %s, want %s", address, got, want)
		}
	}
	want("out@example.test", "anna@example.test via alias out@example.test")
	want("only@example.test", "leads-nowhere")
	if !leadsNowhere.Temporary() {
		t.Error("mail for an address that is not there yet is refused for good")
	}
	// Removals elsewhere leave alone what was not there before.
	b.must("remove account ben@example.test")
	want("only@example.test", "leads-nowhere")
	b.must("account cleo@far.example")
	want("only@example.test", "cleo@far.example via alias only@example.test")
	b.must("remove account cleo@far.example")
	want("only@example.test", "unknown-recipient")
	want("out@example.test", "anna@example.test via alias out@example.test")
}

func TestOwns(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil).must(
		"domain example.test", "domain example.org of example.test", "domain all.test",
		"account anna@example.test", "account ben@example.test",
		"alias sales@example.test to anna@example.test ben@example.test",
		"alias deep@example.test to sales@example.test",
		"alias out@example.test to anna@far.example",
		"alias @all.test to ben@example.test",
	)
	anna, err := b.Find(t.Context(), "anna@example.test")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"Anna@example.test": true, "anna+x@example.test": true, "anna@example.org": true,
		"sales@example.test": true, "deep+y@example.org": true, "postmaster@example.test": true,
		"ben@example.test": false, "out@example.test": false, "anna@far.example": false,
		"x@all.test": false, "nobody@example.test": false,
	} {
		if got, err := b.Owns(t.Context(), anna.ID, envelope.MustAddress(address)); err != nil || got != want {
			t.Errorf("anna owns %s: %v %v, want %v", address, got, err, want)
		}
	}
	for _, addr := range []envelope.Address{{}, {Local: "postmaster"}} {
		if got, err := b.Owns(t.Context(), anna.ID, addr); err != nil || got {
			t.Errorf("anna owns %q: %v %v", addr, got, err)
		}
	}
	// Mail that is forwarded belongs to no account.
	if got, err := b.Owns(t.Context(), "", envelope.MustAddress("out@example.test")); err != nil || got {
		t.Errorf("nobody owns an address elsewhere: %v %v", got, err)
	}
}

func TestByAddresses(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil).must(
		"domain example.test", "account anna@example.test", "account ben@example.test", "account off@example.test",
		"alias sales@example.test to anna@example.test")
	if err := b.SetDisabled(t.Context(), "off@example.test", true); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		addresses []string
		want      string
	}{
		{[]string{"ANNA@example.test"}, "anna@example.test"},
		{[]string{"", "no address", "x@far.example", "anna@example.test", "Anna@Example.test"}, "anna@example.test"},
		{[]string{"anna@example.test", "ben@example.test"}, ""},
		{[]string{"sales@example.test"}, ""},
		{[]string{"anna+x@example.test"}, ""},
		{[]string{"off@example.test"}, ""},
		{nil, ""},
	} {
		got, err := b.ByAddresses(t.Context(), c.addresses)
		if got.Address != c.want || (err != nil) != (c.want == "") || err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("%q name %q, %v; want %q", c.addresses, got.Address, err, c.want)
		}
	}
}

func TestSentCopy(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil).must("domain example.test", "account anna@example.test", "account old@example.test")
	check := func(address string, want bool) {
		t.Helper()
		for _, b := range []*box{b, b.again(nil)} {
			if a, err := b.Find(t.Context(), address); err != nil || a.SentCopy != want {
				t.Errorf("the copy of %s: %v %v, want %v", address, a.SentCopy, err, want)
			}
		}
	}
	check("anna@example.test", true)
	if err := b.SetSentCopy(t.Context(), "anna@example.test", false); err != nil {
		t.Fatal(err)
	}
	check("anna@example.test", false)
	// An account from before there was a choice.
	old, err := b.Find(t.Context(), "old@example.test")
	if err != nil {
		t.Fatal(err)
	}
	err = b.store.Update(t.Context(), func(tx *store.Tx) error {
		raw, err := json.Marshal(map[string]any{"address": old.Address, "created": old.Created})
		if err != nil {
			return err
		}
		return tx.Put(kindAccount, old.ID, raw)
	})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := b.again(nil).Find(t.Context(), "old@example.test"); err != nil || !a.SentCopy {
		t.Errorf("an account of before has no copy: %v %v", a, err)
	}
	if err := b.SetSentCopy(t.Context(), "who@example.test", true); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown account: %v", err)
	}
}
