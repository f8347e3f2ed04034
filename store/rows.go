package store

import (
	"context"
	"database/sql"
	"fmt"
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
		for i := range b.rows {
			if err := fn(b.entries[i], b.row(i)); err != nil {
				return err
			}
		}
		entries = entries[n:]
	}
	return nil
}

// rowBuffer holds the rows of one batch, their columns back to back in arena.
type rowBuffer struct {
	entries []*Entry
	rows    [][8]int
	sent    []int64
	arena   []byte
	current Row
}

func (b *rowBuffer) reset() {
	b.entries, b.rows, b.sent, b.arena = b.entries[:0], b.rows[:0], b.sent[:0], b.arena[:0]
}

func (b *rowBuffer) add(e *Entry, cols *[8]sql.RawBytes, sent int64) {
	var ends [8]int
	for i, c := range cols {
		b.arena = append(b.arena, c...)
		ends[i] = len(b.arena)
	}
	b.entries, b.rows, b.sent = append(b.entries, e), append(b.rows, ends), append(b.sent, sent)
}

func (b *rowBuffer) row(i int) *Row {
	start := 0
	if i > 0 {
		start = b.rows[i-1][7]
	}
	r := &b.current
	for j, p := range []*[]byte{&r.Envelope, &r.Structure, &r.From, &r.To, &r.Cc, &r.Bcc, &r.Subject, &r.MessageID} {
		end := b.rows[i][j]
		*p = b.arena[start:end:end]
		start = end
	}
	r.Sent = b.sent[i]
	return r
}

const searchColumns = "m.sfrom, m.sto, m.scc, m.sbcc, m.subject, m.messageid, m.sent"

var rowColumns = map[Columns]string{
	ColEnvelope:                            "m.envelope",
	ColStructure:                           "m.structure",
	ColEnvelope | ColStructure:             "m.envelope, m.structure",
	ColSearch:                              searchColumns,
	ColEnvelope | ColSearch:                "m.envelope, " + searchColumns,
	ColStructure | ColSearch:               "m.structure, " + searchColumns,
	ColEnvelope | ColStructure | ColSearch: "m.envelope, m.structure, " + searchColumns,
}

func (s *Store) rowRange(ctx context.Context, mailbox int64, first, last uint32, entries []Entry, cols Columns, b *rowBuffer) error {
	columns, ok := rowColumns[cols]
	if !ok {
		return fmt.Errorf("reading the index: no columns %d", cols)
	}
	rows, err := s.readers.QueryContext(ctx, "SELECT p.uid, "+columns+
		" FROM placement p JOIN message m ON m.id = p.msg WHERE p.mailbox = ? AND p.uid BETWEEN ? AND ? ORDER BY p.uid", mailbox, first, last)
	if err != nil {
		return fmt.Errorf("reading the index: %w", err)
	}
	defer rows.Close()
	var uid uint32
	var sent int64
	var values [8]sql.RawBytes
	to := []any{&uid}
	if cols&ColEnvelope != 0 {
		to = append(to, &values[0])
	}
	if cols&ColStructure != 0 {
		to = append(to, &values[1])
	}
	if cols&ColSearch != 0 {
		for i := 2; i < len(values); i++ {
			to = append(to, &values[i])
		}
		to = append(to, &sent)
	}
	for i := 0; i < len(entries) && rows.Next(); {
		if err := rows.Scan(to...); err != nil {
			return fmt.Errorf("reading the index: %w", err)
		}
		for i < len(entries) && entries[i].UID < uid {
			i++
		}
		if i < len(entries) && entries[i].UID == uid {
			b.add(&entries[i], &values, sent)
			i++
		}
	}
	return rows.Err()
}
