package deliver

import (
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/reply"
)

// A message on which a filter fails each time is kept away in the end, however
// well the filter does on all other mail.
func TestMessagesArePutOffForHours(t *testing.T) {
	t.Parallel()
	now := at
	g := newGate(t, script(func(m *Message) (*Scan, error) {
		if string(m.Head) == note {
			return &Scan{Runs: []envelope.Run{{Filter: "virus", Stage: "on_message", Failure: "trap", Problem: "it tripped", Failing: now}}}, nil
		}
		return scanOf(), nil
	}), Policy{OnFailure: map[string]string{"virus": "tempfail"}, QuarantineAfter: 4 * time.Hour})
	g.in.o.Now = func() time.Time { return now }
	for range 4 {
		if err := g.take(t, note, nil, "bob@example.test"); reply.Of(err).Code != 451 {
			t.Fatalf("after %s: %v", now.Sub(at), err)
		}
		if err := g.take(t, "Subject: other\r\n\r\nhello\r\n", nil, "bob@example.test"); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
	}
	if err := g.take(t, note, nil, "bob@example.test"); err != nil {
		t.Fatal(err)
	}
	counts(t, g.store, map[string]int{"b Quarantine": 1, "b INBOX": 4})
}
