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

// rebuiltName is the index while it is being made.
const rebuiltName = "hauspost.db.new"

// Rebuild makes the index anew from journal, redo log and message files. The
// store must not be open (ErrLocked). Only when it is whole does it take the
// place of the old index, which is kept as hauspost.db.old (.old.1, .old.2 …).
// After an error everything is as it was. Messages whose files are gone are let
// go of, and reported; so is damage of the journal, over which it reads on.
func Rebuild(ctx context.Context, o Options) (RebuildReport, error) {
	r := RebuildReport{Problems: []Problem{}}
	if err := dropIndex(o.Dir, rebuiltName); err != nil {
		return r, err
	}
	s, err := open(ctx, o, osFS{}, true)
	if err != nil {
		return r, errors.Join(err, dropIndex(o.Dir, rebuiltName))
	}
	defer s.release()
	err = s.finishRebuild(ctx, &r)
	r.Problems = append(s.damaged, r.Problems...)
	if err == nil {
		err = s.checkpoint()
	}
	if err != nil {
		s.closeIndex()
		return r, errors.Join(err, dropIndex(o.Dir, rebuiltName))
	}
	return r, s.install()
}

// dropIndex removes an index with what SQLite keeps beside it.
func dropIndex(dir, name string) error {
	for _, ext := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(dir, name+ext)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing an unfinished index: %w", err)
		}
	}
	return nil
}

// install puts the new index in the place of the old one, and leaves logs that
// go on from it.
func (s *Store) install() error {
	if err := s.compactNow(); err != nil {
		return err
	}
	if err := s.redo.reset(s.seq + 1); err != nil {
		return err
	}
	s.closeIndex()
	old := filepath.Join(s.dir, "hauspost.db.old")
	for n := 1; ; n++ {
		if _, err := os.Stat(old); errors.Is(err, os.ErrNotExist) {
			break
		}
		old = filepath.Join(s.dir, fmt.Sprintf("hauspost.db.old.%d", n))
	}
	for _, ext := range []string{"", "-wal", "-shm"} {
		err := s.fs.Rename(filepath.Join(s.dir, "hauspost.db"+ext), old+ext)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("putting the old index aside: %w", err)
		}
	}
	if err := s.fs.Rename(filepath.Join(s.dir, rebuiltName), filepath.Join(s.dir, "hauspost.db")); err != nil {
		return fmt.Errorf("putting the new index in place: %w", err)
	}
	return s.fs.SyncDir(s.dir)
}

const remedyDamage = `what the index knew is lost from there on until the next sound entry: if you have a backup, restore it`

func (s *Store) damage(file, text string) {
	s.damaged = append(s.damaged, Problem{Kind: "damaged-log", File: file, Text: text, Remedy: remedyDamage})
}

// replayJournal applies all that the journal tells. Where it is damaged, what
// comes behind is applied as well as can be.
func (s *Store) replayJournal(ctx context.Context) error {
	n := 0
	err := s.journal.each(func(seq uint64, snapshot bool, body []byte) error {
		n++
		if !snapshot && seq != s.seq+1 && s.seq > 0 && len(s.damaged) == 0 {
			s.damage("journal", fmt.Sprintf("the journal goes on with %d after %d", seq, s.seq))
		}
		ops, err := decodeOps(body)
		if err == nil {
			err = s.reapply(ctx, seq, ops)
		}
		if err != nil && len(s.damaged) > 0 && ctx.Err() == nil {
			s.damage("journal", fmt.Sprintf("change %d could not be applied: %v", seq, err))
			s.seq = seq
			return nil
		}
		return err
	}, func(name string, after uint64) {
		s.damage(s.relative(name), fmt.Sprintf("the journal is damaged behind change %d", after))
	})
	if err != nil || n > 0 {
		return err
	}
	files, err := s.listFiles()
	if err == nil && len(files) > 0 && s.redo.files[s.redo.cur].first != 1 {
		err = fmt.Errorf("%w: the journal is empty, so nothing tells whose the %d message files are; restore the folder journal from a backup", ErrDamaged, len(files))
	}
	return err
}

// holders selects the messages that a mailbox or the queue holds, once for each
// time.
const holders = `SELECT msg FROM placement WHERE mailbox IN (SELECT id FROM mailbox WHERE dead = 0)
	UNION ALL SELECT msg FROM queue`

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
		"CREATE TEMP TABLE used AS SELECT msg AS id, count(*) AS n FROM (" + holders + ") GROUP BY msg",
		"CREATE UNIQUE INDEX temp.used_id ON used (id)",
		"DELETE FROM placement WHERE mailbox NOT IN (SELECT id FROM mailbox WHERE dead = 0)",
		"DELETE FROM mailbox WHERE dead = 1",
		"UPDATE tombstone SET msg = NULL",
		"DELETE FROM tombstone WHERE mailbox = 0",
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
	rows, err := s.conn.QueryContext(ctx, "SELECT id, file FROM message WHERE id NOT IN ("+holders+")")
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
		"DELETE FROM queue WHERE msg = ?",
		"DELETE FROM message WHERE id = ?",
	} {
		if _, err := s.conn.ExecContext(ctx, q, msg); err != nil {
			return fmt.Errorf("rebuilding: %w", err)
		}
	}
	return nil
}
