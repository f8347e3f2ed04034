package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
)

// load is senders and mail programs at work on a box, with the ledger of what
// they were told.
type load struct {
	t      testing.TB
	b      *box
	ledger *ledger
	// senders get mail for people; programs are mail programs, one a person.
	senders int
	people  []string
	actors  []*actor
	// retry: the box may refuse for now or break connections; senders try a
	// refused letter again.
	retry bool
	size  func(*rand.Rand) int

	next     atomic.Int64
	refusals atomic.Int64
	// ending tells that connections break from now on for a known reason.
	ending atomic.Bool
	work   sync.WaitGroup
	cancel context.CancelFunc
}

func newLoad(b *box, senders int, people []string, programs ...string) *load {
	l := &load{t: b.t, b: b, ledger: newLedger(), senders: senders, people: people, size: sizeOf}
	for _, p := range programs {
		l.actors = append(l.actors, &actor{load: l, person: p})
	}
	return l
}

// begin starts everybody; what they choose depends on the seed and round.
func (l *load) begin(round string) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.ending.Store(false)
	for i := range l.senders {
		l.work.Go(func() { l.sendOn(ctx, i, chance(fmt.Sprintf("%s, sender %d", round, i))) })
	}
	for _, a := range l.actors {
		l.work.Go(func() { a.workOn(ctx, chance(round+", mail program of "+a.person)) })
	}
}

// end lets everybody finish what they are at.
func (l *load) end() {
	l.cancel()
	l.work.Wait()
}

// refused tells whether an error is the server's NO: then nothing happened.
func (l *load) refused(err error) bool {
	var no *imap.Error
	return !l.ending.Load() && errors.As(err, &no) && no.Type == imap.StatusResponseTypeNo
}

// interrupted tells whether an error has a known reason.
func (l *load) interrupted(ctx context.Context) bool { return l.ending.Load() || ctx.Err() != nil }

func (l *load) sendOn(ctx context.Context, i int, r *rand.Rand) {
	dial := dialData
	if i%2 == 1 {
		dial = dialBdat
	}
	var s sender
	defer func() {
		if s != nil {
			s.close()
		}
	}()
	var m *letter
	var content []byte
	var to []string
	for ctx.Err() == nil {
		if s == nil {
			var err error
			if s, err = dial(l.b.smtp); err != nil {
				s = nil
				if l.refusedToWork(ctx, fmt.Errorf("sender %d cannot connect: %w", i, err)) {
					return
				}
				continue
			}
		}
		if m == nil {
			m, content = compose(fmt.Sprintf("s%d", l.next.Add(1)), l.size(r), r)
			to = pick(r, l.people)
		}
		err := l.deliver(s, m, content, to)
		if err == nil {
			m = nil
			continue
		}
		s.close()
		s = nil
		if l.refusedToWork(ctx, fmt.Errorf("sender %d: %w", i, err)) {
			return
		}
		var no *refusal
		if !errors.As(err, &no) {
			m = nil // nobody knows: it is not sent again
		}
	}
}

// refusedToWork tells whether a worker has to end after an error: at the end,
// or at an error that must not be, which fails the test.
func (l *load) refusedToWork(ctx context.Context, err error) bool {
	switch {
	case l.interrupted(ctx):
		return true
	case !l.retry:
		l.t.Error(err)
		return true
	}
	time.Sleep(10 * time.Millisecond) // as a sender would, if longer
	return false
}

// deliver sends a letter and keeps the ledger.
func (l *load) deliver(s sender, m *letter, content []byte, to []string) error {
	l.ledger.sending(m, "INBOX", to...)
	err := s.send(content, to)
	var no *refusal
	switch {
	case err == nil:
		l.ledger.answered(m, true, to...)
		return nil
	case l.ending.Load():
		// Of a box that is going down for good a refusal means nothing.
	case errors.As(err, &no):
		l.ledger.answered(m, false, to...)
		l.refusals.Add(1)
		if no.code/100 != 4 {
			l.t.Errorf("a letter was refused for good: %v", no)
		}
		return fmt.Errorf("refused: %w", err)
	}
	return err
}

// pick gives one to all of people.
func pick(r *rand.Rand, people []string) []string {
	n := 1
	if r.IntN(4) == 0 {
		n = 1 + r.IntN(len(people))
	}
	var to []string
	for _, i := range r.Perm(len(people))[:n] {
		to = append(to, people[i])
	}
	return to
}

// until waits for a condition, polling.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// forget takes all mail out of the ledger, after empty took it out of the box:
// none of it may come back.
func (l *load) forget() {
	l.ledger.mu.Lock()
	defer l.ledger.mu.Unlock()
	for _, claims := range l.ledger.people {
		for _, c := range claims {
			c.min, c.max = 0, 0
		}
	}
	clear(l.ledger.unsure)
	for _, a := range l.actors {
		a.mail = nil
	}
}
