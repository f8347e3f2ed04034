package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// posting is people who send through the box, to people of the box and to
// strangers at the far end, with the ledger of what they were told.
type posting struct {
	t       testing.TB
	b       *box
	far     *sink
	senders int
	// people of the box write, and get mail from each other; strangers are
	// addresses at the far end.
	people, strangers []string
	size              func(*rand.Rand) int
	// patient: the box may refuse for now; the letter is sent again.
	patient bool

	// inside is what the people of the box were promised.
	inside *ledger
	mu     sync.Mutex
	// outside are the letters with strangers among the recipients, by ID.
	outside map[string]*posted
	// ended tells of every life of the box how it ended.
	ended map[int64]ending

	next, refusals atomic.Int64
	ending         atomic.Bool
	work           sync.WaitGroup
	cancel         context.CancelFunc
}

// posted is one letter to strangers.
type posted struct {
	letter  *letter
	to      []string
	inside  []string
	kept    bool
	refused bool
}

// ending is how a life of the box ended.
type ending uint8

const (
	stillAlive ending = iota
	killed
	stopped
)

func newPosting(b *box, far *sink, senders int, people, strangers []string) *posting {
	return &posting{
		t: b.t, b: b, far: far, senders: senders, people: people, strangers: strangers, size: sizeOf,
		inside: newLedger(), outside: map[string]*posted{}, ended: map[int64]ending{},
	}
}

// unlimited are settings with which load of a test is no abuse.
func unlimited() map[string]string {
	return map[string]string{
		"submission.messages_per_hour": "0", "submission.recipients_per_hour": "0",
		"submission.connection_rate": "100000", "submission.max_connections_per_address": "200",
		"submission.sent_copy": "false",
		"relay.loopback":       "true",
	}
}

func (p *posting) begin(round string) {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.ending.Store(false)
	for i := range p.senders {
		p.work.Go(func() { p.sendOn(ctx, i, chance(fmt.Sprintf("%s, author %d", round, i))) })
	}
	p.work.Go(func() { p.hurry(ctx) })
}

// hurry has the box try again what the far end put off, as an owner in a hurry
// would: the test has no minutes to wait.
func (p *posting) hurry(ctx context.Context) {
	for again := time.NewTicker(300 * time.Millisecond); !p.ending.Load(); {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			p.b.run("", "queue", "retry", "--all")
		}
	}
}

func (p *posting) end() {
	p.cancel()
	p.work.Wait()
}

// over notes the end of the box's life and begins the next.
func (p *posting) over(how ending) {
	p.ended[p.far.life.Load()] = how
	p.far.life.Add(1)
}

// connect signs the author of a sender in.
func (p *posting) connect(i int) (sender, string, error) {
	author := p.people[i%len(p.people)]
	dial := p.b.submit
	if i%2 == 1 {
		dial = p.b.submitChunks
	}
	s, err := dial(author)
	return s, author, err
}

func (p *posting) sendOn(ctx context.Context, i int, r *rand.Rand) {
	var s sender
	var author string
	defer func() {
		if s != nil {
			s.close()
		}
	}()
	for ctx.Err() == nil {
		if s == nil {
			var err error
			if s, author, err = p.connect(i); err != nil {
				s = nil
				if p.gives(ctx, fmt.Errorf("author %d cannot connect: %w", i, err)) {
					return
				}
				continue
			}
		}
		m, content := composeFrom(addressOf(author), fmt.Sprintf("p%d", p.next.Add(1)), p.size(r), r)
		var no *refusal
		if err := p.post(s, m, content, p.pick(r)); err != nil {
			s.close()
			s = nil
			if !errors.As(err, &no) || !p.patient {
				if p.gives(ctx, fmt.Errorf("author %d: %w", i, err)) {
					return
				}
			}
		}
	}
}

// gives tells whether a sender gives up after an error, which fails the test
// where it must not be.
func (p *posting) gives(ctx context.Context, err error) bool {
	if !p.ending.Load() && ctx.Err() == nil && !p.patient {
		p.t.Error(err)
		return true
	}
	time.Sleep(10 * time.Millisecond)
	return p.ending.Load() || ctx.Err() != nil
}

// pick gives strangers mostly, people sometimes, and often both.
func (p *posting) pick(r *rand.Rand) []string {
	switch r.IntN(6) {
	case 0:
		return pick(r, p.people)
	case 1, 2:
		return append(pick(r, p.people), pick(r, p.strangers)...)
	}
	return pick(r, p.strangers)
}

// post sends a letter and keeps the ledger.
func (p *posting) post(s sender, m *letter, content []byte, to []string) error {
	q := &posted{letter: m}
	for _, r := range to {
		if slices.Contains(p.people, r) {
			q.inside = append(q.inside, r)
		} else {
			q.to = append(q.to, r)
		}
	}
	p.inside.sending(m, "INBOX", q.inside...)
	p.mu.Lock()
	p.outside[m.id] = q
	p.mu.Unlock()
	err := s.send(content, to)
	var no *refusal
	switch {
	case err == nil:
		p.inside.answered(m, true, q.inside...)
		p.settle(q, true)
	case errors.As(err, &no) && !p.ending.Load():
		p.inside.answered(m, false, q.inside...)
		p.settle(q, false)
		p.refusals.Add(1)
		if no.code/100 != 4 {
			p.t.Errorf("%s was refused for good: %v", m.id, no)
		}
	}
	return err
}

func (p *posting) settle(q *posted, kept bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q.kept, q.refused = kept, !kept
}

// forget takes all mail out of the ledgers, after the box was emptied: none of
// it may come back.
func (p *posting) forget() {
	(&load{ledger: p.inside}).forget()
	p.mu.Lock()
	clear(p.outside)
	p.mu.Unlock()
	p.far.forget()
}
