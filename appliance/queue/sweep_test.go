package queue

import (
	"context"
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
