package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hauspost/appliance/maillog"
	"hauspost/appliance/report"
	"hauspost/appliance/transfer"
	"hauspost/store"
)

// verdict is what becomes of one row.
type verdict struct {
	queued
	// next is the row as it goes on.
	next    Item
	fate    fate
	outcome transfer.Outcome
	// delay: the sender is to be told now that it takes longer.
	delay bool
	// untried: the row was not in the attempt, but stands behind one that was.
	untried bool
}

// record makes the outcome of an attempt durable, with the reports of what is
// over. It gives what finish needs to know.
func (q *Queue) record(ctx context.Context, a *attempt, rows []queued, res *transfer.Result, c *content, alone bool) (again bool, next int64) {
	now := q.o.Now()
	k := q.learn(a, res, alone, now)
	vs := make([]verdict, len(rows))
	for i := range rows {
		v := &vs[i]
		v.queued, v.outcome = rows[i], res.Outcomes[i]
		v.next, v.fate = judge(rows[i].item, v.outcome, &k.grounds)
		last := lastOf(now, res, v.outcome)
		v.next.Last = &last
		v.next.Note = noteOf(&v.outcome, res.Host)
		v.delay = v.fate == fateDeferred && v.next.overdue(&q.o.Limits)
	}
	q.settle(ctx, vs, k, res, c)
	q.count(vs)
	if k.news {
		q.sweep(ctx, a.l, k, res)
	}
	for i := range vs {
		if vs[i].fate.ending() {
			continue
		}
		if due := vs[i].next.Due.UnixMilli(); due <= now.UnixMilli() {
			again = true
		} else if next == 0 || due < next {
			next = due
		}
	}
	return again, next
}

func (q *Queue) count(vs []verdict) {
	for i := range vs {
		switch vs[i].fate {
		case fateDelivered:
			q.delivered.Add(1)
		case fateDeferred:
			q.deferred.Add(1)
		default:
			q.failed.Add(1)
		}
	}
}

// noteOf puts an outcome into the words by which the owner finds it.
func noteOf(o *transfer.Outcome, host string) string {
	s := report.Reading(*o, host)
	if o.Name != "" {
		s = o.Name + ": " + s
	}
	if o.Answer != "" {
		s += " (" + o.Answer + ")"
	}
	return cut(s)
}

// settle commits verdicts. Each report is in one commit with the rows that it
// is about, so that nothing is over without being told; all other rows go with
// the first commit.
func (q *Queue) settle(ctx context.Context, vs []verdict, k *lesson, res *transfer.Result, c *content) {
	var trace []maillog.Event
	for i := range vs {
		if !vs[i].untried {
			trace = append(trace, q.attempted(&vs[i], res, &k.grounds))
		}
	}
	notices, reported := q.notices(ctx, vs, res, c)
	trace = append(trace, reported...)
	rest := untold(vs, notices)
	learned := k
	for _, n := range notices {
		trace = append(trace, q.tell(ctx, n, rest, learned))
		rest, learned = nil, nil
	}
	if len(notices) == 0 {
		if err := q.persist(ctx, func() error { return q.update(ctx, q.apply(rest, learned)) }); err != nil {
			q.abandoned(rest, err)
		}
	}
	q.trace(&vs[0].row, trace...)
}

// untold gives the verdicts that no notice is about.
func untold(vs []verdict, notices []*notice) []*verdict {
	told := map[int64]bool{}
	for _, n := range notices {
		for _, v := range n.about {
			told[v.row.ID] = true
		}
	}
	var rest []*verdict
	for i := range vs {
		if !told[vs[i].row.ID] {
			rest = append(rest, &vs[i])
		}
	}
	return rest
}

func (q *Queue) update(ctx context.Context, fn func(tx *store.Tx) error) error {
	return q.o.Store.Update(context.WithoutCancel(ctx), fn)
}

