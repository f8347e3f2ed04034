package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/transfer"
	"hauspost/store"
)

func (p *post) act(deed Deed, f Filter, via string) Done {
	p.t.Helper()
	done, err := p.q.Act(context.Background(), deed, f, via)
	if err != nil {
		p.t.Fatal(err)
	}
	return done
}

func (p *post) list(f Filter) *List {
	p.t.Helper()
	l, err := p.q.List(context.Background(), f)
	if err != nil {
		p.t.Fatal(err)
	}
	return l
}

func TestRetry(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(func(m *transfer.Message, _ string) transfer.Outcome {
		if m.Domain == "dead.example" {
			return down
		}
		return putOff
	})
	for i := range 3 {
		p.accept(letter{to: []string{fmt.Sprintf("u%d@dead.example", i), fmt.Sprintf("u%d@example.org", i)}})
	}
	p.pass(2 * time.Hour)
	before := p.wire.attempts()
	p.wire.script(nil)
	if done := p.act(Retry, Filter{Destination: "EXAMPLE.org"}, ""); done.Rows != 3 {
		t.Errorf("%+v", done)
	}
	p.work()
	if n := p.wire.attempts() - before; n != 3 {
		t.Errorf("%d attempts", n)
	}
	if done := p.act(Retry, Filter{Error: "NO SERVER"}, ""); done.Rows == 0 {
		t.Errorf("%+v", done)
	}
	p.work()
	if left := p.rows(store.QueueFilter{}); len(left) != 0 {
		t.Errorf("%+v", left)
	}
}

func TestRetryWithoutRun(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(always(down))
	p.accept(letter{to: []string{"u@dead.example"}})
	p.pass(10 * time.Hour)
	if l := p.list(Filter{}); l.Destinations[0].Failing == nil || l.Destinations[0].Failing.Failures < 5 {
		t.Errorf("%+v", l)
	}
	p.q.begun, p.q.running = false, false
	if l := p.list(Filter{}); l.Destinations[0].Failing == nil || !strings.Contains(l.Entries[0].NextSay, "until the box runs") {
		t.Errorf("%+v", l)
	}
	p.act(Retry, Filter{}, "")
	p.wire.script(nil)
	p.restart()
	p.work()
	p.wantGot("u@dead.example")
}

func TestHoldAndRelease(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(always(putOff))
	rows := p.accept(letter{to: []string{"a@example.org", "b@example.org"}})
	p.work()
	if done := p.act(Hold, Filter{Numbers: []int64{rows[0].ID}}, ""); done.Rows != 1 {
		t.Errorf("%+v", done)
	}
	p.wire.script(nil)
	p.pass(20 * time.Hour)
	p.wantGot("b@example.org")
	if l := p.list(Filter{States: []State{Held}}); len(l.Entries) != 1 || l.Entries[0].State != "held" || l.Destinations[0].Held != 1 {
		t.Errorf("%+v", l)
	}
	if done := p.act(Release, Filter{Messages: []envelope.ID{messageID(&rows[0])}}, ""); done.Rows != 1 {
		t.Errorf("%+v", done)
	}
	p.work()
	p.wantGot("b@example.org", "a@example.org")
	if s := strings.Join(p.steps(rows[0].File), "\n"); !strings.Contains(s, "a@example.org: held") || !strings.Contains(s, "a@example.org: released") {
		t.Error(s)
	}
}

func TestReroute(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	var vias []string
	p.wire.script(func(m *transfer.Message, _ string) transfer.Outcome {
		vias = append(vias, m.Via)
		if m.Via == "" {
			return down
		}
		return deliveredOutcome
	})
	for i := range 4 {
		p.accept(letter{to: []string{fmt.Sprintf("u%d@dead.example", i)}})
	}
	p.pass(time.Hour)
	if _, err := p.q.Act(t.Context(), Reroute, Filter{}, "not a way"); !errors.Is(err, transfer.ErrVia) {
		t.Error(err)
	}
	// Those on another way do not wait behind the others.
	p.act(Reroute, Filter{Recipient: "U2@"}, "relay.example:2525")
	p.pass(time.Second)
	p.wantGot("u2@dead.example")
	if !slices.Contains(vias, "relay.example:2525") {
		t.Error(vias)
	}
	p.act(Hold, Filter{Recipient: "u3@"}, "")
	p.act(Reroute, Filter{Recipient: "u3@"}, "smarthost")
	if l := p.list(Filter{Destination: "dead.example"}); len(l.Entries) != 3 || l.Entries[2].Via != "smarthost" || l.Entries[2].State != "held" || len(l.Destinations) != 2 {
		t.Errorf("%+v", l)
	}
	if done := p.act(Revert, Filter{}, ""); done.Rows != 1 || done.Reverted != Reroute {
		t.Errorf("%+v", done)
	}
	if l := p.list(Filter{Destination: "dead.example"}); len(l.Entries) != 3 || l.Entries[2].Via != "" || len(l.Destinations) != 1 {
		t.Errorf("%+v", l)
	}
}

