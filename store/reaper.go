package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"
)

// reapBatch is how many expunged messages one commit of the reaper takes, so
// that deliveries never wait long behind it.
const reapBatch = 200

// reapPause is how long removals are gathered, so that mail that passes through
// the queue does not cost a commit of the reaper each time.
const reapPause = 300 * time.Millisecond

func (s *Store) wakeReaper() {
	select {
	case s.reap <- struct{}{}:
	default:
	}
}

// reaper takes back what expunged messages hold: references, rows, files. None
// of that is logged: after a crash it is done again.
func (s *Store) reaper() {
	defer s.bg.Done()
	s.wakeReaper()
	for {
		select {
		case <-s.quit:
			return
		case <-s.reap:
		}
		select {
		case <-s.quit:
			return
		case <-time.After(reapPause):
		}
		for {
			n, err := s.reapSome()
			if err != nil && !errors.Is(err, ErrClosed) {
				s.log.Warn("removing expunged messages failed; it is tried again after the next change", "error", err)
			}
			if err != nil || n == 0 {
				break
			}
		}
	}
}

type reaped struct {
	msg int64
	id  ID
}

// reapSome does one batch and returns how many rows it worked on.
func (s *Store) reapSome() (int, error) {
	var work int
	var files []reaped
	err := s.submit(&request{fn: func(g *group) error {
		work, files = 0, nil
		return g.unlogged(func() (err error) {
			if work, err = s.emptyDeadMailbox(g.ctx); err != nil || work > 0 {
				return err
			}
			work, files, err = s.dropReferences(g.ctx)
			return err
		})
	}})
	if err != nil {
		return 0, err
	}
	for _, r := range files {
		if err := s.fs.Remove(s.path(r.msg, r.id)); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.log.Warn("a message file could not be removed", "id", r.id.String(), "error", err)
		}
	}
	return work, nil
}

// emptyDeadMailbox buries some messages of a deleted mailbox, and the mailbox
// once it is empty.
func (s *Store) emptyDeadMailbox(ctx context.Context) (int, error) {
	var id int64
	if err := s.conn.QueryRowContext(ctx, "SELECT coalesce(min(id), 0) FROM mailbox WHERE dead = 1").Scan(&id); err != nil || id == 0 {
		return 0, err
	}
	if _, err := s.conn.ExecContext(ctx, "INSERT OR REPLACE INTO tombstone SELECT mailbox, uid, 0, msg FROM placement WHERE mailbox = ? ORDER BY uid LIMIT ?", id, reapBatch); err != nil {
		return 0, fmt.Errorf("emptying a deleted mailbox: %w", err)
	}
	res, err := s.conn.ExecContext(ctx, "DELETE FROM placement WHERE mailbox = ?1 AND uid IN (SELECT uid FROM placement WHERE mailbox = ?1 ORDER BY uid LIMIT ?2)", id, reapBatch)
	if err != nil {
		return 0, fmt.Errorf("emptying a deleted mailbox: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return int(n), err
	}
	for _, q := range []string{
		"DELETE FROM mailbox WHERE id = ?",
		"DELETE FROM tombstone WHERE mailbox = ? AND msg IS NULL",
		"UPDATE tombstone SET modseq = 0 WHERE mailbox = ?",
	} {
		if _, err := s.conn.ExecContext(ctx, q, id); err != nil {
			return 0, fmt.Errorf("removing a deleted mailbox: %w", err)
		}
	}
	return 1, nil
}

// dropReferences takes back the references of some tombstones and removes the
// rows of messages that nobody has any more.
func (s *Store) dropReferences(ctx context.Context) (int, []reaped, error) {
	rows, err := s.conn.QueryContext(ctx, "SELECT mailbox, uid, msg FROM tombstone WHERE msg IS NOT NULL LIMIT ?", reapBatch)
	if err != nil {
		return 0, nil, err
	}
	type stone struct {
		mailbox, msg, uid int64
	}
	var stones []stone
	for rows.Next() {
		var t stone
		if err := rows.Scan(&t.mailbox, &t.uid, &t.msg); err != nil {
			rows.Close()
			return 0, nil, err
		}
		stones = append(stones, t)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, nil, err
	}
	if len(stones) > 0 {
		// The highest row may go: its number must not come again.
		if _, err := s.conn.ExecContext(ctx, "UPDATE state SET next_msg = max(next_msg, ?)", s.committedMsg); err != nil {
			return 0, nil, err
		}
	}
	var files []reaped
	for _, t := range stones {
		// Nobody can ask for the tombstones of a mailbox that is gone (0).
		for _, st := range []*sql.Stmt{s.stmts.dropStone, s.stmts.clearStone} {
			if _, err := st.ExecContext(ctx, t.mailbox, t.uid); err != nil {
				return 0, nil, err
			}
		}
		var refs int64
		var file []byte
		err := s.stmts.dropRef.QueryRowContext(ctx, t.msg).Scan(&refs, &file)
		if errors.Is(err, sql.ErrNoRows) || err == nil && refs > 0 {
			continue
		}
		if err != nil {
			return 0, nil, fmt.Errorf("message %d: %w", t.msg, err)
		}
		if _, err := s.stmts.dropMessage.ExecContext(ctx, t.msg); err != nil {
			return 0, nil, err
		}
		r := reaped{msg: t.msg}
		copy(r.id[:], file)
		files = append(files, r)
	}
	return len(stones), files, nil
}
