package envelope

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", MaxLocalPart)
	for in, want := range map[string]Address{
		"alice@example.test":             {"alice", "example.test"},
		"Alice.B+tag@Example.TEST":       {"Alice.B+tag", "example.test"},
		`"john doe"@example.test`:        {"john doe", "example.test"},
		`"a\"b\\c"@example.test`:         {`a"b\c`, "example.test"},
		`"plain"@example.test`:           {"plain", "example.test"},
		"user@[192.0.2.1]":               {"user", "[192.0.2.1]"},
		"user@[IPv6:2001:DB8::0:1]":      {"user", "[IPv6:2001:db8::1]"},
		"jürgen@bücher.example":          {"jürgen", "xn--bcher-kva.example"},
		"x@BÜCHER.example":               {"x", "xn--bcher-kva.example"},
		long + "@example.test":           {long, "example.test"},
		"a_b!#$%&'*/=?^`{|}~@ex_am.test": {"a_b!#$%&'*/=?^`{|}~", "ex_am.test"},
	} {
		got, err := ParseAddress(in)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", in, got, err)
			continue
		}
		again, err := ParseAddress(got.String())
		if err != nil || again != got {
			t.Errorf("%q prints as %q, which reads as %+v, %v", in, got, again, err)
		}
	}
	for _, in := range []string{
		"", "alice", "@example.test", "alice@", ".a@example.test", "a.@example.test", "a..b@example.test",
		"a b@example.test", "a@exa mple.test", "a@-x.test", "a@x-.test", "a@x..test", "a@.test", "a@x.test.",
		`"@example.test`, `""@example.test`, `"a\`, "\"a\rb\"@x.test", "\"a\\\nb\"@x.test", "a\x00@x.test", "a@x\r\n.test",
		"a@[1.2.3]", "a@[1.2.3.4", "a@[IPv6:1.2.3.4]", "a@[::1]", "a@[fe80::1%eth0]", "\xff@x.test", "a@x.test>",
		strings.Repeat("a", MaxLocalPart+1) + "@x.test", "a@" + strings.Repeat("a", 64) + ".test", "a@" + strings.Repeat("abc.", 70) + "test",
	} {
		if got, err := ParseAddress(in); err == nil {
			t.Errorf("%q was taken as %+v", in, got)
		} else if !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestAddressForms(t *testing.T) {
	t.Parallel()
	if a := (Address{}); !a.IsNull() || a.String() != "" {
		t.Error("the null reverse-path")
	}
	if s := (Address{Local: "Postmaster"}).String(); s != "Postmaster" {
		t.Error(s)
	}
	a := MustAddress("Alice@Example.test")
	if a.Key() != "alice@example.test" || a.String() != "Alice@example.test" || a.IsLiteral() || a.NeedsUTF8() {
		t.Errorf("%+v", a)
	}
	if !MustAddress("x@[192.0.2.1]").IsLiteral() || !MustAddress("ü@x.test").NeedsUTF8() {
		t.Error("literal or UTF-8 not seen")
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add(`"a\"b"@x.test`)
	f.Add("jürgen@bücher.example")
	f.Add("x@[IPv6:::1]")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		out := a.String()
		if strings.ContainsFunc(out, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Fatalf("%q prints a control character: %q", s, out)
		}
		again, err := ParseAddress(out)
		if err != nil || again != a {
			t.Fatalf("%q prints as %q, which reads as %+v, %v", s, out, again, err)
		}
	})
}

func TestIDsSortByTime(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_800_000_000_000)
	var ids []ID
	for i := range 100 {
		ids = append(ids, NewID(at.Add(time.Duration(i)*time.Millisecond)))
	}
	if !slices.IsSorted(ids) {
		t.Error("IDs do not sort by time")
	}
	seen := map[ID]bool{}
	for range 1000 {
		id := NewID(at)
		if len(id) != 26 || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
}
