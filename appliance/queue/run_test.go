package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hauspost/appliance/transfer"
	"hauspost/store"
)

// eventually waits for a condition, in short steps with a deadline.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("it never came that " + what)
}

// live runs a post with the real clock.
func live(t testing.TB, change ...func(o *Options)) (*post, func()) {
	t.Helper()
	p := newPost(t, append(change, func(o *Options) { o.Now, o.After = time.Now, time.After })...)
	p.q.running, p.q.begun = false, false
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- p.q.Run(ctx) }()
	eventually(t, "it runs", func() bool {
		p.q.mu.Lock()
		defer p.q.mu.Unlock()
		return p.q.begun
	})
	return p, sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// now makes letters of the live post be due by the real clock.
func now(it *Item) { it.Added, it.Due = time.Now(), time.Now() }

func TestRun(t *testing.T) {
	t.Parallel()
	p, stop := live(t)
	defer stop()
	if err := p.q.Run(t.Context()); err == nil {
		t.Error("it runs twice")
	}
	var wg sync.WaitGroup
	var all atomic.Int64
	for w := range 8 {
		wg.Go(func() {
			for i := range 25 {
				rows, err := p.enqueue(letter{to: []string{fmt.Sprintf("u%d-%d@d%d.example", w, i, i%5)}, edit: now})
				if err != nil {
					t.Error(err)
					return
				}
				p.q.Wake(rows)
				all.Add(1)
			}
		})
	}
	wg.Wait()
	eventually(t, "all is delivered", func() bool { return p.wire.attempts() == 200 })
	eventually(t, "nothing is left", func() bool { return len(p.rows(store.QueueFilter{})) == 0 })
	p.wire.mu.Lock()
	defer p.wire.mu.Unlock()
	got := slices.Clone(p.wire.got)
	slices.Sort(got)
	if len(slices.Compact(got)) != 200 {
		t.Errorf("%d of 200 arrived, some twice", len(slices.Compact(got)))
	}
	eventually(t, "no attempt is left", func() bool {
		p.q.mu.Lock()
		defer p.q.mu.Unlock()
		return len(p.q.busy) == 0 && p.q.active == 0
	})
}

func TestRunFindsWhatWaits(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(o *Options) { o.Now, o.After = time.Now, time.After })
	for i := range 300 {
		if _, err := p.enqueue(letter{to: []string{fmt.Sprintf("u%d@d%d.example", i, i%3)}, edit: now}); err != nil {
			t.Fatal(err)
		}
	}
	p.q.running, p.q.begun = false, false
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.q.Run(ctx) }()
	eventually(t, "nothing is left", func() bool { return len(p.rows(store.QueueFilter{})) == 0 })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := p.wire.attempts(); n != 300 {
		t.Errorf("%d attempts", n)
	}
}

// stuck is a transport that waits for its context.
type stuck struct {
	began chan struct{}
	took  atomic.Bool
}

func (s *stuck) Attempt(ctx context.Context, m *transfer.Message) transfer.Result {
	s.began <- struct{}{}
	<-ctx.Done()
	if s.took.Load() {
		return transfer.Same(m, deliveredOutcome)
	}
	return transfer.Same(m, down)
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	for _, took := range []bool{true, false} {
		s := &stuck{began: make(chan struct{}, 1)}
		s.took.Store(took)
		p, stop := live(t, func(o *Options) { o.Limits.Grace = time.Millisecond })
		p.q.o.Transport = s
		row, err := p.enqueue(letter{to: []string{"bob@example.org"}, edit: now})
		if err != nil {
			t.Fatal(err)
		}
		p.q.Wake(row)
		<-s.began
		stop()
		// What was taken is written down, what was cut off counts for nothing.
		if p.gone(row[0].ID) != took {
			t.Errorf("taken %v, gone %v", took, p.gone(row[0].ID))
		}
		if !took {
			if it := p.item(row[0].ID); it.Step != 0 || it.Due.After(time.Now()) || len(p.failing()) != 0 {
				t.Errorf("%+v", it)
			}
		}
		p.q.Wake(row) // nobody is there any more
		if len(p.q.woken) != 0 {
			t.Error("rows pile up while nothing runs")
		}
	}
}

// files is Sent.
type files struct {
	p     *post
	fail  error
	asked int
}

func (f *files) File(ctx context.Context, i *Item) error {
	f.asked++
	if f.fail != nil {
		return f.fail
	}
	return f.p.store.Update(ctx, func(tx *store.Tx) error { return tx.Dequeue(i.ID) })
}

func TestSent(t *testing.T) {
	t.Parallel()
	f := &files{fail: errors.New("the mailbox is odd")}
	p := newPost(t, func(o *Options) { o.Sent = f })
	f.p = p
	p.wire.script(always(offline))
	p.accept(letter{to: []string{"bob@example.org"}})
	p.work()
	row := p.accept(letter{to: []string{"alice@box.example"}, edit: func(it *Item) {
		it.Destination, it.Kind, it.Due, it.MessageID = SentDestination, KindSent, p.clock.Now().Add(time.Minute), "<x@y>"
	}})[0]
	p.pass(30 * time.Second)
	if f.asked != 0 {
		t.Error("asked too early")
	}
	p.pass(time.Minute)
	if it := p.item(row.ID); f.asked != 1 || it.Attempts != 1 || it.Note != "the mailbox is odd" || it.MessageID != "<x@y>" {
		t.Errorf("asked %d times, %+v", f.asked, it)
	}
	p.pass(72 * time.Hour)
	if f.asked < 20 || p.gone(row.ID) {
		t.Errorf("asked %d times", f.asked)
	}
	for _, r := range p.office.all() {
		if r.to != "alice@box.example" || p.reportsOf("<x@y>") != 0 {
			t.Error("somebody was told of a copy")
		}
	}
	f.fail = nil
	p.accept(letter{to: []string{"a@box.example", "b@box.example"}, edit: func(it *Item) { it.Destination, it.Kind = SentDestination, KindSent }})
	p.pass(2 * time.Hour)
	if n := len(p.rows(store.QueueFilter{Destination: SentDestination})); n != 0 || !p.gone(row.ID) {
		t.Error("the copy was never filed")
	}
}

// talker is a Transport that has much to say of the way.
type talker struct{}

func (talker) Attempt(_ context.Context, m *transfer.Message) transfer.Result {
	r := transfer.Same(m, down)
	r.Note = strings.Repeat("mx.example.org: 421 <<<<<<<<<<<<<<<<<<<<<<<<; ", 500)
	return r
}

// TestLongNotes holds that a destination with many servers, each with a long
// answer, cannot make rows that the store does not take.
func TestLongNotes(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.q.o.Transport = talker{}
	ctx, cancel := context.WithCancel(t.Context())
	p.q.o.After = func(time.Duration) <-chan time.Time {
		cancel() // it waits to write again
		return make(chan time.Time)
	}
	id := p.accept(letter{to: []string{"a@example.org"}})[0].ID
	attempts, _ := p.q.plan(ctx)
	p.q.perform(ctx, attempts[0])
	if it := p.item(id); it.Attempts != 1 || it.Last == nil || len(it.Last.Note) < 500 {
		t.Errorf("what came of the attempt is not written down: %+v", it)
	}
}
