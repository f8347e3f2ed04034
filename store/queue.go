package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxQueuedValue bounds Queued.Value, in octets.
const maxQueuedValue = 64 << 10

// Queued is one row of the queue: one recipient of one message that waits to
// leave. It holds the message's file like a mailbox does.
type Queued struct {
	// ID is set by the store: ascending in the order in which rows came, and
	// never used again.
	ID int64
	// Msg, File and Size (prefix and content, in octets) are the message's; the
	// store sets them.
	Msg  int64
	File ID
	Size int64
	// State 0 waits for Due; the others are the caller's and never due.
	State uint8
	// Due and Added are Unix milliseconds.
	Due, Added int64
	// By these rows are chosen. Note is the last fault in words.
	Destination, Sender, Recipient, Note string
	// Value is the caller's own, at most 64 KB.
	Value []byte
}

// Entry gives the message for ReadMessage and OpenMessage.
func (q *Queued) Entry() Entry {
	return Entry{Msg: q.Msg, ID: q.File, Size: uint32(q.Size), Internal: q.Added / 1000}
}

// enqueue adds a row for a message of this group.
func (g *group) enqueue(o *op, q *Queued) error {
	q.ID, q.Msg, q.File, q.Size = g.nextQueued, o.msg, o.id, o.size
	return g.putQueued(*q)
}

func (g *group) putQueued(q Queued) error {
	if len(q.Value) > maxQueuedValue {
		return fmt.Errorf("queue row %d: %d octets are too many", q.ID, len(q.Value))
	}
	return g.emit(&op{kind: opQueuePut, queued: &q})
}

// Queued reads a row as the transaction sees it. ErrNotFound.
func (tx *Tx) Queued(id int64) (Queued, error) {
	return oneQueued(tx.g.s.stmts.queueGet.QueryRowContext(tx.g.ctx, id), id)
}

// Requeue replaces the row q.ID, but not what it says of the message.
// ErrNotFound if it is gone.
func (tx *Tx) Requeue(q Queued) error {
	old, err := tx.Queued(q.ID)
	if err != nil {
		return err
	}
	q.Msg, q.File, q.Size = old.Msg, old.File, old.Size
	return tx.g.putQueued(q)
}

// Dequeue removes a row. ErrNotFound if it is gone. The message's file goes
// later, when nobody holds it any more.
func (tx *Tx) Dequeue(id int64) error {
	var there bool
	if err := tx.g.s.stmts.queueHas.QueryRowContext(tx.g.ctx, id).Scan(&there); err != nil {
		return fmt.Errorf("queue row %d: %w", id, err)
	}
	if !there {
		return fmt.Errorf("queue row %d: %w", id, ErrNotFound)
	}
	return tx.g.emit(&op{kind: opQueueDelete, mailbox: id})
}

// Place puts the message of a row into a mailbox as well. ErrNotFound for a row
// or mailbox that is gone, ErrTooManyKeywords.
func (tx *Tx) Place(q Queued, p Place) (Placed, error) {
	row, err := tx.Queued(q.ID)
	if err != nil {
		return Placed{}, err
	}
	b, err := tx.g.placeBox(p)
	if err != nil {
		return Placed{}, err
	}
	return tx.g.place(b, &op{msg: row.Msg, id: row.File, size: row.Size, copied: true}, p)
}

// Queued reads a row. ErrNotFound.
func (s *Store) Queued(ctx context.Context, id int64) (Queued, error) {
	return oneQueued(s.getQueued.QueryRowContext(ctx, id), id)
}

const (
	queuedColumns = "id, msg, file, size, state, due, added, destination, sender, recipient, note, value"
	getQueued     = "SELECT " + queuedColumns + " FROM queue WHERE id = ?"
)

func oneQueued(row *sql.Row, id int64) (Queued, error) {
	var q Queued
	var file []byte
	err := row.Scan(&q.ID, &q.Msg, &file, &q.Size, &q.State, &q.Due, &q.Added, &q.Destination, &q.Sender, &q.Recipient, &q.Note, &q.Value)
	if errors.Is(err, sql.ErrNoRows) {
		return q, fmt.Errorf("queue row %d: %w", id, ErrNotFound)
	}
	copy(q.File[:], file)
	return q, err
}

// QueueFilter chooses rows. Zero fields choose all.
type QueueFilter struct {
	// After leaves out the rows up to this ID; Limit bounds how many come.
	After int64
	Limit int
	IDs   []int64
	// File is the message's.
	File *ID
	// Destination must be the same; the others contain these words, in any
	// case of ASCII letters.
	Destination, Sender, Recipient, Note string
	States                               []uint8
	// DueBy and AddedBy are the latest times, DueAfter is one that is too
	// early, in Unix milliseconds.
	DueBy, DueAfter, AddedBy int64
}

// where gives the condition of a filter with its arguments. Numbers are
// written into the text: there may be many of them.
func (f *QueueFilter) where() (string, []any) {
	cond, args := []string{"true"}, []any{}
	add := func(c string, a ...any) { cond, args = append(cond, c), append(args, a...) }
	if f.After != 0 {
		add("id > " + fmt.Sprint(f.After))
	}
	if f.Destination != "" {
		add("destination = ?", f.Destination)
	}
	if f.File != nil {
		add("file = ?", f.File[:])
	}
	for _, c := range []struct{ column, words string }{{"sender", f.Sender}, {"recipient", f.Recipient}, {"note", f.Note}} {
		if c.words != "" {
			add(c.column+` LIKE ? ESCAPE '\'`, "%"+strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(c.words)+"%")
		}
	}
	if f.IDs != nil {
		add("id IN (" + numbers(f.IDs) + ")")
	}
	if f.States != nil {
		add("state IN (" + numbers(f.States) + ")")
	}
	if f.DueBy != 0 {
		add("due <= " + fmt.Sprint(f.DueBy))
	}
	if f.DueAfter != 0 {
		add("due > " + fmt.Sprint(f.DueAfter))
	}
	if f.AddedBy != 0 {
		add("added <= " + fmt.Sprint(f.AddedBy))
	}
	return strings.Join(cond, " AND "), args
}

