package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// rowBatch is how many rows are read at once. They are copied before fn sees
// them, so that a slow peer behind fn never holds a connection to the index.
const rowBatch = 512

// Rows reads the index for entries of one mailbox (ascending), calling fn for
// each in that order. Entries that are gone from the index are passed over.
func (s *Store) Rows(ctx context.Context, mailbox int64, entries []Entry, cols Columns, fn func(e *Entry, r *Row) error) error {
	var b rowBuffer
	for len(entries) > 0 {
		n := min(rowBatch, len(entries))
		batch := entries[:n]
		first, last := batch[0].UID, batch[n-1].UID
		if int64(last-first) > 8*int64(n) && n > 1 {
			// Scattered: ask for each.
			n, batch, last = 1, batch[:1], first
		}
		b.reset()
		if err := s.rowRange(ctx, mailbox, first, last, batch, cols, &b); err != nil {
			return err
		}
		for i := range b.entries {
			if err := fn(b.entries[i], b.row(i)); err != nil {
				return err
			}
		}
		entries = entries[n:]
	}
	return nil
}

// rowBuffer holds the rows of one batch.
type rowBuffer struct {
	entries []*Entry
	columns [][3][]byte // envelope, structure, search forms
	current Row
}

func (b *rowBuffer) reset() {
	b.entries, b.columns = b.entries[:0], b.columns[:0]
}

func (b *rowBuffer) row(i int) *Row {
	b.current = Row{Envelope: b.columns[i][0], Structure: b.columns[i][1]}
	if forms := b.columns[i][2]; forms != nil {
		unpackForms(&b.current, forms)
	}
	return &b.current
}

// packForms makes the column with the search forms: the date, and each text
// with its length before it.
func packForms(d *Derived) []byte {
	texts := [...]string{d.From, d.To, d.Cc, d.Bcc, d.Subject, d.MessageID}
	n := binary.MaxVarintLen64
	for _, t := range texts {
		n += binary.MaxVarintLen32 + len(t)
	}
	b := binary.AppendVarint(make([]byte, 0, n), d.Sent)
	for _, t := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(t))), t...)
	}
	return b
}

// unpackForms takes the column apart; r's slices point into it.
func unpackForms(r *Row, b []byte) {
	d := decoder{b: b}
	r.Sent = d.i()
	r.From, r.To, r.Cc, r.Bcc, r.Subject, r.MessageID = d.p(), d.p(), d.p(), d.p(), d.p(), d.p()
}

var rowColumns = [...]struct {
	col  Columns
	name string
}{{ColEnvelope, ", m.envelope"}, {ColStructure, ", m.structure"}, {ColSearch, ", m.forms"}}

func (s *Store) rowRange(ctx context.Context, mailbox int64, first, last uint32, entries []Entry, cols Columns, b *rowBuffer) error {
	query := "SELECT p.uid"
	var into []int
	for i, c := range rowColumns {
		if cols&c.col != 0 {
			query += c.name
			into = append(into, i)
		}
	}
	query += " FROM placement p JOIN message m ON m.id = p.msg WHERE p.mailbox = ? AND p.uid BETWEEN ? AND ? ORDER BY p.uid"
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return fmt.Errorf("reading the index: %w", err)
	}
	defer conn.Close()
	err = scan(ctx, conn, query, []int64{mailbox, int64(first), int64(last)}, func(values []driver.Value) error {
		uid, _ := values[0].(int64)
		for len(entries) > 0 && int64(entries[0].UID) < uid {
			entries = entries[1:]
		}
		if len(entries) == 0 || int64(entries[0].UID) != uid {
			return nil
		}
		var columns [3][]byte
		for i, to := range into {
			columns[to], _ = values[i+1].([]byte)
		}
		b.entries, b.columns = append(b.entries, &entries[0]), append(b.columns, columns)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the index: %w", err)
	}
	return nil
}

// scan runs a query and calls fn for each row. It asks the driver itself: for
// many short rows database/sql costs more than SQLite. Blobs are fn's to keep,
// values is not. fn must not use the index.
func scan(ctx context.Context, conn *sql.Conn, query string, args []int64, fn func(values []driver.Value) error) error {
	named := make([]driver.NamedValue, len(args))
	for i, a := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return conn.Raw(func(c any) error {
		q, ok := c.(driver.QueryerContext)
		if !ok {
			return errors.New("the driver takes no queries")
		}
		rows, err := q.QueryContext(ctx, query, named)
		if err != nil {
			return err
		}
		defer rows.Close()
		values := make([]driver.Value, len(rows.Columns()))
		for {
			err := rows.Next(values)
			if err == io.EOF {
				return nil
			}
			if err == nil {
				err = fn(values)
			}
			if err != nil {
				return err
			}
		}
	})
}
