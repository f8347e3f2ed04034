package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/transfer"
	"hauspost/store"
)

// queued is a row with its meaning.
type queued struct {
	row  store.Queued
	item *Item
}

// perform makes an attempt from its rows to the commit of what it brought, and
// ends it.
func (q *Queue) perform(ctx context.Context, a *attempt) {
	again, next := true, int64(0)
	defer func() { q.finish(a, again, next) }()
	rows, err := q.fetch(ctx, a)
	if err != nil {
		q.rest(a.l, 5*time.Second)
		q.log.Error("the queue cannot be read", "destination", a.l.name, "error", err)
		return
	}
	if len(rows) == 0 {
		return
	}
	if len(rows) < len(a.rows) {
		// The others go next.
		defer func() { again = true }()
	}
	if a.l.name == SentDestination {
		again, next = q.file(ctx, &rows[0])
		return
	}
	c, err := q.openContent(ctx, &rows[0].row, rows[0].item.Header)
	if err != nil {
		if ctx.Err() == nil {
			again, next = q.unreadable(ctx, a, rows, err)
		}
		return
	}
	m := message(rows, c)
	m.Open = func() (io.ReadCloser, error) { return c.open(ctx) }
	res, alone := q.attempt(ctx, m)
	if broken := c.broken.Load(); broken != nil && !delivered(&res) {
		again, next = q.unreadable(ctx, a, rows, *broken)
		return
	}
	again, next = q.record(ctx, a, rows, &res, c, alone)
}

// rest makes a lane wait.
func (q *Queue) rest(l *lane, d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l.wait = waitFor(q.o.Now(), d)
}

// fetch reads the rows of an attempt as they are now: the owner may have
// changed them since they were chosen. What does not go together in one
// transfer with the first is left for later.
func (q *Queue) fetch(ctx context.Context, a *attempt) ([]queued, error) {
	var rows []queued
	var unreadable []store.Queued
	take := func(r *store.Queued) error {
		if State(r.State) != Waiting || r.Destination != a.l.name || r.Due > a.started.UnixMilli() {
			return nil
		}
		item, err := ItemOf(r)
		switch {
		case err != nil:
			unreadable = append(unreadable, *r)
		case len(rows) == 0 || together(rows[0].item, item) && a.l.name != SentDestination:
			rows = append(rows, queued{*r, item})
		}
		return nil
	}
	var err error
	if len(a.rows) == 1 {
		var r store.Queued
		if r, err = q.o.Store.Queued(ctx, a.rows[0]); err == nil {
			err = take(&r)
		}
		err = ignoreNotFound(err)
	} else {
		err = q.o.Store.Queue(ctx, store.QueueFilter{IDs: a.rows}, take)
	}
	if err == nil && len(unreadable) > 0 {
		err = q.hold(ctx, unreadable, "this row of the queue cannot be read; it was written by another version, or is damaged")
	}
	return rows, err
}

// together tells whether two rows of one message can go in one transfer.
func together(a, b *Item) bool {
	return a.Sender == b.Sender && a.Kind == b.Kind && a.Account == b.Account && a.EnvID == b.EnvID && a.Ret == b.Ret &&
		a.Body == b.Body && a.SMTPUTF8 == b.SMTPUTF8 && a.RequireTLS == b.RequireTLS && a.TLSOptional == b.TLSOptional &&
		a.Header == b.Header && a.Via == b.Via && a.Alias == b.Alias
}

// message is what the transport gets.
func message(rows []queued, c *content) *transfer.Message {
	it := rows[0].item
	m := &transfer.Message{
		ID: it.Message, Domain: it.Destination, Via: it.Via, Sender: it.Sender, Size: c.size,
		SMTPUTF8: it.SMTPUTF8, Body: it.Body, EnvID: it.EnvID, Ret: it.Ret, RequireTLS: it.RequireTLS, TLSOptional: it.TLSOptional,
		Recipients: make([]envelope.Recipient, len(rows)),
	}
	for i := range rows {
		m.Recipients[i] = rows[i].item.Recipient
	}
	return m
}

