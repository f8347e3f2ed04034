package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/store"
)

// Filter chooses rows for the owner. Empty fields choose all; those that are
// set must all fit. Rows for Sent are chosen by Destination alone.
type Filter struct {
	// Numbers are those of rows, Messages the IDs of messages.
	Numbers  []int64
	Messages []envelope.ID
	// Destination is a domain in any spelling, whatever way its mail takes.
	Destination string
	// Sender, Recipient and Error are parts of the address, or of the last
	// fault in words; case does not count.
	Sender, Recipient, Error string
	// States are those to choose; none means all.
	States []State
	// OlderThan leaves out what was accepted later than that long ago.
	OlderThan time.Duration
	// Limit bounds the entries of a List (1,000); deeds know no limit.
	Limit int
}

// all tells whether f chooses everything.
func (f *Filter) all() bool {
	return f.Numbers == nil && f.Messages == nil && f.Destination == "" && f.Sender == "" && f.Recipient == "" && f.Error == "" &&
		f.States == nil && f.OlderThan == 0
}

// queries gives what to ask the store: a row that fits is in exactly one
// answer. totals are those of the store, if they are known already.
func (q *Queue) queries(ctx context.Context, f *Filter, totals []store.QueueTotal) ([]store.QueueFilter, error) {
	base := store.QueueFilter{IDs: f.Numbers, Sender: f.Sender, Recipient: f.Recipient, Note: f.Error}
	for _, s := range f.States {
		base.States = append(base.States, uint8(s))
	}
	if f.OlderThan > 0 {
		base.AddedBy = q.o.Now().Add(-f.OlderThan).UnixMilli()
	}
	list := []store.QueueFilter{base}
	if f.Destination != "" {
		names, err := q.laneNames(ctx, f.Destination, totals)
		if err != nil {
			return nil, err
		}
		list = nil
		for _, name := range names {
			base.Destination = name
			list = append(list, base)
		}
	}
	if f.Messages == nil {
		return list, nil
	}
	var byMessage []store.QueueFilter
	files := map[store.ID]bool{}
	for _, m := range f.Messages {
		id, err := store.ParseID(string(m))
		if err != nil {
			return nil, err
		}
		if files[id] {
			continue
		}
		files[id] = true
		for _, one := range list {
			one.File = &id
			byMessage = append(byMessage, one)
		}
	}
	return byMessage, nil
}

// laneNames gives the destinations of the store that belong to a domain.
func (q *Queue) laneNames(ctx context.Context, destination string, totals []store.QueueTotal) ([]string, error) {
	if destination == SentDestination {
		return []string{SentDestination}, nil
	}
	domain, err := envelope.NormalizeDomain(destination)
	if err != nil {
		return nil, err
	}
	if totals == nil {
		if totals, err = q.o.Store.QueueTotals(ctx); err != nil {
			return nil, err
		}
	}
	var names []string
	for _, t := range totals {
		if d, _ := splitLane(t.Destination); d == domain {
			names = append(names, t.Destination)
		}
	}
	return names, nil
}

// errEnough ends a reading early.
var errEnough = errors.New("enough")

// chosen reads the rows that f chooses, at most limit (0: all) with the lowest
// numbers, in the order of their numbers.
func (q *Queue) chosen(ctx context.Context, f *Filter, totals []store.QueueTotal, limit int) ([]store.Queued, error) {
	queries, err := q.queries(ctx, f, totals)
	if err != nil {
		return nil, err
	}
	var rows []store.Queued
	for _, one := range queries {
		n := 0
		if f.Destination != "" {
			one.Limit = limit
		}
		err := q.o.Store.Queue(ctx, one, func(r *store.Queued) error {
			if r.Destination == SentDestination && f.Destination != SentDestination {
				return nil
			}
			rows = append(rows, *r)
			if n++; n == limit {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return nil, err
		}
	}
	if len(queries) > 1 {
		slices.SortFunc(rows, func(a, b store.Queued) int { return int(a.ID - b.ID) })
	}
	if limit > 0 && len(rows) > limit {
		rows = rows[:limit]
	}
	return rows, nil
}

// matching counts the rows that f chooses.
func (q *Queue) matching(ctx context.Context, f *Filter, totals []store.QueueTotal) (int, error) {
	queries, err := q.queries(ctx, f, totals)
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, one := range queries {
		n, err := q.o.Store.CountQueue(ctx, one)
		if err != nil {
			return 0, err
		}
		sum += n
		if f.Destination == "" {
			one.Destination = SentDestination
			if n, err = q.o.Store.CountQueue(ctx, one); err != nil {
				return 0, err
			}
			sum -= n
		}
	}
	return sum, nil
}
