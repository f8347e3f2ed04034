package deliver

import (
	"fmt"
	"io"
	"testing"

	"hauspost/appliance/envelope"
)

// TestToldOfDeliveries holds that whoever wants to know hears where a message
// went, by which verdict, and can read it there.
func TestToldOfDeliveries(t *testing.T) {
	t.Parallel()
	g := newGate(t, proposing(envelope.Effect{Kind: envelope.EffectScore, Points: 7}), Policy{JunkAt: 5})
	var told []Delivered
	g.in.o.Told = func(d Delivered) { told = append(told, d) }
	if err := g.take(t, note, nil, "alice@example.test", "bob@example.test"); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || len(told[0].Places) != 2 || told[0].Verdict.Score != 7 {
		t.Fatalf("told %+v", told)
	}
	for _, p := range told[0].Places {
		if where := fmt.Sprintf("%s %t %d", p.Mailbox, p.Junk, p.Entry.UID); where != "Junk true 1" {
			t.Errorf("%s: told of %s", p.Account, where)
		}
		r, err := g.store.OpenContent(t.Context(), p.Entry)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got, err := io.ReadAll(r); string(got) != note || err != nil {
			t.Errorf("%s: the entry reads %q (%v)", p.Account, got, err)
		}
	}
	g.in.o.Scanner = proposing(envelope.Effect{Kind: envelope.EffectReject, Symbol: "NO"})
	if err := g.take(t, note, nil, "alice@example.test"); err == nil || len(told) != 1 {
		t.Errorf("told of a message that was refused (%v): %+v", err, told[1:])
	}
}
