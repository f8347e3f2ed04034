package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/report"
	"hauspost/appliance/transfer"
	"hauspost/store"
)

// listLimit is how many entries a List has where the filter says nothing.
const listLimit = 1000

// Entry is one row as the owner sees it.
type Entry struct {
	Number  int64       `json:"number"`
	Message envelope.ID `json:"message"`
	// State is "waiting", "held" or "dropped"; Active tells that it is being
	// tried just now.
	State  string `json:"state"`
	Active bool   `json:"active,omitempty"`
	Kind   string `json:"kind"`
	// Destination is a domain or SentDestination; Via is the owner's own way.
	Destination string `json:"destination"`
	Via         string `json:"via,omitempty"`
	Sender      string `json:"sender"`
	Recipient   string `json:"recipient"`
	// Account is the ID of who submitted it, Alias what led out of the house.
	Account string `json:"account,omitempty"`
	Alias   string `json:"alias,omitempty"`
	// Size is in octets.
	Size  int64     `json:"size"`
	Added time.Time `json:"added"`
	// Due is when the row itself is due; Next is when something happens to it
	// as far as is known, and NextSay says what.
	Due     time.Time `json:"due"`
	Next    time.Time `json:"next,omitzero"`
	NextSay string    `json:"next_say"`
	// Attempts were made; Note is the last fault in words, Last the latest
	// attempt.
	Attempts int    `json:"attempts"`
	Note     string `json:"note,omitempty"`
	Last     *Last  `json:"last,omitempty"`
	// Delayed: the sender was told that it takes longer.
	Delayed bool `json:"delayed,omitempty"`
	// CanUndo names the deed that undo would revert for this row.
	CanUndo Deed `json:"can_undo,omitempty"`
}

// Destination sums up a destination on one way.
type Destination struct {
	Destination string `json:"destination"`
	Via         string `json:"via,omitempty"`
	Waiting     int    `json:"waiting"`
	Held        int    `json:"held"`
	Dropped     int    `json:"dropped"`
	// Active attempts run there.
	Active int `json:"active,omitempty"`
	// NextDue and Oldest are zero where there is none.
	NextDue time.Time `json:"next_due,omitzero"`
	Oldest  time.Time `json:"oldest,omitzero"`
	// Failing is set while nothing can be sent there.
	Failing *Failing `json:"failing,omitempty"`
}

// Failing tells of a destination, or of this side, that fails.
type Failing struct {
	Since    time.Time `json:"since"`
	Failures int       `json:"failures"`
	// Why is in plain words, Answer what was answered.
	Why    string `json:"why"`
	Answer string `json:"answer,omitempty"`
	// Next is when it is tried again.
	Next time.Time `json:"next"`
}

// List is what the owner sees of the queue.
type List struct {
	Entries []Entry `json:"entries"`
	// Matching counts the rows that the filter chooses, also beyond Entries.
	Matching int `json:"matching"`
	// Destinations sums up the whole queue, whatever the filter chooses.
	Destinations []Destination `json:"destinations"`
}

// List lists the rows that f chooses, in the order in which they were accepted.
func (q *Queue) List(ctx context.Context, f Filter) (*List, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = listLimit
	}
	rows, totals, err := q.chosenAndTotals(ctx, &f, limit)
	if err != nil {
		return nil, fmt.Errorf("listing the queue: %w", err)
	}
	known, err := q.knowledge(ctx)
	if err != nil {
		return nil, err
	}
	list := &List{Entries: make([]Entry, 0, len(rows)), Matching: len(rows), Destinations: []Destination{}}
	for i := range rows {
		list.Entries = append(list.Entries, known.entry(&rows[i]))
	}
	all := 0
	for _, t := range totals {
		if t.Destination != SentDestination {
			all += t.Waiting + t.Held + t.Other
			list.Destinations = append(list.Destinations, known.destination(t))
		}
	}
	switch {
	case len(rows) < limit:
	case f.all():
		list.Matching = all
	default:
		if list.Matching, err = q.matching(ctx, &f, totals); err != nil {
			return nil, fmt.Errorf("listing the queue: %w", err)
		}
	}
	return list, nil
}

// knowledge is what the schedule knows beside the rows, at one time.
type knowledge struct {
	now      time.Time
	running  bool
	busy     map[int64]bool
	active   map[string]int
	failing  map[string]*Failing
	allowed  int
	attempts int
}

