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

// reaped is a message that nobody holds any more.
type reaped struct {
	msg int64
	id  ID
}

// stone is a tombstone that still refers to its message.
type stone struct{ mailbox, msg, uid int64 }

// reapSome does one batch and returns how many rows it worked on. Files go
// before the rows that name them: a crash between leaves rows that are dead
// already, and that the next run takes back, where files without a row would
// lie there for ever.
func (s *Store) reapSome() (int, error) {
	ctx := context.Background()
	var work int
	err := s.submit(&request{fn: func(g *group) error {
		return g.unlogged(func() (err error) {
			work, err = s.emptyDeadMailbox(g.ctx)
			return err
		})
	}})
	if err != nil || work > 0 {
		return work, err
	}
	stones, err := s.stones(ctx)
	if err != nil || len(stones) == 0 {
		return 0, err
	}
	if err := s.removeDead(ctx, stones); err != nil {
		return 0, err
	}
	err = s.submit(&request{fn: func(g *group) error {
		return g.unlogged(func() error { return s.dropReferences(g.ctx, stones) })
	}})
	return len(stones), err
}

// stones reads a batch of tombstones that are committed.
func (s *Store) stones(ctx context.Context) ([]stone, error) {
	rows, err := s.readers.QueryContext(ctx, "SELECT mailbox, uid, msg FROM tombstone WHERE msg IS NOT NULL LIMIT ?", reapBatch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var stones []stone
	for rows.Next() {
		var t stone
		if err := rows.Scan(&t.mailbox, &t.uid, &t.msg); err != nil {
			return nil, err
		}
		stones = append(stones, t)
	}
	return stones, rows.Err()
}

// removeDead removes the files of messages that only tombstones hold: nothing
// can bring those back.
func (s *Store) removeDead(ctx context.Context, stones []stone) error {
	for _, t := range stones {
		var file []byte
		err := s.readers.QueryRowContext(ctx, "SELECT file FROM message WHERE id = ?1 AND refs <= (SELECT count(*) FROM tombstone WHERE msg = ?1)", t.msg).Scan(&file)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return fmt.Errorf("message %d: %w", t.msg, err)
		}
		var id ID
		copy(id[:], file)
		if err := s.fs.Remove(s.path(t.msg, id)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing the file of message %d: %w", t.msg, err)
		}
	}
	return nil
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

// dropReferences takes back the references of tombstones and removes the rows
// of messages that nobody has any more.
func (s *Store) dropReferences(ctx context.Context, stones []stone) error {
	// The highest row may go: its number must not come again.
	if _, err := s.conn.ExecContext(ctx, "UPDATE state SET next_msg = max(next_msg, ?)", s.committedMsg); err != nil {
		return err
	}
	for _, t := range stones {
		// Nobody can ask for the tombstones of a mailbox that is gone (0).
		for _, st := range []*sql.Stmt{s.stmts.dropStone, s.stmts.clearStone} {
			if _, err := st.ExecContext(ctx, t.mailbox, t.uid); err != nil {
				return err
			}
		}
		var refs int64
		var file []byte
		err := s.stmts.dropRef.QueryRowContext(ctx, t.msg).Scan(&refs, &file)
		if errors.Is(err, sql.ErrNoRows) || err == nil && refs > 0 {
			continue
		}
		if err != nil {
			return fmt.Errorf("message %d: %w", t.msg, err)
		}
		if _, err := s.stmts.dropMessage.ExecContext(ctx, t.msg); err != nil {
			return err
		}
	}
	return nil
}
