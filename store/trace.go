package store

import (
	"context"
	"fmt"
	"time"
)

// maxTraces bounds the trace entries that wait for a commit.
const maxTraces = 4096

type traceEntry struct {
	id   ID
	blob []byte
}

// AppendTrace adds a blob to the trace of id soon, without waiting: it is
// written with the next commit or within a second, and may be lost in a crash.
func (s *Store) AppendTrace(id ID, blob []byte) {
	s.traceMu.Lock()
	defer s.traceMu.Unlock()
	if len(s.traces) < maxTraces {
		s.traces = append(s.traces, traceEntry{id, blob})
	}
}

// writeTraces writes what waits, within the current transaction.
func (s *Store) writeTraces(ctx context.Context) error {
	s.traceMu.Lock()
	waiting := s.traces
	s.traces = nil
	s.traceMu.Unlock()
	for _, t := range waiting {
		if _, err := s.stmts.trace.ExecContext(ctx, t.id[:], t.blob); err != nil {
			return fmt.Errorf("writing a trace: %w", err)
		}
	}
	return nil
}

// flushTraces writes what waits in a transaction of its own.
func (s *Store) flushTraces() {
	s.traceMu.Lock()
	n := len(s.traces)
	s.traceMu.Unlock()
	if n == 0 {
		return
	}
	err := s.exec(s.stmts.begin)
	if err == nil {
		err = s.writeTraces(context.Background())
	}
	if err == nil {
		err = s.exec(s.stmts.commit)
	}
	if err != nil {
		s.exec(s.stmts.rollback)
		s.log.Warn("traces were lost", "error", err)
	}
}

// Trace gives the blobs of a trace in order, the Annex first. ErrNotFound.
func (s *Store) Trace(ctx context.Context, id ID) ([][]byte, error) {
	rows, err := s.readers.QueryContext(ctx, "SELECT entry FROM trace WHERE file = ? ORDER BY n", id[:])
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
		blobs = append(blobs, b)
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

// PruneTraces removes traces of messages that came in before the given time,
// and returns how many rows went.
func (s *Store) PruneTraces(ctx context.Context, before time.Time) (int64, error) {
	var first ID
	ms := uint64(max(before.UnixMilli(), 0))
	for i := range 6 {
		first[i] = byte(ms >> (40 - 8*i))
	}
	var gone int64
	err := s.submit(&request{fn: func(g *group) error {
		return g.unlogged(func() error {
			res, err := s.conn.ExecContext(ctx, "DELETE FROM trace WHERE file < ?", first[:])
			if err == nil {
				gone, err = res.RowsAffected()
			}
			return err
		})
	}})
	return gone, err
}