func TestDropAndUndo(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(always(putOff))
	a := p.accept(letter{to: []string{"a@example.org"}})[0]
	b := p.accept(letter{to: []string{"b@example.org"}})[0]
	p.work()
	if _, err := p.q.Act(t.Context(), Revert, Filter{}, ""); !errors.Is(err, ErrNothingToUndo) {
		t.Error(err)
	}
	due := p.item(a.ID).Due
	p.act(Drop, Filter{Numbers: []int64{a.ID}}, "")
	p.clock.add(time.Second)
	p.act(Drop, Filter{Numbers: []int64{b.ID}}, "")
	p.pass(23 * time.Hour)
	p.tend()
	if n := p.wire.attempts(); n != 2 {
		t.Errorf("what was dropped was tried: %d attempts", n)
	}
	// Without a filter the latest deed, with one that on those rows.
	if done := p.act(Revert, Filter{}, ""); done.Rows != 1 || done.Reverted != Drop || p.item(b.ID).State != Waiting || p.item(a.ID).State != Dropped {
		t.Errorf("%+v", done)
	}
	if _, err := p.q.Act(t.Context(), Revert, Filter{}, ""); !errors.Is(err, ErrNothingToUndo) {
		t.Error("undone twice:", err)
	}
	if done := p.act(Revert, Filter{Sender: "ALICE"}, ""); done.Rows != 1 || p.item(a.ID).State != Waiting || !p.item(a.ID).Due.Equal(due) {
		t.Errorf("%+v, due %s", done, p.item(a.ID).Due)
	}
	p.act(Drop, Filter{}, "")
	p.pass(24 * time.Hour)
	p.tend()
	if left := p.rows(store.QueueFilter{}); len(left) != 0 {
		t.Errorf("%d rows are still there", len(left))
	}
	if _, err := p.q.Act(t.Context(), Revert, Filter{}, ""); !errors.Is(err, ErrNothingToUndo) {
		t.Error(err)
	}
	if len(p.office.all()) != 0 {
		t.Error("somebody was told of what was dropped")
	}
	if s := strings.Join(p.steps(a.File), "\n"); !strings.Contains(s, "removed for good") {
		t.Error(s)
	}
}

// TestDeedWhileTried holds that a deed on a row that is being tried stands
// afterwards, if the row is still there.
func TestDeedWhileTried(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		deed Deed
		via  string
		o    transfer.Outcome
		want func(p *post, id int64) bool
	}{
		{Hold, "", putOff, func(p *post, id int64) bool { return p.item(id).State == Held && p.item(id).Attempts == 1 }},
		{Hold, "", deliveredOutcome, func(p *post, id int64) bool { return p.gone(id) }},
		{Drop, "", putOff, func(p *post, id int64) bool { return p.item(id).State == Dropped }},
		{Drop, "", down, func(p *post, id int64) bool { return p.item(id).State == Dropped }},
		{Drop, "", deliveredOutcome, func(p *post, id int64) bool { return p.gone(id) }},
		{Reroute, "direct", putOff, func(p *post, id int64) bool { return p.item(id).Via == "direct" && p.item(id).Attempts == 2 }},
	} {
		p := newPost(t)
		id, tries := int64(0), 0
		p.wire.script(func(*transfer.Message, string) transfer.Outcome {
			if tries++; tries == 1 {
				p.act(c.deed, Filter{Numbers: []int64{id}}, c.via)
			}
			return c.o
		})
		id = p.accept(letter{to: []string{"bob@example.org"}})[0].ID
		p.work()
		if !c.want(p, id) {
			t.Errorf("%s while %s: %+v", c.deed, c.o.Name, p.rows(store.QueueFilter{}))
		}
	}
}

func TestManyRowsInBatches(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(always(down))
	for range 26 {
		var to []string
		for i := range 100 {
			to = append(to, fmt.Sprintf("u%d@example.org", i))
		}
		p.accept(letter{to: to})
	}
	p.work()
	if done := p.act(Hold, Filter{}, ""); done.Rows != 2600 {
		t.Errorf("%+v", done)
	}
	l := p.list(Filter{})
	if len(l.Entries) != 1000 || l.Matching != 2600 {
		t.Errorf("%d entries of %d", len(l.Entries), l.Matching)
	}
	if l = p.list(Filter{Recipient: "u7@", Limit: 5}); len(l.Entries) != 5 || l.Matching != 26 {
		t.Errorf("%d entries of %d", len(l.Entries), l.Matching)
	}
	if done := p.act(Revert, Filter{}, ""); done.Rows != 2600 {
		t.Errorf("%+v", done)
	}
}

