package imapd

import (
	"strings"
	"sync"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/store"
)

// maxPushTraces is for how many messages of one notification the trace is
// written: mail comes in by ones, and a mailbox that is filled by COPY is not
// news.
const maxPushTraces = 32

// pushQueue holds the sessions on IDLE whose mailbox changed, and the
// goroutines that tell their clients. There are as many of them as
// notifications on their way, up to a limit, so that a client that does not
// read holds up nobody but itself.
type pushQueue struct {
	mu      sync.Mutex
	wake    sync.Cond
	queue   []*session
	idle    int
	running int
	limit   int
	stopped bool
}

func (q *pushQueue) init(limit int) {
	q.limit = limit
	q.wake.L = &q.mu
}

// States of session.pushing.
const (
	pushNone   int32 = iota
	pushQueued       // in the queue
	pushing          // in the hands of a pusher
	pushAgain        // the same, and there is news meanwhile
)

// notify has ss told of changes soon, if it is on IDLE. It never blocks for
// long: the store calls it in the middle of a commit.
func (q *pushQueue) notify(ss *session) {
	if !ss.idling.Load() {
		return
	}
	for {
		switch state := ss.pushing.Load(); state {
		case pushQueued, pushAgain:
			return
		case pushing:
			if ss.pushing.CompareAndSwap(pushing, pushAgain) {
				return
			}
		default:
			if ss.pushing.CompareAndSwap(pushNone, pushQueued) {
				q.add(ss)
				return
			}
		}
	}
}

func (q *pushQueue) add(ss *session) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return
	}
	q.queue = append(q.queue, ss)
	switch {
	case len(q.queue) <= q.idle:
		q.wake.Signal()
	case q.running < q.limit:
		q.running++
		go q.run()
	}
}

func (q *pushQueue) run() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		for len(q.queue) == 0 && !q.stopped {
			// A few wait for work, so that news costs no new goroutine.
			if q.idle >= 2 {
				q.running--
				return
			}
			q.idle++
			q.wake.Wait()
			q.idle--
		}
		if q.stopped {
			q.running--
			return
		}
		ss := q.queue[0]
		q.queue[0] = nil
		if q.queue = q.queue[1:]; len(q.queue) == 0 {
			q.queue = nil
		}
		q.mu.Unlock()
		ss.pushing.Store(pushing)
		ss.tell()
		again := !ss.pushing.CompareAndSwap(pushing, pushNone)
		q.mu.Lock()
		if again {
			ss.pushing.Store(pushQueued)
			q.queue = append(q.queue, ss)
		}
	}
}

func (q *pushQueue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	q.wake.Broadcast()
}

// tell writes to a client on IDLE what changed. When the session's goroutine
// holds the lock, the client is about to leave IDLE, or to enter it: the end of
// the command tells the news, or notify comes again after it.
func (s *session) tell() {
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	defer s.recoverPush()
	if !s.idling.Load() || s.box == nil {
		return
	}
	s.writeLimit = s.srv.limits.PushTimeout
	defer func() { s.writeLimit = s.srv.limits.WriteTimeout }()
	s.w.Grab()
	fresh := s.sync(true)
	if err := s.w.Flush(); err != nil {
		s.conn.Close()
		return
	}
	s.w.Release()
	s.tracePush(fresh)
}

func (s *session) recoverPush() {
	if r := recover(); r != nil {
		s.logPanic("IDLE", r)
		s.conn.Close()
	}
}

// tracePush records in the traces of new messages that this client was told.
func (s *session) tracePush(fresh []store.Entry) {
	if len(fresh) == 0 || len(fresh) > maxPushTraces {
		return
	}
	name := strings.TrimSpace(s.client + " [" + s.remote.String() + "]")
	mailbox := s.box.name
	if mb, err := s.box.live.Mailbox(); err == nil {
		mailbox = mb.Name
	}
	for _, e := range fresh {
		entry := s.srv.opts.Log.Emit(envelope.ID(e.ID.String()), maillog.Pushed{
			Account: s.account.Address, Mailbox: mailbox, UID: e.UID, Client: name,
		})
		s.srv.store.AppendTrace(e.ID, maillog.Encode([]maillog.Entry{entry}))
	}
}

// writeDeadline gives the connection time for one write.
func (s *session) writeDeadline() {
	limit := s.writeLimit
	if s.srv.closing.Load() {
		limit = min(limit, stopWrite)
	}
	s.conn.SetWriteDeadline(time.Now().Add(limit))
}
