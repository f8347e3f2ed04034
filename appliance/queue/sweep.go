package queue

import (
	"context"
	"time"

	"hauspost/appliance/transfer"
	"hauspost/store"
)

const (
	// batch is how many rows are read or changed at once.
	batch = 1000
	// localSweep is how often rows are looked at while this side has no
	// network.
	localSweep = 30 * time.Minute
)

// sweep looks after the rows that stand behind one that was tried at a
// destination that fails (or anywhere, while this side has no network): their
// senders are told of the delay, and what has waited as long as the box tries
// is given up. The attempts at their destination are theirs as well: trying
// each of thousands of rows against a dead server would take days.
func (q *Queue) sweep(ctx context.Context, l *lane, k *lesson, res *transfer.Result) {
	age := q.o.Limits.Delay
	if age < 0 {
		age = q.o.Limits.Expiry
	}
	f := store.QueueFilter{
		Destination: l.name, States: []uint8{uint8(Waiting)}, Limit: batch,
		AddedBy: k.grounds.now.Add(-age).UnixMilli(),
	}
	if k.health == homemade {
		f.Destination = ""
		if !q.mayLook(k.grounds.now) {
			return
		}
	}
	outcome := worst(res)
	for ctx.Err() == nil {
		var vs []verdict
		n := 0
		err := q.o.Store.Queue(ctx, f, func(r *store.Queued) error {
			n++
			f.After = r.ID
			if v, concerned := q.behind(r, k, outcome); concerned {
				vs = append(vs, v)
			}
			return nil
		})
		if err != nil {
			q.log.Error("the queue cannot be read", "destination", l.name, "error", err)
			return
		}
		for len(vs) > 0 {
			same := 1
			for same < len(vs) && same < MaxTogether && vs[same].row.Msg == vs[0].row.Msg && vs[same].row.Destination == vs[0].row.Destination &&
				together(vs[same].item, vs[0].item) {
				same++
			}
			q.sweepMessage(ctx, vs[:same], k, res)
			vs = vs[same:]
		}
		if n < batch {
			return
		}
	}
}

// mayLook tells whether it is time again for a sweep without a network.
func (q *Queue) mayLook(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.swept.left(now) > 0 {
		return false
	}
	q.swept = waitFor(now, localSweep)
	return true
}

// behind judges a row that was not tried.
func (q *Queue) behind(r *store.Queued, k *lesson, o transfer.Outcome) (verdict, bool) {
	it, err := ItemOf(r)
	if err != nil || it.Kind == KindSent {
		return verdict{}, false
	}
	g := k.grounds
	if k.health == homemade {
		g.destination = nil
	}
	v := verdict{queued: queued{*r, it}, next: *it, fate: fateDeferred, outcome: o, untried: true}
	waited, counted := it.grown(g.now.UnixMilli(), &g)
	late := *it
	late.Waited += waited
	switch {
	case k.health == unhealthy && it.Counted+counted >= q.o.Limits.Expiry.Milliseconds():
		v.fate, v.next.Counted = fateExpired, it.Counted+counted
	case late.overdue(&q.o.Limits):
		v.delay = true
	default:
		return v, false
	}
	return v, true
}

// sweepMessage commits verdicts on rows of one message, but for rows that are
// being tried. Since they were read they may have been delivered, or the owner
// may have done something with them: they are read and judged again.
func (q *Queue) sweepMessage(ctx context.Context, vs []verdict, k *lesson, res *transfer.Result) {
	q.mu.Lock()
	var claimed []int64
	for _, v := range vs {
		if !q.busy[v.row.ID] {
			q.busy[v.row.ID] = true
			claimed = append(claimed, v.row.ID)
		}
	}
	q.mu.Unlock()
	if len(claimed) == 0 {
		return
	}
	defer func() {
		q.mu.Lock()
		for _, id := range claimed {
			delete(q.busy, id)
		}
		q.mu.Unlock()
	}()
	var still []verdict
	err := q.o.Store.Queue(ctx, store.QueueFilter{IDs: claimed, States: []uint8{uint8(Waiting)}}, func(r *store.Queued) error {
		if r.Destination != vs[0].row.Destination {
			return nil
		}
		if v, concerned := q.behind(r, k, vs[0].outcome); concerned {
			still = append(still, v)
		}
		return nil
	})
	if err != nil {
		q.log.Error("the queue cannot be read", "destination", vs[0].row.Destination, "error", err)
		return
	}
	if len(still) == 0 {
		return
	}
	q.settle(ctx, still, &lesson{grounds: k.grounds}, res, nil)
	for i := range still {
		if still[i].fate.ending() {
			q.failed.Add(1)
		}
	}
}
