package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"hauspost/appliance/transfer"
	"hauspost/store"
)

// Deed is something that the owner does with rows.
type Deed string

// The deeds. One on a row that is being tried just now takes effect after the
// attempt, if that did not end the row; but for Retry, which is what it gets.
const (
	// Retry: what waits is tried now; back-off is forgotten.
	Retry Deed = "retry"
	// Hold: what waits is kept until it is released.
	Hold Deed = "hold"
	// Release: what is held is tried now.
	Release Deed = "release"
	// Reroute: what waits or is held takes another way, see transfer.ParseVia.
	Reroute Deed = "reroute"
	// Drop: what waits or is held is taken out. Nobody is told. It can be
	// brought back for Limits.Bin.
	Drop Deed = "drop"
	// Revert undoes the latest of the other deeds, see Undo.
	Revert Deed = "undo"
)

// Done tells what a deed did.
type Done struct {
	// Deed is what was done; for Revert, Reverted is what was undone.
	Deed     Deed `json:"deed"`
	Reverted Deed `json:"reverted,omitempty"`
	// Rows is how many rows it concerned.
	Rows int `json:"rows"`
}

// deedKind and deedKey name the document that tells of the latest deed.
const deedKind, deedKey = "queue", "deed"

// deedNote is what is kept of the latest deed, so that it can be undone.
type deedNote struct {
	Number int64 `json:"number"`
	Deed   Deed  `json:"deed"`
	// First and Last bound the rows that it concerned.
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// Act does deed with the rows that f chooses, and returns how many there were.
// via is for Reroute alone. Errors: transfer.ErrVia, what the store says; then
// a part of many rows may be done already.
func (q *Queue) Act(ctx context.Context, deed Deed, f Filter, via string) (Done, error) {
	q.deeds.Lock()
	defer q.deeds.Unlock()
	if deed == Revert {
		return q.undo(ctx, f)
	}
	from, known := map[Deed][]uint8{
		Retry: {uint8(Waiting)}, Hold: {uint8(Waiting)}, Release: {uint8(Held)},
		Reroute: {uint8(Waiting), uint8(Held)}, Drop: {uint8(Waiting), uint8(Held)},
	}[deed]
	if !known {
		return Done{}, fmt.Errorf("%q is nothing that can be done with the queue", deed)
	}
	if deed == Reroute {
		var err error
		if via, err = transfer.ParseVia(via); err != nil {
			return Done{}, err
		}
	}
	note, err := q.nextDeed(ctx, deed)
	if err != nil {
		return Done{}, err
	}
	if impatient(deed) {
		q.forgive(localKey)
	}
	c := &change{q: q, filter: &f, states: from, note: note, via: via}
	c.fn = func(it *Item) (concerned, changed bool) {
		it.Undo = &Undo{Deed: note.Number, Name: deed, State: it.State, Due: it.Due.UnixMilli(), Step: it.Step, Via: it.Via}
		q.carryOut(deed, it, via)
		return true, true
	}
	if deed == Retry {
		return q.retry(ctx, c)
	}
	err = c.run(ctx)
	return Done{Deed: deed, Rows: c.rows}, err
}

// retry changes the rows that are not due yet. The others wait for their
// destinations alone, and all that these need is to be tried again: there may
// be very many of them.
func (q *Queue) retry(ctx context.Context, c *change) (Done, error) {
	done := Done{Deed: Retry}
	f := *c.filter
	if f.States != nil && !slices.Contains(f.States, Waiting) {
		return done, nil
	}
	f.States = []State{Waiting}
	var err error
	if done.Rows, err = q.matching(ctx, &f, nil); err != nil || done.Rows == 0 {
		return done, err
	}
	queries, err := q.queries(ctx, &f, nil)
	if err != nil {
		return done, err
	}
	lanes := map[string]bool{}
	for _, one := range queries {
		names, err := q.o.Store.QueueDestinations(ctx, one)
		if err != nil {
			return done, err
		}
		for _, name := range names {
			if name != SentDestination || f.Destination == SentDestination {
				lanes[name] = true
			}
		}
	}
	c.dueAfter = q.o.Now().UnixMilli()
	if err := c.run(ctx); err != nil {
		return done, err
	}
	return done, q.hurryAll(ctx, lanes)
}

// hurryAll has destinations tried at once, also after the next start.
func (q *Queue) hurryAll(ctx context.Context, lanes map[string]bool) error {
	var failing []string
	err := q.o.Store.List(ctx, failingKind, func(key string, _ []byte) error {
		if lanes[key] || key == localKey {
			failing = append(failing, key)
		}
		return nil
	})
	if err == nil {
		err = q.hurry(ctx, failing)
	}
	if err != nil {
		return fmt.Errorf("letting destinations be tried again: %w", err)
	}
	rows := make([]store.Queued, 0, len(lanes))
	for name := range lanes {
		q.forgive(name)
		rows = append(rows, store.Queued{Destination: name})
	}
	q.refresh(rows)
	return nil
}

// carryOut makes of an item what a deed wants.
func (q *Queue) carryOut(deed Deed, it *Item, via string) {
	now := q.o.Now()
	switch deed {
	case Hold:
		it.State = Held
		return
	case Drop:
		it.State, it.Due = Dropped, now.Add(q.o.Limits.Bin)
		return
	case Release:
		it.State = Waiting
	case Reroute:
		it.Via = via
	}
	it.Step = 0
	if it.Due.After(now) {
		it.Due = now
	}
}

// nextDeed numbers a deed.
func (q *Queue) nextDeed(ctx context.Context, deed Deed) (deedNote, error) {
	last, err := q.lastDeed(ctx)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return last, fmt.Errorf("reading the latest deed: %w", err)
	}
	return deedNote{Number: max(last.Number+1, q.o.Now().UnixMilli()), Deed: deed}, nil
}

func (q *Queue) lastDeed(ctx context.Context) (deedNote, error) {
	var note deedNote
	b, err := q.o.Store.Get(ctx, deedKind, deedKey)
	if err == nil {
		err = json.Unmarshal(b, &note)
	}
	return note, err
}

func (n *deedNote) write(tx *store.Tx) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return tx.Put(deedKind, deedKey, b)
}

// impatient tells whether a deed wants its rows tried at once.
func impatient(d Deed) bool { return d == Retry || d == Release || d == Reroute }

// hurry lets destinations that fail be tried at once after the next start. What
// is known of each has some kilobytes: many take several commits.
func (q *Queue) hurry(ctx context.Context, keys []string) error {
	for some := range slices.Chunk(keys, 100) {
		err := q.o.Store.Update(ctx, func(tx *store.Tx) error {
			for _, key := range some {
				if err := hurry(tx, key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// hurry does it for one.
func hurry(tx *store.Tx, key string) error {
	b, err := tx.Get(failingKind, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	e := new(episode)
	if err != nil || json.Unmarshal(b, e) != nil {
		return err
	}
	e.Planned, e.Failures = 0, 0
	return tx.Put(failingKind, key, e.encode())
}

// forgive lets a destination that fails (or this side) be tried at once. How
// long it has been failing is not forgotten: the time of the rows goes on.
func (q *Queue) forgive(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if name == localKey {
		q.localWait = wait{}
		if q.local != nil {
			q.local.Failures = 0
		}
		return
	}
	if l := q.lanes[name]; l != nil {
		l.wait, l.localFailures = wait{}, 0
		if l.episode != nil {
			l.episode.Failures = 0
		}
	}
}
