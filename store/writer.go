package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	// maxGroup bounds how many requests share a commit.
	maxGroup = 128
	// maxGroupBytes bounds the message bytes in one redo record.
	maxGroupBytes = 1 << 20
	// maxCompany bounds how long a commit waits for company.
	maxCompany = 20 * time.Millisecond
	// fresh is how long a message that comes in counts as company to expect.
	fresh = 50 * time.Millisecond
)

// request is one change on its way to the writer.
type request struct {
	// fn emits ops. It may run several times; only the last run counts.
	fn func(g *group) error
	// touches are mailboxes of which fn reads the messages in memory.
	touches []int64
	bytes   int
	err     error
	done    chan struct{}
}

// submit hands a change to the writer and waits until it is durable or failed.
func (s *Store) submit(r *request) error {
	r.done = make(chan struct{})
	select {
	case s.queue <- r:
	case <-s.quit:
		return ErrClosed
	}
	select {
	case <-r.done:
		return r.err
	case <-s.stopped:
		// The writer may have answered just before it stopped.
		select {
		case <-r.done:
			return r.err
		default:
			return ErrClosed
		}
	}
}

// run is the writer: it gathers what waits and commits it as one group.
func (s *Store) run() {
	defer close(s.stopped)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var carry []*request
	for {
		batch := carry
		if len(batch) == 0 {
			select {
			case r := <-s.queue:
				batch = append(batch, r)
			case <-tick.C:
				s.flushTraces()
				continue
			case <-s.quit:
				select {
				case r := <-s.queue:
					batch = append(batch, r)
				default:
					s.flushTraces()
					return
				}
			}
		}
		carry = s.commitBatch(s.gather(batch))
		if s.manyTraces() {
			s.flushTraces()
		}
	}
}

// expecting tells whether a message that just began to come in may soon be
// here. Those that began long ago are slow or stuck, and nobody waits for them.
func (s *Store) expecting() bool {
	return s.staging.Load() > 0 && time.Now().UnixNano()-s.stagedAt.Load() < int64(fresh)
}

// gather adds to batch what waits already. It waits for company too: for as
// many as came together lately, and for those who have just begun. It never waits longer than the last flush took, so
// nobody is served later than by the flush after that one.
func (s *Store) gather(batch []*request) []*request {
	bytes := 0
	for _, r := range batch {
		bytes += r.bytes
	}
	defer func() { s.peers = max(len(batch), s.peers-1) }()
	var company <-chan time.Time
	for len(batch) < maxGroup && bytes < maxGroupBytes {
		select {
		case r := <-s.queue:
			batch = append(batch, r)
			bytes += r.bytes
			continue
		default:
		}
		if s.lastFlush == 0 || len(batch) >= s.peers && !s.expecting() {
			return batch
		}
		if company == nil {
			company = time.After(min(s.lastFlush, maxCompany))
		}
		select {
		case r := <-s.queue:
			batch = append(batch, r)
			bytes += r.bytes
		case <-company:
			return batch
		}
	}
	return batch
}

// commitBatch commits a batch and answers its requests. It returns those that
// have to wait for the next group, because an earlier request of this one
// changed a mailbox that they read in memory, or left too little room.
func (s *Store) commitBatch(batch []*request) (carry []*request) {
	for len(batch) > 0 {
		g := s.newGroup(context.Background())
		failed, later, err := s.runGroup(g, batch)
		if errors.Is(err, ErrTooLarge) && failed != nil && failed != batch[0] {
			// It may fit into a group of its own.
			carry, batch = append(carry, failed), without(batch, failed)
			continue
		}
		if failed != nil {
			// It had changed something before it failed: do the others again.
			if fault := new(indexError); errors.As(err, &fault) {
				s.noteFault(err)
			}
			answer(failed, err)
			batch = without(batch, failed)
			continue
		}
		switch {
		case err == nil && len(g.ops) > 0:
			err = s.commit(g)
		case err == nil && g.dirty:
			if err = s.exec(s.stmts.commit); err != nil {
				s.exec(s.stmts.rollback)
			}
		default:
			s.exec(s.stmts.rollback)
		}
		for _, r := range batch {
			if !contains(later, r) && r.err == nil {
				r.err = err
			}
		}
		for _, r := range batch {
			if !contains(later, r) {
				close(r.done)
			}
		}
		return append(carry, later...)
	}
	return carry
}

