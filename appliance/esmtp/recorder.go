package esmtp

import (
	"context"
	"maps"
	"sync"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
)

// Counts are what a Recorder counted since the start.
type Counts struct {
	// Messages and Octets were accepted with 250.
	Messages, Octets uint64
	// AnswersLost of Messages are those whose 250 could not be written.
	AnswersLost uint64
	// Vanished transactions: the peer went away or was too slow.
	Vanished uint64
	// Refused commands by the name of the reason.
	Refused map[string]uint64
}

// RecorderOptions say where a Recorder notes.
type RecorderOptions struct {
	Log maillog.Log
	// Keep, if set, is called with the trace of each transaction that ended
	// without being stored.
	Keep func(id envelope.ID, entries []maillog.Entry)
	// Late, if set, is called with each event of a stored message that comes
	// after Commit: maillog.Accepted or AnswerLost.
	Late func(id envelope.ID, entry maillog.Entry)
	// Now may be nil (time.Now).
	Now func() time.Time
}

// Recorder notes what becomes of transactions, in log, traces and counts, the
// same way for every policy. It is safe for many goroutines.
type Recorder struct {
	o RecorderOptions

	mu     sync.Mutex
	counts Counts
}

// NewRecorder makes a Recorder.
func NewRecorder(o RecorderOptions) *Recorder {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Recorder{o: o, counts: Counts{Refused: make(map[string]uint64)}}
}

// Counts gives the counts of the moment.
func (r *Recorder) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.counts
	c.Refused = maps.Clone(c.Refused)
	return c
}

func (r *Recorder) count(f func(*Counts)) {
	r.mu.Lock()
	f(&r.counts)
	r.mu.Unlock()
}

// CountRefusal counts a refusal that has an event of its own.
func (r *Recorder) CountRefusal(name string) {
	r.count(func(c *Counts) { c.Refused[name]++ })
}

// Refused notes a refusal: one event, one count. tx is nil outside of a
// transaction.
func (r *Recorder) Refused(tx *Transaction, verb, argument string, rep *reply.Reply) {
	r.CountRefusal(rep.Name)
	ev := maillog.Refused{
		Verb: verb, Argument: argument, Code: rep.Code, Enhanced: rep.Enhanced,
		Reason: rep.Name, Text: rep.Text,
	}
	if rep.Cause != nil {
		ev.Cause = rep.Cause.Error()
	}
	if tx != nil {
		tx.Trace.Add(ev)
	} else {
		r.o.Log.Emit("", ev)
	}
}

// Ended notes the end of a transaction (Session.Reset). tx may be nil.
func (r *Recorder) Ended(tx *Transaction, cause Cause) {
	if tx == nil || tx.Stored {
		return
	}
	switch cause {
	case Gone, TimedOut:
		tx.Trace.Add(maillog.Vanished{After: tx.Step})
		r.count(func(c *Counts) { c.Vanished++ })
	case Renewed:
		tx.Trace.Add(Withdrawn{After: tx.Step})
	case Answered, Closed:
	}
	if r.o.Keep != nil {
		r.o.Keep(tx.Envelope.ID, tx.Trace.Entries())
	}
}

// Content hands the content of a transaction to its Staging.
func (r *Recorder) Content(tx *Transaction, s Staging) Content {
	return &content{Staging: s, by: r, tx: tx}
}

// content implements Content; Write and Discard are the Staging's own.
type content struct {
	Staging
	by   *Recorder
	tx   *Transaction
	size int64
	took time.Duration
}

// Commit implements Content.
func (c *content) Commit(ctx context.Context, size int64) *reply.Reply {
	c.tx.Trace.Add(maillog.Received{Size: size, Via: c.tx.Step})
	start := c.by.o.Now()
	r := c.tx.commit(ctx, c.Staging)
	c.size, c.took = size, c.by.o.Now().Sub(start)
	return r
}

// Answered implements Content.
func (c *content) Answered(err error) {
	if !c.tx.Stored {
		return
	}
	var ev maillog.Event = maillog.Accepted{
		Recipients: len(c.tx.Envelope.To), Milliseconds: float64(c.took.Microseconds()) / 1000,
	}
	lost := uint64(0)
	if err != nil {
		ev, lost = AnswerLost{Error: err.Error()}, 1
	}
	c.by.count(func(n *Counts) {
		n.Messages++
		n.Octets += uint64(c.size)
		n.AnswersLost += lost
	})
	id := c.tx.Envelope.ID
	entry := c.by.o.Log.Emit(id, ev)
	if c.by.o.Late != nil {
		c.by.o.Late(id, entry)
	}
}
