package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// maxTraces bounds the trace entries that wait for a commit; at half of it
// they are written at once.
const maxTraces = 8192

// traceKey is the first key of the traces of the millisecond in which id was made.
func (id ID) traceKey() int64 {
	return int64(binary.BigEndian.Uint64(id[:8])>>16) << 20
}

type traceEntry struct {
	id   ID
	blob []byte
}

// AppendTrace adds a blob to the trace of id soon, without waiting: it is
// written within a second or two, and may be lost in a crash. (Annexes are not
// lost: the message files have them.)
func (s *Store) AppendTrace(id ID, blob []byte) {
	s.traceMu.Lock()
	defer s.traceMu.Unlock()
	if len(s.traces) < maxTraces {
		s.traces = append(s.traces, traceEntry{id, blob})
	}
}

// manyTraces tells whether entries should not wait for the next second.
func (s *Store) manyTraces() bool {
	s.traceMu.Lock()
	defer s.traceMu.Unlock()
	return len(s.traces) > maxTraces/2
}

// flushTraces writes what waits, in a transaction of its own: once a second,
// not with each commit, because every commit would write the same pages again.
func (s *Store) flushTraces() {
	s.traceMu.Lock()
	waiting := s.traces
	s.traces = nil
	s.traceMu.Unlock()
	if len(waiting) == 0 {
		return
	}
	slices.SortStableFunc(waiting, func(a, b traceEntry) int { return bytes.Compare(a.id[:], b.id[:]) })
	err := s.exec(s.stmts.begin)
	for len(waiting) > 0 && err == nil {
		id, n := waiting[0].id, 1
		for n < len(waiting) && waiting[n].id == id {
			n++
		}
		blobs := make([][]byte, n)
		for i := range blobs {
			blobs[i] = waiting[i].blob
		}
		_, err = s.stmts.trace.ExecContext(context.Background(), id.traceKey(), id[:], packTrace(blobs...))
		waiting = waiting[n:]
	}
	if err == nil {
		err = s.exec(s.stmts.commit)
	}
	if err != nil {
		s.exec(s.stmts.rollback)
		s.log.Warn("trace entries were lost", "error", err)
	}
}

// restoreTraces brings the annexes of the last commits, which are in the redo
// log and the message files, back into the traces.
func (s *Store) restoreTraces(ctx context.Context, ops []*op) error {
	for _, o := range ops {
		if o.kind != opMessage {
			continue
		}
		var n int
		if err := s.conn.QueryRowContext(ctx, "SELECT count(*) FROM trace WHERE id BETWEEN ?1 AND ?1 + 1048575 AND file = ?2",
			o.id.traceKey(), o.id[:]).Scan(&n); err != nil || n > 0 {
			return err
		}
		_, annex, err := s.deriveFromFile(o.msg, o.id)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, errDamagedFile) || err == nil && len(annex) == 0 {
			continue
		}
		if err == nil {
			_, err = s.stmts.trace.ExecContext(ctx, o.id.traceKey(), o.id[:], annex)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// packTrace makes one compressed value of several blobs, each behind its length.
func packTrace(blobs ...[]byte) []byte {
	var e encoder
	for _, b := range blobs {
		e.p(b)
	}
	return encodeAll().EncodeAll(e.b, nil)
}

func unpackTrace(packed []byte) ([][]byte, error) {
	b, err := decodeAll().DecodeAll(packed, nil)
	if err != nil {
		return nil, err
	}
	d := decoder{b: b}
	var blobs [][]byte
	for len(d.b) > 0 && d.err == nil {
		blobs = append(blobs, d.p())
	}
	return blobs, d.err
}

// Trace gives the blobs of a trace in order, the Annex first. ErrNotFound.
func (s *Store) Trace(ctx context.Context, id ID) ([][]byte, error) {
	rows, err := s.readers.QueryContext(ctx, "SELECT entry FROM trace WHERE id BETWEEN ?1 AND ?1 + 1048575 AND file = ?2 ORDER BY id", id.traceKey(), id[:])
	if err != nil {
		return nil, fmt.Errorf("reading the trace of %s: %w", id, err)
	}
	defer rows.Close()
	var blobs [][]byte
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, fmt.Errorf("reading the trace of %s: %w", id, err)
		}
		more, err := unpackTrace(b)
		if err != nil {
			return nil, fmt.Errorf("reading the trace of %s: %w", id, err)
		}
		blobs = append(blobs, more...)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the trace of %s: %w", id, err)
	}
	s.traceMu.Lock()
	for _, t := range s.traces {
		if t.id == id {
			blobs = append(blobs, t.blob)
		}
	}
	s.traceMu.Unlock()
	if len(blobs) == 0 {
		return nil, fmt.Errorf("trace of %s: %w", id, ErrNotFound)
	}
	return blobs, nil
}

// pruneBatch is how many trace rows one transaction removes, so that deliveries
// never wait long behind it.
const pruneBatch = 2000

// PruneTraces removes traces of messages that came in before the given time,
// and returns how many rows went.
func (s *Store) PruneTraces(ctx context.Context, before time.Time) (int64, error) {
	var all int64
	for {
		var gone int64
		err := s.submit(&request{fn: func(g *group) error {
			return g.unlogged(func() error {
				res, err := s.conn.ExecContext(ctx, "DELETE FROM trace WHERE id IN (SELECT id FROM trace WHERE id < ? ORDER BY id LIMIT ?)",
					before.UnixMilli()<<20, pruneBatch)
				if err == nil {
					gone, err = res.RowsAffected()
				}
				return err
			})
		}})
		all += gone
		if err != nil || gone < pruneBatch {
			return all, err
		}
	}
}
