package store

import (
	"context"
	"fmt"
)

// unsureRounds is how many checkpoints after a failed flush write the message
// files of the redo log again: those that it has, and, at the next, those that
// were written before the failure and recorded after it.
const unsureRounds = 2

// room makes sure that a record with a body of n octets fits into the current
// redo file, and moves to the other file otherwise.
func (s *Store) room(seq uint64, n int) error {
	if n > maxRecordBytes {
		return fmt.Errorf("a change of %d octets is %w", n, ErrTooLarge)
	}
	if s.redo.fits(n) {
		return nil
	}
	old, next := s.redo.cur, (s.redo.cur+1)%redoFiles
	if s.redo.files[old].gen == 0 {
		next = old
	}
	if err := s.covered(); err != nil {
		s.log.Warn("a checkpoint failed and is done again", "error", err)
	}
	if s.redo.files[next].spent || s.unsure > 0 {
		if err := s.checkpoint(); err != nil {
			return err
		}
	}
	// Once the other file may say that it begins here, nothing that this one
	// got later would count.
	s.redo.files[old].pos = redoSize
	if err := s.redo.start(next, seq); err != nil {
		return err
	}
	if next != old && s.unsure == 0 {
		s.cover(old)
	}
	return nil
}

// cover starts a checkpoint in the background for the records of a redo file
// that is no longer written.
func (s *Store) cover(i int) {
	done := make(chan error, 1)
	s.covering, s.coveringFile = done, i
	s.bg.Add(1)
	go func() {
		defer s.bg.Done()
		err := s.journal.sync()
		if err == nil {
			err = s.fs.SyncFS(s.dir)
			s.flushes.Add(1)
		}
		done <- err
	}()
}

// covered waits for a checkpoint under way.
func (s *Store) covered() error {
	if s.covering == nil {
		return nil
	}
	err := <-s.covering
	s.covering = nil
	if err != nil {
		s.unsure = unsureRounds
		return fmt.Errorf("checkpoint: %w", err)
	}
	s.redo.files[s.coveringFile].spent = false
	if s.journal.large() && !s.closing.Load() {
		if err := s.compact(); err != nil {
			s.log.Warn("the journal could not be compacted; it stays as it is", "error", err)
		}
	}
	return nil
}

