package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hauspost/store"
)

// ErrNothingToUndo: no deed is left that could be undone.
var ErrNothingToUndo = errors.New("there is nothing to undo")

// undo reverts the latest deed, or with a filter the latest deed on each of the
// rows that it chooses, while they are still there and as they were.
func (q *Queue) undo(ctx context.Context, f Filter) (Done, error) {
	done := Done{Deed: Revert}
	last, err := q.lastDeed(ctx)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return done, fmt.Errorf("reading the latest deed: %w", err)
	}
	if last.Number == 0 {
		return done, ErrNothingToUndo
	}
	c := &change{q: q, filter: &f, states: []uint8{uint8(Waiting), uint8(Held), uint8(Dropped)}, apart: true}
	c.note = deedNote{Number: max(last.Number+1, q.o.Now().UnixMilli()), Deed: Revert}
	everything := f.all()
	if everything {
		if last.Deed == Revert {
			return done, ErrNothingToUndo
		}
		c.first, c.last, c.apart = last.First, last.Last, false
		done.Reverted = last.Deed
	}
	c.fn = func(it *Item) (concerned, changed bool) {
		if it.Undo == nil || everything && it.Undo.Deed != last.Number {
			return false, false
		}
		it.revert()
		return true, true
	}
	err = c.run(ctx)
	done.Rows = c.rows
	if err == nil && done.Rows == 0 {
		err = ErrNothingToUndo
	}
	return done, err
}

// revert brings an item back to what it was before the latest deed.
func (it *Item) revert() {
	u := it.Undo
	it.State, it.Undo = u.State, nil
	if u.Name == Reroute {
		// It may have been tried since: its interval stands.
		it.Via = u.Via
		return
	}
	it.Due, it.Step = time.UnixMilli(u.Due), u.Step
}
