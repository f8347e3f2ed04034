package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Stats are the figures of status.
type Stats struct {
	// Waiting, Held and Dropped count rows; Sent the copies that wait to be
	// filed. Active attempts run.
	Waiting int `json:"waiting"`
	Held    int `json:"held"`
	Dropped int `json:"dropped"`
	Sent    int `json:"sent"`
	Active  int `json:"active"`
	// Delivered, Deferred and Failed count outcomes of recipients since the
	// start of the process.
	Delivered uint64 `json:"delivered"`
	Deferred  uint64 `json:"deferred"`
	Failed    uint64 `json:"failed"`
	// Oldest is when the oldest row was accepted, NextDue when the next is due;
	// zero where there is none.
	Oldest  time.Time `json:"oldest,omitzero"`
	NextDue time.Time `json:"next_due,omitzero"`
	// Failing are the destinations to which nothing gets through, the longest
	// first.
	Failing []Destination `json:"failing,omitempty"`
	// Local is set while this side has no network.
	Local *Failing `json:"local,omitempty"`
}

// Stats gives the figures. It takes time by the number of destinations, not of
// rows in memory.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	s := Stats{Delivered: q.delivered.Load(), Deferred: q.deferred.Load(), Failed: q.failed.Load()}
	k, err := q.knowledge(ctx)
	if err != nil {
		return s, err
	}
	totals, err := q.o.Store.QueueTotals(ctx)
	if err != nil {
		return s, fmt.Errorf("counting the queue: %w", err)
	}
	s.Active, s.Local = k.attempts, k.failing[localKey]
	earliest := func(a time.Time, ms int64) time.Time {
		if b := moment(ms); a.IsZero() || ms != 0 && b.Before(a) {
			return b
		}
		return a
	}
	for _, t := range totals {
		if t.Destination == SentDestination {
			s.Sent += t.Waiting + t.Held + t.Other
			continue
		}
		s.Waiting += t.Waiting
		s.Held += t.Held
		s.Dropped += t.Other
		s.Oldest, s.NextDue = earliest(s.Oldest, t.Oldest), earliest(s.NextDue, t.NextDue)
		if d := k.destination(t); d.Failing != nil && d.Waiting > 0 {
			s.Failing = append(s.Failing, d)
		}
	}
	slices.SortFunc(s.Failing, func(a, b Destination) int {
		if c := a.Failing.Since.Compare(b.Failing.Since); c != 0 {
			return c
		}
		return strings.Compare(a.Destination, b.Destination)
	})
	return s, nil
}