// attempt asks the transport. A transport that panics or answers for other
// recipients than it was asked about is a fault of this box: alone tells that
// only this message waits for it.
func (q *Queue) attempt(ctx context.Context, m *transfer.Message) (res transfer.Result, alone bool) {
	broken := func(what string) transfer.Result {
		return transfer.Same(m, transfer.Outcome{
			Status: transfer.Deferred, Scope: transfer.ScopeLocal, Name: "internal-error", Enhanced: "4.3.0", Answer: what,
		})
	}
	defer func() {
		if p := recover(); p != nil {
			q.log.Error("an attempt failed by a fault of this program", "id", m.ID, "panic", p, "stack", string(debug.Stack()))
			res, alone = broken("a fault of this program"), true
		}
	}()
	res = q.o.Transport.Attempt(ctx, m)
	// A destination can have twenty servers, each with a long answer.
	res.Note = transfer.Sanitize(res.Note)
	if len(res.Outcomes) != len(m.Recipients) {
		q.log.Error("an attempt did not say what became of each recipient", "id", m.ID, "recipients", len(m.Recipients), "outcomes", len(res.Outcomes))
		return broken("a fault of this program"), true
	}
	if ctx.Err() != nil {
		for i := range res.Outcomes {
			if o := &res.Outcomes[i]; o.Status == transfer.Deferred {
				*o = transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeLocal, Name: nameStopped, Answer: "this box was stopped"}
			}
		}
	}
	return res, false
}

// nameStopped is the outcome of what was cut off by the end of the process.
const nameStopped = "shutting-down"

func delivered(res *transfer.Result) bool {
	return slices.ContainsFunc(res.Outcomes, func(o transfer.Outcome) bool { return o.Status == transfer.Delivered })
}

// unreadable deals with a message whose file cannot be read. Where it is gone,
// or stays unreadable, the rows are held and the owner is told: nothing is lost
// silently.
func (q *Queue) unreadable(ctx context.Context, a *attempt, rows []queued, cause error) (again bool, next int64) {
	q.log.Error("the message file cannot be read", "id", rows[0].item.Message, "error", cause)
	if errors.Is(cause, store.ErrNotFound) || errors.Is(cause, store.ErrDamaged) || rows[0].item.Step >= 4 {
		note := "the message file cannot be read: " + cause.Error()
		all := make([]store.Queued, len(rows))
		for i := range rows {
			all[i] = rows[i].row
		}
		if err := q.persist(ctx, func() error { return q.hold(ctx, all, note) }); err != nil {
			return true, 0
		}
		q.tellPostmaster(ctx, rows, cause)
		return false, 0
	}
	res := transfer.Result{Note: cause.Error()}
	for range rows {
		res.Outcomes = append(res.Outcomes, transfer.Outcome{
			Status: transfer.Deferred, Scope: transfer.ScopeLocal, Name: "unreadable", Enhanced: "4.3.0", Answer: "the message file cannot be read",
		})
	}
	return q.record(ctx, a, rows, &res, nil, true)
}

// hold puts rows into the state Held with a note.
func (q *Queue) hold(ctx context.Context, rows []store.Queued, note string) error {
	q.log.Error("rows of the queue are held", "rows", len(rows), "first", rows[0].ID, "reason", note)
	return q.o.Store.Update(ctx, func(tx *store.Tx) error {
		for _, r := range rows {
			cur, err := tx.Queued(r.ID)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if cur.State == uint8(Waiting) {
				cur.State = uint8(Held)
			}
			cur.Note = cut(note)
			if err := tx.Requeue(cur); err != nil {
				return err
			}
		}
		return nil
	})
}

// file hands a row to Sent, and puts it off where that fails.
func (q *Queue) file(ctx context.Context, r *queued) (again bool, next int64) {
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("a fault of this program: %v", p)
			}
		}()
		if q.o.Sent == nil {
			return errors.New("there is no Sent to file it in")
		}
		return q.o.Sent.File(ctx, r.item)
	}()
	now := q.o.Now()
	due := now.Add(interval(time.Minute, time.Hour, r.item.Step, q.o.Random()))
	if err != nil {
		q.log.Error("the copy of a submitted message could not be filed", "id", r.item.Message, "error", err)
	}
	gone := false
	err = q.persist(ctx, func() error {
		return q.o.Store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
			cur, found := tx.Queued(r.row.ID)
			gone = errors.Is(found, store.ErrNotFound) || found == nil && cur.Due > now.UnixMilli()
			if gone || found != nil {
				return ignoreNotFound(found)
			}
			it, bad := ItemOf(&cur)
			if bad != nil {
				return bad
			}
			it.Attempts++
			it.Step++
			it.Due = due
			if err != nil {
				it.Note = cut(err.Error())
			}
			return requeue(tx, it)
		})
	})
	if gone {
		return false, 0
	}
	return err != nil, due.UnixMilli()
}

func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// requeue writes an item back to its row.
func requeue(tx *store.Tx, it *Item) error {
	row, err := Row(it)
	if err != nil {
		return err
	}
	return tx.Requeue(row)
}

// cut bounds what is kept of an error.
func cut(s string) string {
	const limit = 500
	if len(s) <= limit {
		return s
	}
	for i := limit; i > 0; i-- {
		if s[i]&0xc0 != 0x80 {
			return s[:i] + "…"
		}
	}
	return ""
}
