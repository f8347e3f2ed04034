package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// RebuildReport is the outcome of Rebuild.
type RebuildReport struct {
	Messages  int       `json:"messages"`
	Mailboxes int       `json:"mailboxes"`
	Documents int       `json:"documents"`
	Problems  []Problem `json:"problems"`
}

// Rebuild makes the index anew from journal, redo log and message files. The
// store must not be open (ErrLocked). An index that is there is kept aside as
// hauspost.db.old. Messages whose files are gone are let go of, and reported.
func Rebuild(ctx context.Context, o Options) (RebuildReport, error) {
	r := RebuildReport{Problems: []Problem{}}
	aside := newStore(o, osFS{})
	if err := aside.lockFolder(); err != nil {
		return r, err
	}
	for _, ext := range []string{"", "-wal", "-shm"} {
		name := filepath.Join(o.Dir, "hauspost.db"+ext)
		err := os.Rename(name, filepath.Join(o.Dir, "hauspost.db.old"+ext))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			aside.release()
			return r, fmt.Errorf("putting the old index aside: %w", err)
		}
	}
	aside.release()
	s, err := open(ctx, o, osFS{}, true)
	if err != nil {
		return r, err
	}
	err = s.finishRebuild(ctx, &r)
	if err == nil {
		err = s.checkpoint()
	}
	s.release()
	return r, err
}

// replayJournal applies all that the journal tells.
func (s *Store) replayJournal(ctx context.Context) error {
	return s.journal.each(func(seq uint64, snapshot bool, body []byte) error {
		if !snapshot && seq != s.seq+1 && s.seq > 0 {
			return fmt.Errorf("the journal goes on with %d after %d", seq, s.seq)
		}
		ops, err := decodeOps(body)
		if err != nil {
			return err
		}
		return s.reapply(ctx, seq, ops)
	})
}

// finishRebuild counts references, reads the message files, and lets go of
// messages without one.
func (s *Store) finishRebuild(ctx context.Context, r *RebuildReport) error {
	if _, err := s.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("rebuilding: %w", err)
	}
	defer s.conn.ExecContext(context.Background(), "ROLLBACK")
	expunged, err := s.unused(ctx)
	if err != nil {
		return err
	}
	for _, q := range []string{
		"CREATE TEMP TABLE used AS SELECT msg AS id, count(*) AS n FROM placement WHERE mailbox IN (SELECT id FROM mailbox WHERE dead = 0) GROUP BY msg",
		"CREATE UNIQUE INDEX temp.used_id ON used (id)",
		"DELETE FROM placement WHERE mailbox NOT IN (SELECT id FROM mailbox WHERE dead = 0)",
		"DELETE FROM mailbox WHERE dead = 1",
		"UPDATE tombstone SET msg = NULL",
		"DELETE FROM message WHERE id NOT IN (SELECT id FROM used)",
		"UPDATE message SET refs = (SELECT n FROM used WHERE used.id = message.id)",
		"DROP TABLE used",
		"DELETE FROM trace",
	} {
		if _, err := s.conn.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("rebuilding: %s: %w", q, err)
		}
	}
	if err := s.indexAll(ctx, r); err != nil {
		return err
	}
	if err := s.conn.QueryRowContext(ctx, "SELECT count(*) FROM doc").Scan(&r.Documents); err != nil {
		return fmt.Errorf("rebuilding: %w", err)
	}
	r.Mailboxes = len(s.boxes)
	if err := s.recount(ctx); err != nil {
		return err
	}
	if _, err := s.conn.ExecContext(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("rebuilding: %w", err)
	}
	for _, m := range expunged {
		if err := s.fs.Remove(s.path(m.msg, m.id)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing an expunged message: %w", err)
		}
	}
	files, err := s.listFiles()
	if err != nil {
		return err
	}
	all, err := s.messageRows(ctx, 0)
	if err != nil {
		return err
	}
	for _, m := range all {
		delete(files, s.path(m.msg, m.id))
	}
	for name := range files {
		r.Problems = append(r.Problems, Problem{Kind: "stray-file", File: s.relative(name), Text: "a message file that the journal does not know", Remedy: remedyStray})
	}
	return nil
}

// unused gives the messages that were expunged everywhere: their files may be
// there still, or again out of the redo log.
func (s *Store) unused(ctx context.Context) ([]reaped, error) {
	rows, err := s.conn.QueryContext(ctx, `SELECT id, file FROM message WHERE id NOT IN
		(SELECT msg FROM placement WHERE mailbox IN (SELECT id FROM mailbox WHERE dead = 0))`)
	if err != nil {
		return nil, fmt.Errorf("rebuilding: %w", err)
	}
	defer rows.Close()
	var all []reaped
	for rows.Next() {
		var m reaped
		var file []byte
		if err := rows.Scan(&m.msg, &file); err != nil {
			return nil, fmt.Errorf("rebuilding: %w", err)
		}
		copy(m.id[:], file)
		all = append(all, m)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("rebuilding: %w", err)
	}
	return all, nil
}

// indexAll makes the index's columns of every message from its file.
func (s *Store) indexAll(ctx context.Context, r *RebuildReport) error {
	rows, err := s.conn.QueryContext(ctx, "SELECT id, file, rawsize, size, sum, refs FROM message")
	if err != nil {
		return fmt.Errorf("rebuilding: %w", err)
	}
	var all []*op
	for rows.Next() {
		o := &op{kind: opMessage}
		var file, sum []byte
		if err := rows.Scan(&o.msg, &file, &o.rawSize, &o.size, &sum, &o.refs); err != nil {
			rows.Close()
			return fmt.Errorf("rebuilding: %w", err)
		}
		copy(o.id[:], file)
		copy(o.sum[:], sum)
		all = append(all, o)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("rebuilding: %w", err)
	}
	g := s.newGroup(ctx)
	for _, o := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, annex, err := s.deriveFromFile(o.msg, o.id)
		p := Problem{File: s.relative(s.path(o.msg, o.id)), Message: o.id.String()}
		switch {
		case errors.Is(err, os.ErrNotExist):
			p.Kind, p.Text, p.Remedy = "missing-file", "the file of this message is not there: it was let go of", "restore the file from a backup and run the rebuild again"
			r.Problems = append(r.Problems, p)
			if err := s.letGo(ctx, o.msg); err != nil {
				return err
			}
			continue
		case errors.Is(err, errDamagedFile):
			p.Kind, p.Text, p.Remedy = "damaged-file", err.Error(), remedyRestore
			r.Problems = append(r.Problems, p)
		case err != nil:
			return fmt.Errorf("rebuilding: %w", err)
		}
		o.derived = &d
		if err := g.applyMessage(o); err != nil {
			return fmt.Errorf("rebuilding: %w", err)
		}
		if len(annex) > 0 {
			if _, err := s.stmts.trace.ExecContext(ctx, o.id.traceKey(), o.id[:], annex); err != nil {
				return fmt.Errorf("rebuilding: %w", err)
			}
		}
		r.Messages++
	}
	return nil
}

func (s *Store) letGo(ctx context.Context, msg int64) error {
	for _, q := range []string{
		"DELETE FROM placement WHERE msg = ?",
		"DELETE FROM message WHERE id = ?",
	} {
		if _, err := s.conn.ExecContext(ctx, q, msg); err != nil {
			return fmt.Errorf("rebuilding: %w", err)
		}
	}
	return nil
}
