package deliver

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"hauspost/appliance/envelope"
	"hauspost/appliance/queue"
)

func TestRedirects(t *testing.T) {
	t.Parallel()
	redirect := func(to string) envelope.Effect { return propose(envelope.EffectRedirect, to, "bob@example.test") }
	for name, c := range map[string]struct {
		effects []envelope.Effect
		header  string
		want    map[string]int
		rows    []string
		says    string
	}{
		"to somebody here":     {[]envelope.Effect{redirect("alice@example.test")}, "", map[string]int{"a INBOX": 1}, nil, "redirect of mail for bob@example.test"},
		"elsewhere":            {[]envelope.Effect{redirect("x@away.example")}, "", nil, []string{"x@away.example"}, "queued for x@away.example (redirect of mail for bob@example.test)"},
		"both":                 {[]envelope.Effect{redirect("x@away.example"), redirect("alice@example.test")}, "", map[string]int{"a INBOX": 1}, []string{"x@away.example"}, ""},
		"through an alias":     {[]envelope.Effect{redirect("both@example.test")}, "", map[string]int{"b INBOX": 1}, []string{"bob@away.example"}, "alias both@example.test"},
		"one of two is nobody": {[]envelope.Effect{redirect("nobody@example.test"), redirect("x@away.example")}, "", nil, []string{"x@away.example"}, "waived not done: redirect to nobody@example.test for bob@example.test: nobody can be found there"},
		"nobody":               {[]envelope.Effect{redirect("nobody@example.test")}, "", map[string]int{"b INBOX": 1}, nil, "not done: redirect to nobody@example.test"},
		"to itself":            {[]envelope.Effect{redirect("Bob@example.test")}, "", map[string]int{"b INBOX": 1}, nil, "it leads to where it comes from"},
		"round":                {[]envelope.Effect{redirect("x@away.example")}, "delivered-to : Bob@EXAMPLE.test\r\n", map[string]int{"b INBOX": 1}, nil, "it goes round in circles"},
		"round by an alias":    {[]envelope.Effect{redirect("both@example.test")}, "Delivered-To: both@example.test\r\n", map[string]int{"b INBOX": 1}, nil, "it goes round in circles"},
		"of what is kept away": {[]envelope.Effect{redirect("x@away.example"), propose(envelope.EffectQuarantine, "", "")}, "", map[string]int{"b Quarantine": 1}, nil, ""},
		"to who discards it":   {[]envelope.Effect{redirect("alice@example.test"), propose(envelope.EffectDiscard, "", "alice@example.test")}, "", map[string]int{"b INBOX": 1}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, proposing(c.effects...), Policy{})
			if err := g.take(t, c.header+note, nil, "bob@example.test"); err != nil {
				t.Fatal(err)
			}
			if c.want == nil {
				c.want = map[string]int{}
			}
			counts(t, g.store, c.want)
			var rows []string
			for _, q := range g.rows {
				rows = append(rows, q.Recipient)
				item, err := queue.ItemOf(&q)
				if err != nil || item.Kind != queue.KindForward || !strings.HasPrefix(item.Header, "Delivered-To: bob@example.test\r\n") || item.Sender.String() != "sender@remote.test" {
					t.Errorf("%+v %v", item, err)
				}
			}
			if !slices.Equal(rows, c.rows) {
				t.Errorf("queued for %q", rows)
			}
			if s := said(g.trace); !strings.Contains(s, c.says) {
				t.Errorf("%q is not in\n%s", c.says, s)
			}
		})
	}
}

// What is for all and for one recipient is bounded together.
func TestRedirectsAreBounded(t *testing.T) {
	t.Parallel()
	var all []envelope.Effect
	for i := range maxSends {
		all = append(all, propose(envelope.EffectRedirect, fmt.Sprintf("x%d@away.example", i), ""), propose(envelope.EffectRedirect, fmt.Sprintf("y%d@away.example", i), "bob@example.test"))
	}
	g := newGate(t, proposing(all...), Policy{})
	if err := g.take(t, note, nil, "bob@example.test"); err != nil || len(g.rows) != maxSends || strings.Count(said(g.trace), "there are 5 already") != maxSends {
		t.Errorf("%v, %d rows\n%s", err, len(g.rows), said(g.trace))
	}
}

func TestCopies(t *testing.T) {
	t.Parallel()
	g := newGate(t, proposing(
		propose(envelope.EffectCopy, "alice@example.test", ""), propose(envelope.EffectCopy, "x@away.example", ""),
		propose(envelope.EffectCopy, "y@away.example", "bob@example.test"), propose(envelope.EffectFileInto, "Lists", "bob@example.test"),
		propose(envelope.EffectCopy, "z@away.example", "carol@example.test"),
	), Policy{})
	if err := g.take(t, note, nil, "bob@example.test"); err != nil {
		t.Fatal(err)
	}
	counts(t, g.store, map[string]int{"a INBOX": 1, "b Lists": 1})
	var rows []string
	for _, q := range g.rows {
		rows = append(rows, q.Recipient)
	}
	if !slices.Equal(rows, []string{"y@away.example", "x@away.example"}) {
		t.Errorf("%q", rows)
	}
	// The copy comes back: it is delivered, and not copied again.
	item, err := queue.ItemOf(&g.rows[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := g.take(t, item.Header+note, nil, "bob@example.test"); err != nil || len(g.rows) != 2 {
		t.Errorf("%v, %d rows\n%s", err, len(g.rows), said(g.trace))
	}
	counts(t, g.store, map[string]int{"a INBOX": 2, "b Lists": 2})
	// What is stopped is copied to nobody.
	for _, kind := range []envelope.EffectKind{envelope.EffectQuarantine, envelope.EffectDiscard} {
		g.in.o.Scanner = proposing(propose(envelope.EffectCopy, "x@away.example", ""), propose(kind, "", ""))
		if err := g.take(t, note, nil, "bob@example.test"); err != nil || len(g.rows) != 2 {
			t.Errorf("%s: %v, %d rows", kind, err, len(g.rows))
		}
	}
}
