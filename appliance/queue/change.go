package queue

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"hauspost/appliance/maillog"
	"hauspost/store"
)

// change is one deed on its way through the rows.
type change struct {
	q      *Queue
	filter *Filter
	// states are those on which the deed can be done.
	states []uint8
	// first and last, if set, bound the numbers of the rows.
	first, last int64
	// dueAfter, if set, leaves out the rows that are due by then.
	dueAfter int64
	note     deedNote
	// apart: the deed does not become the latest one.
	apart bool
	via   string
	// fn changes an item; concerned tells that the deed is about it, changed
	// that it has to be written. It may run more than once.
	fn func(it *Item) (concerned, changed bool)
	// rows counts those that it was about.
	rows int
}

// run goes through the rows in batches.
func (c *change) run(ctx context.Context) error {
	queries, err := c.q.queries(ctx, c.filter, nil)
	if err != nil {
		return err
	}
	for _, f := range queries {
		if f.States = both(f.States, c.states); len(f.States) == 0 {
			continue
		}
		if c.first > 0 {
			f.After = c.first - 1
		}
		f.DueAfter = c.dueAfter
		if err := c.through(ctx, f); err != nil {
			return fmt.Errorf("changing the queue (%d entries are changed): %w", c.rows, err)
		}
	}
	return nil
}

func (c *change) through(ctx context.Context, f store.QueueFilter) error {
	f.Limit = batch
	for {
		var rows []store.Queued
		n := 0
		err := c.q.o.Store.Queue(ctx, f, func(r *store.Queued) error {
			n++
			f.After = r.ID
			if (c.last == 0 || r.ID <= c.last) && (r.Destination != SentDestination || c.filter.Destination == SentDestination) {
				rows = append(rows, *r)
			}
			return nil
		})
		for part := range parts(rows) {
			if err == nil {
				err = c.commit(ctx, part)
			}
		}
		if err != nil || n < batch || c.last != 0 && f.After >= c.last {
			return err
		}
	}
}

// maxPart bounds the rows that one commit changes, in octets: the store takes a
// few megabytes, and the answers of servers make rows long.
const maxPart = 1 << 20

// parts splits rows into those that one commit can change.
func parts(rows []store.Queued) iter.Seq[[]store.Queued] {
	return func(yield func([]store.Queued) bool) {
		first, size := 0, 0
		for i := range rows {
			r := &rows[i]
			n := len(r.Value) + len(r.Note) + len(r.Sender) + len(r.Recipient) + len(r.Destination) + 256
			if size += n; size > maxPart && i > first {
				if !yield(rows[first:i]) {
					return
				}
				first, size = i, n
			}
		}
		if first < len(rows) {
			yield(rows[first:])
		}
	}
}

// both gives the states that are in both lists; an empty first list is all.
func both(asked, possible []uint8) []uint8 {
	if asked == nil {
		return possible
	}
	var list []uint8
	for _, a := range asked {
		if slices.Contains(possible, a) {
			list = append(list, a)
		}
	}
	return list
}

// commit changes rows in one commit, wakes their lanes and notes the deed in
// their traces.
func (c *change) commit(ctx context.Context, rows []store.Queued) error {
	var concerned []store.Queued
	var lanes map[string]bool
	note := c.note
	err := c.q.o.Store.Update(ctx, func(tx *store.Tx) error {
		concerned, lanes, note = concerned[:0], map[string]bool{}, c.note
		for _, r := range rows {
			cur, err := tx.Queued(r.ID)
			if errors.Is(err, store.ErrNotFound) || err == nil && !slices.Contains(c.states, cur.State) {
				continue
			}
			if err != nil {
				return err
			}
			done, err := c.one(tx, cur, lanes)
			if err != nil {
				return err
			}
			if done {
				concerned = append(concerned, cur)
			}
		}
		if len(concerned) == 0 {
			return nil
		}
		if first := concerned[0].ID; note.First == 0 || first < note.First {
			note.First = first
		}
		note.Last = max(note.Last, concerned[len(concerned)-1].ID)
		if c.apart {
			return nil
		}
		return note.write(tx)
	})
	if err != nil {
		return err
	}
	c.note = note
	c.rows += len(concerned)
	if impatient(note.Deed) && len(concerned) > 0 {
		if err := c.q.hurry(ctx, append(slices.Collect(maps.Keys(lanes)), localKey)); err != nil {
			return err
		}
	}
	for name := range lanes {
		if impatient(note.Deed) {
			c.q.forgive(name)
		}
		c.q.refresh([]store.Queued{{Destination: name}})
	}
	for i := range concerned {
		r := &concerned[i]
		c.q.trace(r, maillog.Handled{Deed: string(note.Deed), Recipient: r.Recipient, Number: r.ID, Via: c.via})
	}
	return nil
}

// one changes one row, and adds the lanes that it leaves and enters.
func (c *change) one(tx *store.Tx, r store.Queued, lanes map[string]bool) (bool, error) {
	it, err := ItemOf(&r)
	if err != nil {
		// What cannot be read can be thrown away, and nothing else.
		if c.note.Deed != Drop {
			return false, nil
		}
		r.State, r.Due = uint8(Dropped), c.q.o.Now().Add(c.q.o.Limits.Bin).UnixMilli()
		return true, tx.Requeue(r)
	}
	concerned, changed := c.fn(it)
	if changed {
		if err := requeue(tx, it); err != nil {
			return false, err
		}
	}
	if concerned {
		lanes[r.Destination], lanes[laneName(it.Destination, it.Via)] = true, true
	}
	return concerned, nil
}