func numbers[T int64 | uint8](list []T) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = fmt.Sprint(n)
	}
	return strings.Join(words, ",")
}

// Queue calls fn for the rows that f chooses, in the order of their IDs. It
// holds nothing while fn runs. fn's error ends it.
func (s *Store) Queue(ctx context.Context, f QueueFilter, fn func(q *Queued) error) error {
	left := f.Limit
	for {
		batch := f
		batch.Limit = rowBatch
		if f.Limit > 0 {
			batch.Limit = min(left, rowBatch)
		}
		rows, err := s.queueBatch(ctx, batch)
		if err != nil {
			return fmt.Errorf("reading the queue: %w", err)
		}
		for i := range rows {
			if err := fn(&rows[i]); err != nil {
				return err
			}
		}
		left -= len(rows)
		if len(rows) < batch.Limit || f.Limit > 0 && left == 0 {
			return nil
		}
		f.After = rows[len(rows)-1].ID
	}
}

// fewIDs is how many rows are read one by one, by a statement that is ready.
const fewIDs = 8

// few reads the rows of a filter that names a few of them: most attempts ask
// for one alone. ok is false where the filter needs more than that.
func (s *Store) few(ctx context.Context, f *QueueFilter) (list []Queued, ok bool, err error) {
	if len(f.IDs) == 0 || len(f.IDs) > min(fewIDs, f.Limit) || f.File != nil || f.Sender != "" || f.Recipient != "" || f.Note != "" {
		return nil, false, nil
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(f.IDs))) {
		q, err := s.Queued(ctx, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, true, err
		}
		if id > f.After && (f.Destination == "" || q.Destination == f.Destination) && (f.States == nil || slices.Contains(f.States, q.State)) &&
			(f.DueBy == 0 || q.Due <= f.DueBy) && (f.DueAfter == 0 || q.Due > f.DueAfter) && (f.AddedBy == 0 || q.Added <= f.AddedBy) {
			list = append(list, q)
		}
	}
	return list, true, nil
}

func (s *Store) queueBatch(ctx context.Context, f QueueFilter) ([]Queued, error) {
	if list, ok, err := s.few(ctx, &f); ok || err != nil {
		return list, err
	}
	where, args := f.where()
	rows, err := s.readers.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM queue WHERE %s ORDER BY id LIMIT %d", queuedColumns, where, f.Limit), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Queued
	for rows.Next() {
		var q Queued
		var file []byte
		if err := rows.Scan(&q.ID, &q.Msg, &file, &q.Size, &q.State, &q.Due, &q.Added, &q.Destination, &q.Sender, &q.Recipient, &q.Note, &q.Value); err != nil {
			return nil, err
		}
		copy(q.File[:], file)
		list = append(list, q)
	}
	return list, rows.Err()
}

// CountQueue counts the rows that f chooses; After and Limit mean nothing.
func (s *Store) CountQueue(ctx context.Context, f QueueFilter) (n int, err error) {
	f.After = 0
	where, args := f.where()
	if err := s.readers.QueryRowContext(ctx, "SELECT count(*) FROM queue WHERE "+where, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting the queue: %w", err)
	}
	return n, nil
}

// QueueDestinations gives the destinations of the rows that f chooses, in the
// order of their names; After and Limit mean nothing.
func (s *Store) QueueDestinations(ctx context.Context, f QueueFilter) (list []string, err error) {
	f.After = 0
	where, args := f.where()
	rows, err := s.readers.QueryContext(ctx, "SELECT DISTINCT destination FROM queue WHERE "+where+" ORDER BY destination", args...)
	if err != nil {
		return nil, fmt.Errorf("reading the queue: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("reading the queue: %w", err)
		}
		list = append(list, name)
	}
	return list, rows.Err()
}

// QueueTotal sums up the rows of one destination.
type QueueTotal struct {
	Destination string
	// Waiting, Held and Other count the rows in the states 0, 1 and above.
	Waiting, Held, Other int
	// NextDue is the earliest Due of those that wait, Oldest the earliest Added
	// of all, in Unix milliseconds; 0 where there is none.
	NextDue, Oldest int64
}

// QueueTotals sums up the queue by destination, in the order of their names.
func (s *Store) QueueTotals(ctx context.Context) ([]QueueTotal, error) {
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the queue: %w", err)
	}
	defer conn.Close()
	var list []QueueTotal
	err = scan(ctx, conn, "SELECT destination, state, count(*), min(due), min(added) FROM queue GROUP BY destination, state", nil, func(v []driver.Value) error {
		number := func(i int) int64 { n, _ := v[i].(int64); return n }
		name, _ := v[0].(string)
		if len(list) == 0 || list[len(list)-1].Destination != name {
			list = append(list, QueueTotal{Destination: name, Oldest: number(4)})
		}
		t, n := &list[len(list)-1], int(number(2))
		switch number(1) {
		case 0:
			t.Waiting, t.NextDue = n, number(3)
		case 1:
			t.Held = n
		default:
			t.Other += n
		}
		t.Oldest = min(t.Oldest, number(4))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the queue: %w", err)
	}
	return list, nil
}
