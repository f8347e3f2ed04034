package queue

import (
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"hauspost/store"
)

// attempt is one try under way, for rows of one message in one lane.
type attempt struct {
	l    *lane
	rows []int64
	// large: it takes one of the lane's places for large messages.
	large bool
	// gen and localGen are those of lane and queue at its beginning, probe
	// tells that it is the one probe after this side had no network.
	gen, localGen uint64
	probe         bool
	// failing: the destination failed when it began.
	failing bool
	started time.Time
}

// begin reads what the store knows. What it cannot read it tries again within
// a minute.
func (q *Queue) begin(ctx context.Context) {
	now := q.o.Now()
	q.lanes, q.ready, q.timers, q.busy = map[string]*lane{}, nil, nil, map[int64]bool{}
	q.missing = map[int64]bool{}
	q.local, q.localWait, q.probing, q.high, q.lastWall, q.lastGood = nil, wait{}, false, 0, now, time.Time{}
	q.readTotals(ctx, now)
	err := q.o.Store.List(ctx, failingKind, func(key string, value []byte) error {
		e := new(episode)
		l := q.lanes[key]
		if json.Unmarshal(value, e) != nil || l == nil && key != localKey {
			return nil
		}
		e.back(now.UnixMilli())
		left := time.Duration(min(max(0, e.Looked+e.Planned-now.UnixMilli()), e.Planned)) * time.Millisecond
		if key == localKey {
			q.local, q.localWait = e, waitFor(now, left)
		} else {
			l.episode, l.slots, l.wait = e, 1, waitFor(now, left)
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		q.log.Error("what is known of failing destinations could not be read", "error", err)
	}
	q.begun = true
}

// forget removes an episode from the store.
func forget(tx *store.Tx, key string) error {
	if err := tx.Delete(failingKind, key); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

// readTotals brings the lanes in line with the store. It also heals whatever a
// lost wake-up or a changed clock left behind.
func (q *Queue) readTotals(ctx context.Context, now time.Time) {
	totals, err := q.o.Store.QueueTotals(ctx)
	q.totalsTook = q.o.Now().Sub(now)
	q.totalsAt, q.wantTotals = waitFor(now, lookAgain), false
	if err != nil {
		if ctx.Err() == nil {
			q.log.Error("the queue cannot be read; trying again in a minute", "error", err)
		}
		return
	}
	// What was committed until now is in the totals.
	q.blind = false
	clear(q.missing)
	listed := make(map[string]bool, len(totals))
	for _, t := range totals {
		if t.Waiting == 0 {
			continue
		}
		listed[t.Destination] = true
		l := q.lane(t.Destination)
		if t.NextDue > now.Add(longest).UnixMilli() {
			q.wantTending()
		}
		switch {
		case t.NextDue > now.UnixMilli():
			l.next, l.unknown = t.NextDue, false
		default:
			l.window, l.exhausted, l.unknown = nil, false, true
		}
		q.makeReady(l)
	}
	for name, l := range q.lanes {
		if !listed[name] && l.active == 0 {
			l.window, l.exhausted, l.next, l.unknown = nil, true, 0, false
			q.makeReady(l)
		}
	}
}

// adopt takes over what Wake left.
func (q *Queue) adopt(now time.Time) {
	q.wakeMu.Lock()
	woken, missed := q.woken, q.missed
	q.woken, q.missed = nil, false
	q.wakeMu.Unlock()
	if missed {
		// Some rows were not noted: the store has them all.
		q.totalsAt = wait{}
		for _, l := range q.lanes {
			l.window, l.exhausted = nil, false
		}
	}
	for _, r := range woken {
		known := q.inOrder(r.id)
		if r.held {
			continue
		}
		l := q.lane(r.destination)
		switch {
		case q.busy[r.id] || r.id <= l.maxSeen:
		case r.due > now.UnixMilli():
			if l.next == 0 || r.due < l.next {
				l.next = r.due
			}
		case l.exhausted && known && len(l.window) < windowSize:
			l.window, l.maxSeen = append(l.window, r.slot), r.id
		case known:
			l.exhausted = false
		default:
			l.window, l.exhausted = nil, false
		}
		q.makeReady(l)
	}
}

// maxMissing bounds the numbers that are waited for.
const maxMissing = 1024

// inOrder notes a number that Wake told of, and says whether all lower ones
// were told of as well. Rows that are committed together are told of by
// several goroutines, so that the later one may come first: as long as a number
// is missing, what is due must be read from the store.
func (q *Queue) inOrder(id int64) bool {
	switch {
	case q.high == 0:
		// What came between the start and this one is not known: read the totals.
		q.blind, q.totalsAt = true, wait{}
	case id > q.high+1+maxMissing:
		q.blind = true
	case id <= q.high:
		delete(q.missing, id)
	default:
		for n := q.high + 1; n < id; n++ {
			q.missing[n] = true
		}
	}
	q.high = max(q.high, id)
	if len(q.missing) > maxMissing {
		q.blind = true
	}
	return !q.blind && len(q.missing) == 0
}

// plan chooses what to try now, and says after which time to ask again at the
// latest.
func (q *Queue) plan(ctx context.Context) ([]*attempt, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.o.Now()
	if wall := now.Round(0); wall.Before(q.lastWall.Round(0).Add(-time.Second)) {
		q.log.Warn("the clock was set back", "from", q.lastWall.UTC(), "to", wall.UTC())
		q.wantTending()
		if q.local != nil {
			q.local.back(now.UnixMilli())
		}
		for _, l := range q.lanes {
			if l.episode != nil {
				l.episode.back(now.UnixMilli())
			}
			q.makeReady(l)
		}
		q.totalsAt = wait{}
	}
	q.lastWall = now
	q.adopt(now)
	if q.totalsAt.left(now) == 0 || q.wantTotals && q.totalsAt.left(now) <= lookAgain-max(time.Second, 20*q.totalsTook) {
		q.readTotals(ctx, now)
	}
	for len(q.timers) > 0 && !q.timers[0].at.After(now) {
		q.makeReady(heap.Pop(&q.timers).(*lane))
	}
	attempts := q.choose(ctx, now)

	sleep := lookAgain
	if len(q.timers) > 0 {
		sleep = min(sleep, q.timers[0].at.Sub(now))
	}
	if d := q.localWait.left(now); d > 0 {
		sleep = min(sleep, d)
	}
	if q.wantTotals {
		sleep = min(sleep, max(time.Second, 20*q.totalsTook))
	}
	return attempts, max(sleep, time.Millisecond)
}

// choose goes round the lanes that are ready, one attempt for each in turn.
func (q *Queue) choose(ctx context.Context, now time.Time) (attempts []*attempt) {
	var blocked []*lane
	for len(q.ready) > 0 && q.active < q.o.Limits.Attempts && ctx.Err() == nil {
		l := q.ready[0]
		q.ready = q.ready[1:]
		l.queued = false
		if q.local != nil && l.name != SentDestination && (q.probing || q.localWait.left(now) > 0) {
			blocked = append(blocked, l)
			continue
		}
		if l.probing() && q.failing >= max(1, q.o.Limits.Attempts/2) && l.wait.left(now) == 0 {
			// Those that hang must not keep the others waiting.
			blocked = append(blocked, l)
			continue
		}
		a := q.try(ctx, l, now)
		if a == nil {
			q.park(l, now)
			continue
		}
		attempts = append(attempts, a)
		q.makeReady(l)
	}
	for _, l := range blocked {
		q.makeReady(l)
	}
	return attempts
}

// try begins an attempt in a lane, or gives nil where there is nothing to do
// now.
func (q *Queue) try(ctx context.Context, l *lane, now time.Time) *attempt {
	if l.next != 0 && l.next <= now.UnixMilli() {
		l.window, l.exhausted, l.next, l.unknown = nil, false, 0, true
	}
	pace, slots := q.limits(l)
	l.slots = min(l.slots, slots)
	allowed := l.slots
	if l.probing() {
		allowed = 1
	}
	if l.active >= allowed || l.wait.left(now) > 0 || l.pace.left(now) > 0 {
		return nil
	}
	if len(l.window) == 0 && !l.exhausted && !q.load(ctx, l, now) {
		return nil
	}
	i := l.pick(max(1, allowed/2))
	if i < 0 {
		return nil
	}
	msg := l.window[i].msg
	if n := len(l.window); !l.exhausted && n < windowSize && l.window[i].msg == l.window[n-1].msg {
		// The end of the window may cut through the message.
		if !q.load(ctx, l, now) || len(l.window) == 0 {
			return nil
		}
		i = max(0, slices.IndexFunc(l.window, func(s slot) bool { return s.msg == msg }))
		msg = l.window[i].msg
	}
	a := &attempt{l: l, gen: l.gen, localGen: q.localGen, started: now, large: l.window[i].size > largeSize, failing: l.probing()}
	kept := l.window[:0]
	for _, s := range l.window {
		if s.msg == msg && len(a.rows) < MaxTogether {
			a.rows = append(a.rows, s.id)
			q.busy[s.id] = true
		} else {
			kept = append(kept, s)
		}
	}
	l.window = kept
	delete(l.overtaken, msg)
	l.active++
	q.active++
	if a.failing {
		q.failing++
	}
	if a.large {
		l.large++
	}
	if pace > 0 {
		l.pace = waitFor(now, pace)
	}
	if q.local != nil && l.name != SentDestination {
		a.probe, q.probing = true, true
	}
	return a
}

// pick gives the place in the window of what is next, -1 for nothing: the
// first, except that small messages may overtake a large one a few times.
// places are those for large messages.
func (l *lane) pick(places int) int {
	if len(l.window) == 0 {
		return -1
	}
	passed := map[int64]bool{}
	for i, s := range l.window {
		if s.size <= largeSize {
			for msg := range passed {
				if l.overtaken == nil {
					l.overtaken = map[int64]int{}
				}
				l.overtaken[msg]++
			}
			return i
		}
		if l.overtaken[s.msg] >= maxOvertaken {
			// Nobody may pass this one any more.
			if i == 0 && l.large < places {
				return 0
			}
			break
		}
		passed[s.msg] = true
	}
	if l.large < places {
		return 0
	}
	return -1
}

// load fills the window from the store. It gives false, and makes the lane
// wait, if that cannot be read.
func (q *Queue) load(ctx context.Context, l *lane, now time.Time) bool {
	limit := windowSize
	if l.active > 0 {
		limit += min(len(q.busy), l.active*MaxTogether)
	}
	n := 0
	l.window = nil
	err := q.o.Store.Queue(ctx, store.QueueFilter{
		Destination: l.name, States: []uint8{uint8(Waiting)}, DueBy: now.UnixMilli(), Limit: limit,
	}, func(r *store.Queued) error {
		n++
		l.maxSeen = max(l.maxSeen, r.ID)
		if !q.busy[r.ID] {
			l.window = append(l.window, slot{r.ID, r.Msg, r.Size})
		}
		return nil
	})
	if err != nil {
		l.window = nil
		l.wait = waitFor(now, 5*time.Second)
		if ctx.Err() == nil {
			q.log.Error("the queue cannot be read", "destination", l.name, "error", err)
		}
		return false
	}
	l.exhausted = n < limit
	return true
}

// finish ends an attempt. again tells that rows of the lane are due at once,
// nextDue the earliest time (Unix milliseconds) of those that are due later.
func (q *Queue) finish(a *attempt, again bool, nextDue int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := a.l
	for _, id := range a.rows {
		delete(q.busy, id)
	}
	q.active--
	if a.failing {
		q.failing--
	}
	l.active--
	if a.large {
		l.large--
	}
	if a.probe {
		q.probing = false
	}
	if again {
		l.window, l.exhausted = nil, false
	}
	if nextDue != 0 && (l.next == 0 || nextDue < l.next) {
		l.next = nextDue
	}
	q.makeReady(l)
}
