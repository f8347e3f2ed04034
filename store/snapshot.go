package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// compact replaces a long journal by a snapshot, in the background of the
// writer. The read transaction begins before the next commit, so that it sees
// exactly what the old logs tell.
func (s *Store) compact() error {
	write, err := s.beginSnapshot()
	if err != nil {
		return err
	}
	s.bg.Add(1)
	go func() {
		defer s.bg.Done()
		if err := write(); err != nil {
			s.log.Warn("the journal could not be compacted; it stays as it is", "error", err)
		}
	}()
	return nil
}

// compactNow does the same and waits for it.
func (s *Store) compactNow() error {
	s.journal.last = s.seq
	write, err := s.beginSnapshot()
	if err != nil {
		return err
	}
	return write()
}

// beginSnapshot begins a new log and returns what writes the snapshot of all
// that came before it.
func (s *Store) beginSnapshot() (write func() error, err error) {
	ctx := context.Background()
	tx, err := s.snapshots.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("compacting the journal: %w", err)
	}
	var seq uint64
	if err := tx.QueryRowContext(ctx, "SELECT max(seq, (SELECT coalesce(max(modseq), 0) FROM mailbox)) FROM state").Scan(&seq); err != nil {
		tx.Rollback()
		return nil, fmt.Errorf("compacting the journal: %w", err)
	}
	last, err := s.journal.rotate()
	if err == nil && last != seq {
		err = fmt.Errorf("the journal ends at %d, the index at %d", last, seq)
	}
	if err != nil {
		tx.Rollback()
		return nil, fmt.Errorf("compacting the journal: %w", err)
	}
	return func() error {
		defer tx.Rollback()
		return s.writeSnapshot(ctx, tx, seq)
	}, nil
}

// snapshotWriter writes ops in records of moderate size.
type snapshotWriter struct {
	f   file
	seq uint64
	e   encoder
	buf []byte
}

func (w *snapshotWriter) add(o *op) error {
	o.encode(&w.e, false)
	if len(w.e.b) < 256<<10 {
		return nil
	}
	return w.flush()
}

func (w *snapshotWriter) flush() error {
	w.buf = appendRecord(w.buf[:0], w.seq, 0, w.e.b, 1)
	w.e.b = w.e.b[:0]
	_, err := w.f.Write(w.buf)
	return err
}

func (s *Store) writeSnapshot(ctx context.Context, tx *sql.Tx, seq uint64) error {
	name := s.journal.name(seq, "state")
	tmp := name + ".new"
	f, err := s.fs.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := &snapshotWriter{f: f, seq: seq}
	err = s.snapshot(ctx, tx, w)
	if err == nil {
		err = w.flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = s.fs.Rename(tmp, name)
	}
	if err != nil {
		s.fs.Remove(tmp)
		return err
	}
	if err := s.fs.SyncDir(s.journal.dir); err != nil {
		return err
	}
	return s.journal.replaceBefore(seq)
}

// snapshot writes ops that make everything as tx sees it.
func (s *Store) snapshot(ctx context.Context, tx *sql.Tx, w *snapshotWriter) error {
	c := &op{kind: opCounters}
	if err := tx.QueryRowContext(ctx, "SELECT next_mailbox, max(next_msg, (SELECT coalesce(max(id), 0) + 1 FROM message)), last_validity FROM state").Scan(&c.mailbox, &c.msg, &c.validity); err != nil {
		return err
	}
	queued := &op{kind: opQueueCounter}
	if err := tx.QueryRowContext(ctx, "SELECT max(next_queued, (SELECT coalesce(max(id), 0) + 1 FROM queue)) FROM state").Scan(&queued.mailbox); err != nil {
		return err
	}
	if err := errors.Join(w.add(c), w.add(queued)); err != nil {
		return err
	}
	err := each(ctx, tx, "SELECT kind, key, value FROM doc", func(scan func(...any) error) error {
		o := &op{kind: opDocPut}
		if err := scan(&o.kindName, &o.key, &o.value); err != nil {
			return err
		}
		return w.add(o)
	})
	if err != nil {
		return err
	}
	err = each(ctx, tx, `SELECT id, file, rawsize, size, sum, refs FROM message`, func(scan func(...any) error) error {
		o := &op{kind: opMessage}
		var file, sum []byte
		if err := scan(&o.msg, &file, &o.rawSize, &o.size, &sum, &o.refs); err != nil {
			return err
		}
		copy(o.id[:], file)
		copy(o.sum[:], sum)
		return w.add(o)
	})
	if err != nil {
		return err
	}
	var states []*op
	err = each(ctx, tx, "SELECT id, owner, name, uidvalidity, uidnext, modseq, noselect, specialuse, keywords FROM mailbox WHERE dead = 0", func(scan func(...any) error) error {
		o, state := &op{kind: opMailboxCreate}, &op{kind: opMailboxState}
		var noselect bool
		var keywords string
		if err := scan(&o.mailbox, &o.owner, &o.name, &o.validity, &state.uid, &state.modseq, &noselect, &o.key, &keywords); err != nil {
			return err
		}
		state.mailbox = o.mailbox
		states = append(states, state)
		if err := w.add(o); err != nil {
			return err
		}
		if noselect {
			if err := w.add(&op{kind: opMailboxNoSelect, mailbox: o.mailbox, noselect: true}); err != nil {
				return err
			}
		}
		if keywords == "" {
			return nil
		}
		value, err := json.Marshal(strings.Fields(keywords))
		if err != nil {
			return err
		}
		return w.add(&op{kind: opMailboxKeywords, mailbox: o.mailbox, value: value})
	})
	if err != nil {
		return err
	}
	err = each(ctx, tx, `SELECT p.mailbox, p.uid, p.msg, p.file, p.flags, p.size, p.internal, p.saved, p.zone, p.modseq
		FROM placement p JOIN mailbox m ON m.id = p.mailbox WHERE m.dead = 0`, func(scan func(...any) error) error {
		o := &op{kind: opPlace}
		var file []byte
		var flags int64
		if err := scan(&o.mailbox, &o.uid, &o.msg, &file, &flags, &o.size, &o.internal, &o.saved, &o.zone, &o.modseq); err != nil {
			return err
		}
		o.flags = Flags(flags)
		copy(o.id[:], file)
		return w.add(o)
	})
	for _, o := range states {
		if err == nil {
			err = w.add(o)
		}
	}
	if err != nil {
		return err
	}
	if err := snapshotKeys(ctx, tx, w); err != nil {
		return err
	}
	return each(ctx, tx, "SELECT "+queuedColumns+" FROM queue", func(scan func(...any) error) error {
		q := &Queued{}
		var file []byte
		if err := scan(&q.ID, &q.Msg, &file, &q.Size, &q.State, &q.Due, &q.Added, &q.Destination, &q.Sender, &q.Recipient, &q.Note, &q.Value); err != nil {
			return err
		}
		copy(q.File[:], file)
		return w.add(&op{kind: opQueuePut, queued: q})
	})
}

func each(ctx context.Context, tx *sql.Tx, query string, fn func(scan func(...any) error) error) error {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