// runGroup begins the transaction and runs the requests. failed is a request
// that broke the transaction, which is then rolled back.
func (s *Store) runGroup(g *group, batch []*request) (failed *request, later []*request, err error) {
	if err := s.exec(s.stmts.begin); err != nil {
		return nil, nil, fmt.Errorf("beginning a transaction: %w", err)
	}
	for _, r := range batch {
		if g.touchesAny(r.touches) || len(g.body.b) > maxGroupBytes {
			later = append(later, r)
			continue
		}
		before := len(g.ops)
		r.err = r.fn(g)
		if r.err != nil && (len(g.ops) > before || g.dirty) {
			s.exec(s.stmts.rollback)
			return r, nil, r.err
		}
		if n := len(g.body.b); n > maxRecordBytes {
			s.exec(s.stmts.rollback)
			return r, nil, fmt.Errorf("a change of %d octets is %w", n, ErrTooLarge)
		}
	}
	return nil, later, nil
}

func (g *group) touchesAny(mailboxes []int64) bool {
	for _, m := range mailboxes {
		if g.touched[m] {
			return true
		}
	}
	return false
}

func answer(r *request, err error) {
	r.err = err
	close(r.done)
}

func without(rs []*request, r *request) []*request {
	var out []*request
	for _, x := range rs {
		if x != r {
			out = append(out, x)
		}
	}
	return out
}

func contains(rs []*request, r *request) bool {
	for _, x := range rs {
		if x == r {
			return true
		}
	}
	return false
}

// commit makes a group durable, then visible. On an error nothing of it was
// kept, and nothing of it will be found after a crash.
func (s *Store) commit(g *group) error {
	err := g.finish()
	if err == nil {
		err = s.room(g.seq, len(g.body.b))
	}
	if err != nil {
		s.exec(s.stmts.rollback)
		return s.noteFault(fmt.Errorf("preparing a commit: %w", err))
	}
	start := time.Now()
	err = s.redo.append(g.seq, g.body.b)
	s.lastFlush = time.Since(start)
	s.flushes.Add(1)
	if err == nil {
		err = s.publish(g)
	}
	if err != nil {
		s.exec(s.stmts.rollback)
		return s.noteFault(s.withdraw(g.seq, err))
	}
	s.commits.Add(1)
	s.noteFault(nil)
	return nil
}

// withdraw makes sure that a record which may have reached the redo log is
// never applied: its callers hear that it failed.
func (s *Store) withdraw(seq uint64, cause error) error {
	s.redo.void()
	if err := s.room(seq, 0); err != nil {
		return fmt.Errorf("%w (and the redo log could not be moved: %v)", cause, err)
	}
	return cause
}

// adopt makes what a group did the state that everyone reads.
func (s *Store) adopt(g *group) {
	s.seq, s.nextMailbox, s.committedMsg, s.nextQueued, s.lastValidity = g.seq, g.nextMailbox, g.nextMsg, g.nextQueued, g.lastValidity
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, id := range g.names {
		if id == 0 {
			delete(s.names, k)
		} else {
			s.names[k] = id
		}
	}
	for id, b := range g.boxes {
		if b == nil {
			delete(s.boxes, id)
		} else {
			s.boxes[id] = b
		}
	}
	for k, on := range g.subs {
		if on {
			s.subs[k] = true
		} else {
			delete(s.subs, k)
		}
	}
}

// publish commits the SQLite transaction and shows the change to everyone.
func (s *Store) publish(g *group) error {
	s.publishing.Lock()
	if err := s.exec(s.stmts.commit); err != nil {
		s.publishing.Unlock()
		return fmt.Errorf("committing to the index: %w", full(err))
	}
	s.adopt(g)
	s.journal.add(g.seq, g.ops)
	watchers := s.publishLive(g)
	s.publishing.Unlock()
	for _, fn := range watchers {
		fn()
	}
	if len(g.touched) > 0 || g.dequeued {
		s.wakeReaper()
	}
	return nil
}

func (s *Store) exec(st *sql.Stmt) error {
	_, err := st.ExecContext(context.Background())
	return err
}

// noteFault remembers for status why nothing can be written, and logs changes
// of that state.
func (s *Store) noteFault(err error) error {
	was := s.fault.Load()
	switch {
	case err != nil:
		text := err.Error()
		s.fault.Store(&text)
		if was == nil {
			s.log.Error("the store cannot write; mail is answered with a temporary refusal until it can", "error", err)
		}
	case was != nil:
		s.fault.Store(nil)
		s.log.Info("the store can write again")
	}
	return err
}
