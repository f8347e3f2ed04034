package queue

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/transfer"
	"hauspost/store"
)

// hooked calls after behind each reading of the queue.
type hooked struct {
	Store
	after func(f store.QueueFilter)
}

func (h *hooked) Queue(ctx context.Context, f store.QueueFilter, fn func(q *store.Queued) error) error {
	err := h.Store.Queue(ctx, f, fn)
	if h.after != nil {
		h.after(f)
	}
	return err
}

// TestSweepLeavesWhatArrivedMeanwhile holds that a row which is delivered while
// those behind a failing destination are looked through is not given up: its
// sender would be told that mail failed which arrived.
func TestSweepLeavesWhatArrivedMeanwhile(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(always(putOff))
	old := p.accept(letter{to: []string{"slow@example.org"}})[0].ID
	for p.item(old).Counted < (44 * time.Hour).Milliseconds() {
		p.pass(time.Hour)
	}
	p.wire.script(always(deliveredOutcome))
	p.accept(letter{to: []string{"x@example.org"}}) // both slots are open
	p.work()
	p.clock.add(p.item(old).Due.Sub(p.clock.Now()) + time.Second)
	p.accept(letter{to: []string{"other@example.org"}})
	p.wire.script(func(_ *transfer.Message, to string) transfer.Outcome {
		if strings.HasPrefix(to, "slow") {
			return deliveredOutcome
		}
		return down
	})
	attempts, _ := p.q.plan(t.Context())
	if len(attempts) != 2 {
		t.Fatalf("%d attempts", len(attempts))
	}
	slow, other := attempts[0], attempts[1]
	if slow.rows[0] != old {
		slow, other = other, slow
	}
	h := &hooked{Store: p.q.o.Store}
	h.after = func(f store.QueueFilter) {
		if f.AddedBy != 0 { // the sweep
			h.after = nil
			p.q.perform(t.Context(), slow)
		}
	}
	p.q.o.Store = h
	p.q.perform(t.Context(), other)
	if h.after != nil {
		t.Fatal("no sweep")
	}
	if n := p.reportsOf(sayFailed); n != 0 || !p.gone(old) {
		t.Errorf("%d reports of a failure for a message that was delivered (gone: %v)", n, p.gone(old))
	}
}

// TestStuckDestinationsLeaveRoom holds that destinations which failed before and
// now keep their attempts hanging do not keep others from being tried.
func TestStuckDestinationsLeaveRoom(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(o *Options) { o.Limits.Attempts = 10 })
	p.wire.script(always(down))
	for i := range 30 {
		p.accept(letter{to: []string{fmt.Sprintf("a@stuck%d.example", i)}})
	}
	p.work()
	p.clock.add(2 * time.Minute)
	stuck, _ := p.q.plan(t.Context()) // and none of them ends
	p.accept(letter{to: []string{"bob@example.org"}})
	more, _ := p.q.plan(t.Context())
	if len(stuck) == 0 || len(more) != 1 || more[0].l.name != "example.org" {
		t.Fatalf("%d attempts hang, then %d", len(stuck), len(more))
	}
	// Those that had to wait get their turn.
	p.wire.script(nil)
	for _, a := range append(stuck, more...) {
		p.q.perform(t.Context(), a)
	}
	p.work()
	if n := len(p.rows(store.QueueFilter{})); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// TestDeedsOnManyFailingDestinations holds that what is known of thousands of
// destinations does not have to fit into one commit.
func TestDeedsOnManyFailingDestinations(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	l := letter{}
	for i := range 1500 {
		l.to = append(l.to, fmt.Sprintf("a@d%d.example", i))
	}
	p.accept(l)
	e := episode{Last: Last{Outcome: down}, Failures: 3, Planned: 1000}
	e.Last.Outcome.Answer = strings.Repeat("<", 1000)
	for i := range 15 {
		err := p.store.Update(t.Context(), func(tx *store.Tx) error {
			for n := range 100 {
				if err := tx.Put(failingKind, fmt.Sprintf("d%d.example", i*100+n), e.encode()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	p.restart()
	for _, deed := range []Deed{Retry, Hold, Release} {
		if done, err := p.q.Act(t.Context(), deed, Filter{}, ""); err != nil || done.Rows != 1500 {
			t.Errorf("%s: %+v, %v", deed, done, err)
		}
	}
}