func TestListAndShow(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(func(m *transfer.Message, to string) transfer.Outcome {
		switch {
		case m.Domain == "dead.example":
			return down
		case to == "g@example.org":
			return greylisted
		}
		return putOff
	})
	rows := p.accept(letter{to: []string{"g@example.org", "x@dead.example"}, edit: func(it *Item) { it.RequireTLS = true }})
	p.accept(letter{to: []string{"z@example.org"}, edit: func(it *Item) {
		it.Destination, it.Kind, it.Due = SentDestination, KindSent, p.clock.Now().Add(time.Hour)
	}})
	p.work()
	p.clock.add(10 * time.Second)
	p.accept(letter{from: "<>", to: []string{"f@dead.example"}})
	l := p.list(Filter{})
	var shown []string
	for _, e := range l.Entries {
		shown = append(shown, e.Recipient+": "+e.NextSay)
	}
	want := []string{"g@example.org: next try in 4 min", "x@dead.example: nothing gets through to dead.example; next try in 50 s", "f@dead.example: nothing gets through to dead.example; next try in 50 s"}
	// What was just accepted is taken in by the next look.
	if !slices.Equal(shown, want) {
		t.Errorf("%q", shown)
	}
	if l.Matching != 3 || len(l.Destinations) != 2 {
		t.Errorf("%+v", l)
	}
	if n := len(p.list(Filter{Destination: SentDestination}).Entries); n != 1 {
		t.Errorf("%d rows for Sent", n)
	}
	for name, c := range map[string]struct {
		f Filter
		n int
	}{
		"destination": {Filter{Destination: "dead.example"}, 2}, "none": {Filter{Destination: "no.example"}, 0},
		"age": {Filter{OlderThan: 5 * time.Second}, 2}, "error": {Filter{Error: "greyl"}, 1}, "state": {Filter{States: []State{Held, Dropped}}, 0},
		"message": {Filter{Messages: []envelope.ID{messageID(&rows[0]), messageID(&rows[0])}}, 2},
		"both":    {Filter{Messages: []envelope.ID{messageID(&rows[0])}, Destination: "dead.example"}, 1},
	} {
		if l := p.list(c.f); len(l.Entries) != c.n || l.Matching != c.n {
			t.Errorf("%s: %d entries of %d, want %d", name, len(l.Entries), l.Matching, c.n)
		}
	}
	ds, err := p.q.Show(t.Context(), string(messageID(&rows[0])))
	if err != nil || len(ds) != 2 || !ds[0].RequireTLS || ds[0].Reading == "" || ds[1].Failing == nil || ds[0].Last.Host != "mx.example.org" {
		t.Errorf("%+v, %v", ds, err)
	}
	if ds, err = p.q.Show(t.Context(), fmt.Sprintf("#%d", rows[1].ID)); err != nil || len(ds) != 1 || ds[0].Number != rows[1].ID {
		t.Errorf("%+v, %v", ds, err)
	}
	if _, err = p.q.Show(t.Context(), "999999"); !errors.Is(err, ErrNoSuch) {
		t.Error(err)
	}
	if _, err = p.q.Show(t.Context(), "what"); err == nil {
		t.Error("no error for a name that is none")
	}
	s, err := p.q.Stats(t.Context())
	if err != nil || s.Waiting != 3 || s.Sent != 1 || s.Deferred != 2 || len(s.Failing) != 1 || !s.Oldest.Equal(epoch) || s.Failing[0].Failing.Why == "" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestActRefusesNonsense(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	if _, err := p.q.Act(t.Context(), "burn", Filter{}, ""); err == nil {
		t.Error("an unknown deed was done")
	}
	if _, err := p.q.Act(t.Context(), Hold, Filter{Messages: []envelope.ID{"x"}}, ""); err == nil {
		t.Error("a malformed ID was taken")
	}
	if _, err := p.q.Act(t.Context(), Hold, Filter{Destination: "no domain"}, ""); err == nil {
		t.Error("a malformed domain was taken")
	}
}

// TestDeedsOnLongAnswers holds that the answers of a server cannot make a deed on
// many rows more than one commit takes.
func TestDeedsOnLongAnswers(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	long := putOff
	long.Answer = strings.Repeat("<", 1000) // six octets each in JSON
	for range 11 {
		l := letter{edit: func(it *Item) { it.Last, it.Due = &Last{Outcome: long}, epoch.Add(time.Hour) }}
		for i := range 100 {
			l.to = append(l.to, fmt.Sprintf("u%d@example.org", i))
		}
		p.accept(l)
	}
	for _, deed := range []Deed{Hold, Drop} {
		if done, err := p.q.Act(t.Context(), deed, Filter{}, ""); err != nil || done.Rows != 1100 {
			t.Errorf("%s: %+v, %v", deed, done, err)
		}
	}
	p.clock.add(25 * time.Hour)
	p.tend()
	if n := len(p.rows(store.QueueFilter{})); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}
