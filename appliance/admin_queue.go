package appliance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"hauspost/appliance/control"
	"hauspost/appliance/envelope"
	"hauspost/appliance/queue"
	"hauspost/appliance/report"
	"hauspost/appliance/transfer"
)

// Queue implements control.Admin.
func (a *admin) Queue(ctx context.Context, q control.QueueQuery) (control.QueueList, error) {
	core, err := a.parts(ctx)
	if err != nil {
		return control.QueueList{}, err
	}
	f, err := chosen(ctx, core.queue, q)
	if err != nil {
		return control.QueueList{}, err
	}
	if f.Limit = q.Limit; f.Limit <= 0 {
		f.Limit = math.MaxInt32
	}
	list, err := core.queue.List(ctx, f)
	if err == nil && q.State == "" && slices.ContainsFunc(list.Destinations, func(d queue.Destination) bool { return d.Dropped > 0 }) {
		// Only then does it take the time of choosing by the state.
		f.States = []queue.State{queue.Waiting, queue.Held}
		list, err = core.queue.List(ctx, f)
	}
	if err != nil {
		return control.QueueList{}, queueKinds(err)
	}
	answer := control.QueueList{Rows: each(list.Entries, queueEntry), Total: list.Matching, Failing: []control.QueueDestination{}}
	for _, d := range list.Destinations {
		if d.Failing != nil {
			answer.Failing = append(answer.Failing, queueDestination(d))
		}
	}
	return answer, nil
}

// chosen makes of a query a filter that chooses the same. KindInvalid, and
// KindNotFound for a ref that is not in the queue.
func chosen(ctx context.Context, q *queue.Queue, query control.QueueQuery) (queue.Filter, error) {
	f := queue.Filter{Destination: query.Destination, Sender: query.Sender, Recipient: query.Recipient, Error: query.Error,
		OlderThan: query.OlderThan}
	if len(query.Refs) > 0 {
		f.Numbers = []int64{}
	}
	for _, ref := range query.Refs {
		numbers, err := numbersOf(ctx, q, ref)
		if err != nil {
			return f, err
		}
		f.Numbers = append(f.Numbers, numbers...)
	}
	switch query.State {
	case "":
	case control.QueueWaiting:
		f.States = []queue.State{queue.Waiting}
	case control.QueueHeld:
		f.States = []queue.State{queue.Held}
	case control.QueueDropped:
		f.States = []queue.State{queue.Dropped}
	case control.QueueActive:
		return active(ctx, q, f)
	default:
		return f, invalid("there is no state %q: they are waiting, active, held and dropped", query.State)
	}
	return f, nil
}

// numbersOf gives the rows that a ref names.
func numbersOf(ctx context.Context, q *queue.Queue, ref string) ([]int64, error) {
	f, err := queue.ParseName(ref)
	if err != nil {
		return nil, invalid("%v", err)
	}
	f.Limit = math.MaxInt32
	list, err := q.List(ctx, f)
	if err != nil {
		return nil, err
	}
	if len(list.Entries) == 0 {
		return nil, notQueued(ref)
	}
	return each(list.Entries, func(e queue.Entry) int64 { return e.Number }), nil
}

// active narrows a filter to the rows in an attempt, which the store does not
// know.
func active(ctx context.Context, q *queue.Queue, f queue.Filter) (queue.Filter, error) {
	f.States, f.Limit = []queue.State{queue.Waiting}, math.MaxInt32
	list, err := q.List(ctx, f)
	if err != nil {
		return f, queueKinds(err)
	}
	f = queue.Filter{Numbers: []int64{}}
	for _, e := range list.Entries {
		if e.Active {
			f.Numbers = append(f.Numbers, e.Number)
		}
	}
	return f, nil
}

func invalid(format string, args ...any) error {
	return &control.Error{Kind: control.KindInvalid, Text: fmt.Sprintf(format, args...)}
}

func notQueued(ref string) error {
	return &control.Error{Kind: control.KindNotFound,
		Text: fmt.Sprintf("%s is not in the queue: what was delivered or given up leaves it; `hauspost trace ID` tells what became of a message", ref)}
}

// queueKinds puts errors of the queue into the kinds of control.
func queueKinds(err error) error {
	switch {
	case errors.Is(err, transfer.ErrVia):
		return invalid("%v", err)
	case errors.Is(err, envelope.ErrAddress):
		return invalid("that is no domain to choose by: %v", err)
	case errors.Is(err, queue.ErrNothingToUndo):
		return &control.Error{Kind: control.KindNotFound, Text: "there is nothing to undo"}
	}
	return err
}