// checkpoint makes everything up to the last commit durable outside the redo
// log, after which both files could be used again.
func (s *Store) checkpoint() error {
	if err := s.covered(); err != nil {
		s.log.Warn("a checkpoint failed and is done again", "error", err)
	}
	if s.unsure > 0 {
		// The kernel reports a failed write-back once and then takes the pages
		// for clean: write again what the redo log has.
		if err := s.rewriteFiles(); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	err := s.journal.sync()
	if err == nil {
		err = s.fs.SyncFS(s.dir)
	}
	if err != nil {
		s.unsure = unsureRounds
		return fmt.Errorf("checkpoint: %w", err)
	}
	s.unsure = max(0, s.unsure-1)
	s.flushes.Add(1)
	for i, rf := range s.redo.files {
		if i != s.redo.cur || rf.pos >= redoSize {
			rf.spent = false
		}
	}
	return nil
}

// rewriteFiles writes all message files that the redo log has once more, and
// has the journal replaced by a snapshot.
func (s *Store) rewriteFiles() error {
	for _, rf := range s.redo.files {
		again := *rf
		records, err := again.records(0, 0)
		if err != nil {
			return err
		}
		for _, r := range records {
			ops, err := decodeOps(r.body)
			if err != nil {
				return fmt.Errorf("redo log, record %d: %w", r.seq, err)
			}
			if err := s.restoreFiles(context.Background(), ops); err != nil {
				return err
			}
		}
	}
	return s.journal.rewrite()
}

// recover applies again what the redo log has and the index, the journal or the
// message files lack, after a crash or a power cut. Each of them reaches the
// disk at a time of its own: that the index has a change says nothing of the
// files.
func (s *Store) recover(ctx context.Context, records []redoRecord) error {
	for _, r := range records {
		ops, err := decodeOps(r.body)
		if err != nil {
			return fmt.Errorf("redo log, record %d: %w", r.seq, err)
		}
		if r.seq > s.seq {
			if r.seq != s.seq+1 && !s.rebuilding {
				return fmt.Errorf("%w: it ends at change %d, the redo log begins at %d", ErrIndexBehind, s.seq, r.seq)
			}
			if err := s.reapply(ctx, r.seq, ops); err != nil {
				return fmt.Errorf("recovering change %d: %w", r.seq, err)
			}
		} else if err := s.restoreFiles(ctx, ops); err != nil {
			return fmt.Errorf("recovering the message files of change %d: %w", r.seq, err)
		}
		if r.seq > s.journal.last {
			s.journal.add(r.seq, ops)
		}
		if err := s.restoreTraces(ctx, ops); err != nil {
			return fmt.Errorf("recovering traces of change %d: %w", r.seq, err)
		}
	}
	if len(records) > 0 || s.rebuilding {
		if err := s.recount(ctx); err != nil {
			return err
		}
	}
	if cur := s.redo.files[s.redo.cur]; cur.next != s.seq+1 {
		// Its records do not lead up to the index: begin the other file.
		cur.pos = redoSize
	}
	logs := max(s.journal.last, s.redo.files[s.redo.cur].first-1)
	if s.redo.files[s.redo.cur].gen == 0 {
		logs = s.journal.last
	}
	if s.seq >= logs {
		return nil
	}
	if s.rebuilding {
		s.damage("redo", fmt.Sprintf("changes %d to %d are nowhere to be found", s.seq+1, logs))
		s.seq = logs
		return nil
	}
	return fmt.Errorf("%w: it ends at change %d, its logs at %d", ErrIndexBehind, s.seq, logs)
}

// mendJournal has a journal that lacks something replaced by a snapshot.
func (s *Store) mendJournal() error {
	if !s.journal.damaged && s.journal.last == s.seq {
		return nil
	}
	s.log.Warn("the journal was damaged or incomplete; it is written anew from the index",
		"journal", s.journal.last, "index", s.seq)
	s.journal.last = s.seq
	return s.compact()
}

// reapply runs one recovered group.
func (s *Store) reapply(ctx context.Context, seq uint64, ops []*op) error {
	g := s.newGroup(ctx)
	g.seq = seq
	if err := s.exec(s.stmts.begin); err != nil {
		return err
	}
	for _, o := range ops {
		if o.kind == opMessage && s.rebuilding {
			o.derived = &Derived{} // indexed at the end, if it is still there
		}
		err := s.restoreFile(o)
		if err == nil {
			err = g.apply(o)
		}
		if err != nil {
			s.exec(s.stmts.rollback)
			return err
		}
	}
	if err := g.finish(); err != nil {
		s.exec(s.stmts.rollback)
		return err
	}
	if err := s.exec(s.stmts.commit); err != nil {
		s.exec(s.stmts.rollback)
		return err
	}
	s.adopt(g)
	return nil
}

// restoreFiles does restoreFile for the messages of a change that the index has
// already, except for those that were removed since.
func (s *Store) restoreFiles(ctx context.Context, ops []*op) error {
	for _, o := range ops {
		if o.kind != opMessage || len(o.image) == 0 {
			continue
		}
		var there bool
		err := s.conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM message WHERE id = ? AND file = ?)", o.msg, o.id[:]).Scan(&there)
		if err == nil && there {
			err = s.restoreFile(o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// restoreFile writes a message file that travelled in the redo log again. It
// does not look whether it is there and whole: what can be read may be in
// memory alone.
func (s *Store) restoreFile(o *op) error {
	if o.kind != opMessage || len(o.image) == 0 {
		return nil
	}
	return s.writeFile(o.msg, o.id, o.image)
}

// recount computes the counters of all mailboxes from their messages.
func (s *Store) recount(ctx context.Context) error {
	for _, b := range s.boxes {
		err := s.conn.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(flags & 1 = 0), 0), coalesce(sum(flags & 8 <> 0), 0), coalesce(sum(size), 0)
			FROM placement WHERE mailbox = ?`, b.ID).Scan(&b.Messages, &b.Unseen, &b.MarkedDeleted, &b.Size)
		if err != nil {
			return fmt.Errorf("counting mailbox %d: %w", b.ID, err)
		}
		if _, err := s.conn.ExecContext(ctx, "UPDATE mailbox SET messages = ?, unseen = ?, deleted = ?, size = ? WHERE id = ?",
			b.Messages, b.Unseen, b.MarkedDeleted, b.Size, b.ID); err != nil {
			return fmt.Errorf("counting mailbox %d: %w", b.ID, err)
		}
	}
	return nil
}