// abandoned says what could not be made durable when the process ended.
func (q *Queue) abandoned(vs []*verdict, err error) {
	for _, v := range vs {
		q.log.Error("what became of a message could not be written down; it may be sent again after the next start",
			"id", v.item.Message, "recipient", v.row.Recipient, "delivered", v.fate == fateDelivered, "error", err)
	}
}

// apply gives the change that verdicts make. What the owner did meanwhile
// stands, but for a row that is over.
func (q *Queue) apply(vs []*verdict, k *lesson) func(tx *store.Tx) error {
	return func(tx *store.Tx) error {
		if k != nil {
			if err := k.write(tx); err != nil {
				return err
			}
		}
		for _, v := range vs {
			if err := v.apply(tx); err != nil {
				return fmt.Errorf("row %d of the queue: %w", v.row.ID, err)
			}
		}
		return nil
	}
}

func (v *verdict) apply(tx *store.Tx) error {
	if v.fate.ending() {
		return ignoreNotFound(tx.Dequeue(v.row.ID))
	}
	row, err := tx.Queued(v.row.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	next := v.next
	cur, err := ItemOf(&row)
	if err != nil {
		return err
	}
	next.State, next.Via, next.Undo = cur.State, cur.Via, cur.Undo
	if cur.deed() != v.item.deed() {
		// The owner's deed came while the attempt ran, and takes effect now.
		next.Due, next.Step = cur.Due, cur.Step
	} else if cur.Undo != nil && !v.untried && (cur.Undo.Name == Retry || cur.Undo.Name == Release) {
		next.Undo = nil
	}
	return requeue(tx, &next)
}

// deed is the number of the latest deed on a row, 0 for none.
func (it *Item) deed() int64 {
	if it.Undo == nil {
		return 0
	}
	return it.Undo.Deed
}

// persist repeats what has to be written until it is: a full disk makes it
// wait, and nothing is tried again meanwhile. Only the end of the process ends
// it with an error.
func (q *Queue) persist(ctx context.Context, fn func() error) error {
	for n := 0; ; n++ {
		err := fn()
		if err == nil {
			return nil
		}
		if errors.Is(err, store.ErrClosed) || ctx.Err() != nil {
			return err
		}
		q.log.Error("the queue cannot be written; trying again", "error", err)
		select {
		case <-q.o.After(interval(time.Second, time.Minute, n, q.o.Random())):
		case <-ctx.Done():
		}
	}
}

// attempted is the event of an attempt for one row.
func (q *Queue) attempted(v *verdict, res *transfer.Result, g *grounds) maillog.Attempted {
	o := &v.outcome
	e := maillog.Attempted{
		Recipient: v.row.Recipient, Number: v.row.ID, Attempt: v.next.Attempts, Status: string(o.Status),
		Name: o.Name, Code: o.Code, Enhanced: o.Enhanced, Verb: o.Verb, Answer: o.Answer,
		Host: res.Host, TLS: res.TLS, Note: res.Note, Reading: report.Reading(*o, res.Host),
		Milliseconds: float64(res.Took.Microseconds()) / 1000,
	}
	if res.Addr.IsValid() {
		e.Address = res.Addr.String()
	}
	switch v.fate {
	case fateDeferred:
		wait := time.Duration(v.next.Planned) * time.Millisecond
		e.Next = g.now.Add(wait).UTC()
		e.Reading += "; next try in " + words(wait)
		if wait == 0 {
			e.Reading = report.Reading(*o, res.Host) + "; next try at once"
		}
	case fateFailed:
		e.Reading += "; it is not tried again"
	case fateExpired:
		e.Reading += "; given up after " + words(time.Duration(v.next.Counted)*time.Millisecond)
	}
	return e
}

// trace logs events and adds them to the trace of a row's message.
func (q *Queue) trace(row *store.Queued, events ...maillog.Event) {
	if len(events) == 0 {
		return
	}
	entries := make([]maillog.Entry, len(events))
	for i, ev := range events {
		entries[i] = q.o.Log.Emit(messageID(row), ev)
	}
	q.o.Store.AppendTrace(row.File, maillog.Encode(entries))
}