func queueEntry(e queue.Entry) control.QueueEntry {
	to := control.QueueEntry{
		Number: e.Number, Message: string(e.Message), Sender: e.Sender, Recipient: e.Recipient, Destination: e.Destination,
		Via: e.Via, Kind: e.Kind, Alias: e.Alias, State: e.State, Size: e.Size, Added: e.Added, Next: e.Next, Attempts: e.Attempts,
		Delayed: e.Delayed, Reading: e.Note, What: e.NextSay,
	}
	switch {
	case e.Active:
		to.State = control.QueueActive
	case e.State == control.QueueDropped:
		to.Next, to.Expires = time.Time{}, e.Due
	}
	if l := e.Last; l != nil {
		to.LastTry, to.Host, to.TLS, to.Answer = l.At.UTC(), l.Host, l.TLS, l.Outcome.Answer
		to.Reading, to.Advice = report.Reading(l.Outcome, l.Host), report.Advice(l.Outcome, l.Host)
	}
	return to
}

func queueDestination(d queue.Destination) control.QueueDestination {
	to := failing(d.Failing)
	to.Destination, to.Via, to.Waiting = d.Destination, d.Via, d.Waiting
	return to
}

func failing(f *queue.Failing) control.QueueDestination {
	return control.QueueDestination{Since: f.Since, Next: f.Next, Reading: f.Why}
}

// QueueShow implements control.Admin.
func (a *admin) QueueShow(ctx context.Context, ref string) (control.QueueItem, error) {
	item := control.QueueItem{Rows: []control.QueueEntry{}, Trace: []control.TraceStep{}}
	core, err := a.parts(ctx)
	if err != nil {
		return item, err
	}
	if _, err := queue.ParseName(ref); err != nil {
		return item, invalid("%v", err)
	}
	details, err := core.queue.Show(ctx, ref)
	if errors.Is(err, queue.ErrNoSuch) {
		return item, notQueued(ref)
	}
	if err != nil {
		return item, err
	}
	for _, d := range details {
		e := queueEntry(d.Entry)
		if e.State != control.QueueDropped && e.Kind != queue.KindSent {
			e.Expires = time.Now().Add(time.Duration(d.ExpiresAfter-d.Counted) * time.Second).UTC().Truncate(time.Second)
		}
		item.Rows = append(item.Rows, e)
	}
	t, err := a.Trace(ctx, string(details[0].Message))
	if control.IsKind(err, control.KindNotFound) {
		return item, nil
	}
	item.Trace = t.Entries
	return item, err
}

// QueueDo implements control.Admin.
func (a *admin) QueueDo(ctx context.Context, d control.QueueDeed) (control.QueueDone, error) {
	core, err := a.parts(ctx)
	if err != nil {
		return control.QueueDone{}, err
	}
	switch d.Deed {
	case control.QueueRetry, control.QueueHold, control.QueueRelease, control.QueueReroute, control.QueueDrop:
		if d.Query.Everything() && !d.All {
			return control.QueueDone{}, invalid("nothing says which entries of the queue are meant, nor that all are")
		}
	case control.QueueUndo:
	default:
		return control.QueueDone{}, invalid("there is no deed %q", d.Deed)
	}
	f, err := chosen(ctx, core.queue, d.Query)
	if err != nil {
		return control.QueueDone{}, err
	}
	done, err := core.queue.Act(ctx, queue.Deed(d.Deed), f, d.Via)
	return control.QueueDone{Changed: done.Rows, Undone: string(done.Reverted)}, queueKinds(err)
}

// queueStatus fills in the queue's part of a status and, of a running box, the
// counts of outcomes.
func queueStatus(ctx context.Context, q *queue.Queue, st *control.Status) error {
	s, err := q.Stats(ctx)
	if err != nil {
		return err
	}
	st.Queue = control.QueueStatus{
		Waiting: s.Waiting, Active: s.Active, Held: s.Held, Dropped: s.Dropped, Oldest: s.Oldest,
		Failing: each(s.Failing, queueDestination),
	}
	if s.Local != nil {
		local := failing(s.Local)
		local.Waiting = s.Waiting
		st.Queue.Local = &local
	}
	if st.Running {
		st.Queue.Next = nextTry(s)
		st.Relay["delivered"], st.Relay["deferred"], st.Relay["failed"] = int64(s.Delivered), int64(s.Deferred), int64(s.Failed)
	}
	return nil
}

// nextTry is when something is tried next: rows that are due already wait for
// their destination, where it fails.
func nextTry(s queue.Stats) time.Time {
	if s.NextDue.After(time.Now()) {
		return s.NextDue
	}
	next := s.NextDue
	for i, d := range s.Failing {
		if i == 0 || d.Failing.Next.Before(next) {
			next = d.Failing.Next
		}
	}
	if s.Local != nil && s.Local.Next.After(next) {
		next = s.Local.Next
	}
	return next
}