// knowledge copies what Run knows, or reads what the last one left.
func (q *Queue) knowledge(ctx context.Context) (*knowledge, error) {
	k := &knowledge{now: q.o.Now(), busy: map[int64]bool{}, active: map[string]int{}, failing: map[string]*Failing{}, allowed: q.o.Limits.Attempts}
	q.mu.Lock()
	k.running = q.begun
	if k.running {
		defer q.mu.Unlock()
		k.attempts = q.active
		for id := range q.busy {
			k.busy[id] = true
		}
		for name, l := range q.lanes {
			if l.active > 0 {
				k.active[name] = l.active
			}
			if l.episode != nil {
				k.failing[name] = l.episode.failing(k.now.Add(l.wait.left(k.now)))
			}
		}
		if q.local != nil {
			k.failing[localKey] = q.local.failing(k.now.Add(q.localWait.left(k.now)))
		}
		return k, nil
	}
	q.mu.Unlock()
	err := q.o.Store.List(ctx, failingKind, func(key string, value []byte) error {
		e := new(episode)
		if json.Unmarshal(value, e) == nil {
			k.failing[key] = e.failing(time.UnixMilli(e.Looked + e.Planned))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading which destinations fail: %w", err)
	}
	return k, nil
}

func (e *episode) failing(next time.Time) *Failing {
	return &Failing{
		Since: time.UnixMilli(e.Since).UTC(), Failures: e.Failures, Why: reading(&e.Last), Answer: e.Last.Outcome.Answer, Next: next.UTC(),
	}
}

// moment turns Unix milliseconds into a time; 0 is the zero time.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func (k *knowledge) destination(t store.QueueTotal) Destination {
	d := Destination{
		Waiting: t.Waiting, Held: t.Held, Dropped: t.Other, Active: k.active[t.Destination],
		NextDue: moment(t.NextDue), Oldest: moment(t.Oldest), Failing: k.failing[t.Destination],
	}
	d.Destination, d.Via = splitLane(t.Destination)
	return d
}

// entry shows a row. One that cannot be read is shown by its columns.
func (k *knowledge) entry(r *store.Queued) Entry {
	e := Entry{
		Number: r.ID, Message: messageID(r), State: State(r.State).String(), Active: k.busy[r.ID],
		Sender: r.Sender, Recipient: r.Recipient, Size: r.Size, Added: moment(r.Added), Due: moment(r.Due), Note: r.Note,
	}
	e.Destination, e.Via = splitLane(r.Destination)
	if it, err := ItemOf(r); err == nil {
		e.Kind, e.Account, e.Attempts, e.Last, e.Delayed = it.Kind, it.Account, it.Attempts, it.Last, it.Delayed
		e.Alias = it.Alias.String()
		if it.Undo != nil {
			e.CanUndo = it.Undo.Name
		}
	} else {
		e.Note = err.Error()
	}
	e.Next, e.NextSay = k.next(r)
	return e
}

// next says what happens to a row next, and when.
func (k *knowledge) next(r *store.Queued) (time.Time, string) {
	due := moment(r.Due)
	failing, local := k.failing[r.Destination], k.failing[localKey]
	switch {
	case k.busy[r.ID]:
		return k.now.UTC(), "it is being tried now"
	case State(r.State) == Held:
		return time.Time{}, "it is held until it is released"
	case State(r.State) == Dropped:
		return due, "it is removed for good in " + words(due.Sub(k.now)) + "; undo brings it back"
	case !k.running:
		return time.Time{}, "nothing is sent until the box runs"
	case r.Destination == SentDestination:
		return due, "a copy is filed in Sent, if the mail program saves none"
	case local != nil && local.Next.After(due):
		return local.Next, "this box has no network; next try in " + words(local.Next.Sub(k.now))
	case failing != nil && failing.Next.After(due):
		return failing.Next, "nothing gets through to " + strings.Replace(r.Destination, " ", " by ", 1) + "; next try in " + words(failing.Next.Sub(k.now))
	case due.After(k.now):
		return due, "next try in " + words(due.Sub(k.now))
	case k.attempts >= k.allowed:
		return k.now.UTC(), "it is tried as soon as one of the attempts under way ends"
	default:
		return k.now.UTC(), "it is next in line"
	}
}

// reading says in plain words what an attempt brought.
func reading(l *Last) string {
	if l.Outcome == (transfer.Outcome{}) {
		return ""
	}
	return report.Reading(l.Outcome, l.Host)
}

// chosenAndTotals reads both: beside each other where the one does not need
// the other, because they take equally long.
func (q *Queue) chosenAndTotals(ctx context.Context, f *Filter, limit int) ([]store.Queued, []store.QueueTotal, error) {
	if f.Destination != "" {
		totals, err := q.o.Store.QueueTotals(ctx)
		if err != nil {
			return nil, nil, err
		}
		rows, err := q.chosen(ctx, f, totals, limit)
		return rows, totals, err
	}
	var totals []store.QueueTotal
	counted := make(chan error, 1)
	go func() {
		var err error
		totals, err = q.o.Store.QueueTotals(ctx)
		counted <- err
	}()
	rows, err := q.chosen(ctx, f, nil, limit)
	return rows, totals, errors.Join(err, <-counted)
}
