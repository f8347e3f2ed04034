package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hauspost/appliance/transfer"
	"hauspost/store"
)

func TestDeliversAtOnce(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	rows := p.accept(letter{to: []string{"bob@example.org", "eve@example.org", "joe@example.net"}})
	p.work()
	p.wantGot("bob@example.org", "eve@example.org", "joe@example.net")
	if left := p.rows(store.QueueFilter{}); len(left) != 0 {
		t.Errorf("%+v", left)
	}
	if want := "Received: by box.example; now\r\nSubject: hello\r\n\r\nbody\r\n"; p.wire.content != want || p.wire.sizes[0] != int64(len(want)) {
		t.Errorf("%q of %d octets left", p.wire.content, p.wire.sizes[0])
	}
	if len(p.wire.sizes) != 2 {
		t.Errorf("%d attempts for two destinations", len(p.wire.sizes))
	}
	if s := strings.Join(p.steps(rows[0].File), "\n"); strings.Count(s, "delivered at mx.example.org") != 3 {
		t.Error(s)
	}
	p.pass(time.Minute)
	if len(p.q.lanes) != 0 || len(p.q.busy) != 0 {
		t.Errorf("lanes stay: %v, %v", p.q.lanes, p.q.busy)
	}
}

func TestContentOfItsOwn(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	body := "Subject: large\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 20_000)
	p.accept(letter{content: body, to: []string{"bob@example.org"}, edit: func(it *Item) { it.Header = "Delivered-To: x@box.example\r\n" }})
	p.work()
	if want := "Delivered-To: x@box.example\r\nReceived: by box.example; now\r\n" + body; p.wire.content != want || p.wire.sizes[0] != int64(len(want)) {
		t.Errorf("%d octets left as %d, want %d: %.80q", len(p.wire.content), p.wire.sizes[0], len(want), p.wire.content)
	}
	// Rows that differ in what goes out cannot share a transfer.
	n := 0
	p.accept(letter{to: []string{"a@example.org", "b@example.org", "c@example.org"}, edit: func(it *Item) {
		if n++; n < 3 {
			it.Header = fmt.Sprintf("Delivered-To: %d\r\n", n)
		}
	}})
	p.work()
	if len(p.wire.sizes) != 4 || len(p.rows(store.QueueFilter{})) != 0 {
		t.Errorf("%d attempts", len(p.wire.sizes))
	}
}

func TestRetryIntervals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    transfer.Outcome
		want []time.Duration
	}{
		"greylisted": {greylisted, []time.Duration{4 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute, 160 * time.Minute, 4 * time.Hour, 4 * time.Hour}},
		"otherwise":  {putOff, []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute, 160 * time.Minute, 4 * time.Hour, 4 * time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPost(t)
			p.wire.script(always(c.o))
			row := p.accept(letter{to: []string{"bob@example.org"}})[0]
			for i, want := range c.want {
				p.work()
				if n := p.wire.attempts(); n != i+1 {
					t.Fatalf("%d attempts, want %d", n, i+1)
				}
				it := p.item(row.ID)
				if got := it.Due.Sub(p.clock.Now()); got != want {
					t.Fatalf("after attempt %d it waits %s, want %s", i+1, got, want)
				}
				p.pass(want - time.Second)
				if n := p.wire.attempts(); n != i+1 {
					t.Fatal("tried too early")
				}
				p.clock.add(time.Second)
			}
		})
	}
}

func TestIntervalBounds(t *testing.T) {
	t.Parallel()
	for _, r := range []float64{0, 0.25, 0.999} {
		for step := range 100 {
			d := interval(recipientWait, recipientMax, step, r)
			if d < 4*time.Minute || d > longest || step > 10 && d < 3*time.Hour {
				t.Fatalf("step %d, %v: %s", step, r, d)
			}
		}
	}
	if a, b := interval(time.Minute, time.Hour, 0, 0), interval(time.Minute, time.Hour, 0, 0.99); a != 48*time.Second || b <= 71*time.Second || b > 72*time.Second {
		t.Error(a, b)
	}
}

func TestTooManyRecipients(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	taken := 0
	p.wire.script(func(_ *transfer.Message, to string) transfer.Outcome {
		if taken++; taken%3 == 0 {
			return transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeRecipient, Name: "too-many-recipients", Code: 452}
		}
		return deliveredOutcome
	})
	p.accept(letter{to: []string{"a@example.org", "b@example.org", "c@example.org", "d@example.org"}})
	start := p.clock.Now()
	p.work()
	if left := p.rows(store.QueueFilter{}); len(left) != 0 || !p.clock.Now().Equal(start) {
		t.Errorf("%d rows are left", len(left))
	}
	// A server that always says so does not make the queue run in circles.
	p.wire.script(always(transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeRecipient, Name: "too-many-recipients", Code: 452}))
	row := p.accept(letter{to: []string{"a@example.org"}})[0]
	p.work()
	if it := p.item(row.ID); it.Attempts != 1 || it.Due.Sub(p.clock.Now()) != 5*time.Minute {
		t.Errorf("%+v", it)
	}
}

func TestMoreThanOneTransferHolds(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	var to []string
	for i := range 250 {
		to = append(to, fmt.Sprintf("u%d@example.org", i))
	}
	p.accept(letter{to: to})
	p.work()
	p.wantGot(to...)
	if len(p.wire.sizes) != 3 {
		t.Errorf("%d transfers", len(p.wire.sizes))
	}
}

func TestDestinationThatFailsIsAlone(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(func(m *transfer.Message, _ string) transfer.Outcome {
		if m.Domain == "dead.example" {
			return down
		}
		return deliveredOutcome
	})
	for i := range 20 {
		p.accept(letter{to: []string{fmt.Sprintf("u%d@dead.example", i)}})
	}
	p.work()
	// Two began beside each other before anything was known.
	if n := p.wire.attempts(); n > 2 {
		t.Fatalf("%d attempts at a destination that fails", n)
	}
	l := p.q.lanes["dead.example"]
	if l.episode == nil || l.episode.Failures != 1 || l.wait.left(p.clock.Now()) != time.Minute {
		t.Fatalf("%+v", l)
	}
	p.accept(letter{to: []string{"bob@alive.example"}})
	p.work()
	p.wantGot("bob@alive.example")
	// One probe at each step: 1, 2, 4 … 60 minutes.
	before := p.wire.attempts()
	p.pass(24 * time.Hour)
	probes := p.wire.attempts() - before
	if probes < 20 || probes > 30 {
		t.Errorf("%d probes in a day", probes)
	}
	for _, tried := range p.wire.tried[before:] {
		if !strings.HasSuffix(tried, "u0@dead.example") && !strings.HasSuffix(tried, "u1@dead.example") {
			t.Errorf("%s was tried before its turn", tried)
		}
	}
	p.wire.script(nil)
	p.pass(time.Hour + 12*time.Minute)
	if left := p.rows(store.QueueFilter{}); len(left) != 0 {
		t.Errorf("%d rows are left", len(left))
	}
	if docs := p.failing(); len(docs) != 0 {
		t.Errorf("still known as failing: %v", docs)
	}
}

func (p *post) failing() (keys []string) {
	err := p.store.List(p.t.Context(), failingKind, func(key string, _ []byte) error {
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return keys
}

func TestFirstInFirstOut(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(o *Options) { o.Limits.PerDestination = 3 })
	var want []string
	var late []store.Queued
	for i := range 300 {
		to := fmt.Sprintf("u%d@example.org", i)
		want = append(want, to)
		rows, err := p.enqueue(letter{to: []string{to}})
		if err != nil {
			t.Fatal(err)
		}
		if i%7 == 3 { // somebody is slow to tell
			late = append(late, rows...)
			continue
		}
		p.q.Wake(rows)
		if i%50 == 49 {
			p.work()
			p.q.Wake(late)
			late = nil
		}
	}
	p.q.Wake(late)
	p.work()
	p.wantGot(want...)
}

func TestSlowStart(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	for i := range 40 {
		p.accept(letter{to: []string{fmt.Sprintf("u%d@example.org", i)}})
	}
	ctx := t.Context()
	var beside []int
	for {
		as, _ := p.q.plan(ctx)
		if len(as) == 0 {
			break
		}
		beside = append(beside, len(as))
		for _, a := range as {
			p.q.perform(ctx, a)
		}
	}
	if !slices.Equal(beside[:4], []int{2, 4, 5, 5}) || slices.Max(beside) != 5 {
		t.Errorf("attempts beside each other: %v", beside)
	}
}

func TestLimitsOfAttempts(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(o *Options) {
		o.Limits.Attempts = 7
		o.Route = func(domain, _ string) (time.Duration, int) {
			if domain == "slow.example" {
				return time.Minute, 1
			}
			return 0, 0
		}
	})
	for i := range 30 {
		p.accept(letter{to: []string{fmt.Sprintf("u@d%d.example", i)}})
	}
	as, _ := p.q.plan(t.Context())
	if len(as) != 7 {
		t.Errorf("%d attempts at a time", len(as))
	}
	for _, a := range as {
		p.q.perform(t.Context(), a)
	}
	p.work()
	for range 5 {
		p.accept(letter{to: []string{"u@slow.example"}})
	}
	before := len(p.wire.got)
	p.work()
	if n := len(p.wire.got) - before; n != 1 {
		t.Errorf("%d messages at once where one a minute is allowed", n)
	}
	p.pass(3*time.Minute + time.Second)
	if n := len(p.wire.got) - before; n != 4 {
		t.Errorf("%d messages in three minutes", n)
	}
}

func TestSmallBeforeLarge(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	big := "Subject: big\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 20_000)
	for i := range 3 {
		p.accept(letter{content: big, to: []string{fmt.Sprintf("big%d@example.org", i)}})
	}
	for i := range 40 {
		p.accept(letter{to: []string{fmt.Sprintf("s%d@example.org", i)}})
	}
	ctx := t.Context()
	var order []string
	passed := map[string]int{}
	for {
		as, _ := p.q.plan(ctx)
		if len(as) == 0 {
			break
		}
		large := 0
		for _, a := range as {
			if a.large {
				large++
			}
		}
		if large > max(1, len(as)/2) {
			t.Errorf("%d of %d places carry large messages", large, len(as))
		}
		for _, a := range as {
			p.q.perform(ctx, a)
			_, to, _ := strings.Cut(p.wire.tried[len(p.wire.tried)-1], " ")
			order = append(order, to)
		}
	}
	var small []string
	for _, to := range order {
		if strings.HasPrefix(to, "s") {
			small = append(small, to)
			for i := range 3 {
				if name := fmt.Sprintf("big%d@example.org", i); !slices.Contains(order[:slices.Index(order, to)], name) {
					passed[name]++
				}
			}
		}
	}
	for name, n := range passed {
		if n > maxOvertaken+5 {
			t.Errorf("%s was overtaken by %d", name, n)
		}
	}
	if len(order) != 43 || !strings.HasPrefix(order[0], "s") || !slices.IsSortedFunc(small, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	}) {
		t.Errorf("order: %v", order)
	}
}

func TestPanicOfTheTransport(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(func(m *transfer.Message, to string) transfer.Outcome {
		if strings.HasPrefix(to, "poison") {
			panic("poison")
		}
		return deliveredOutcome
	})
	// The fake holds its lock while it panics: give it back.
	inner := p.wire
	p.q.o.Transport = transportFunc(func(m *transfer.Message) transfer.Result {
		defer func() {
			if r := recover(); r != nil {
				panic(r)
			}
		}()
		return inner.Attempt(t.Context(), m)
	})
	bad := p.accept(letter{to: []string{"poison@example.org"}})[0]
	p.accept(letter{to: []string{"bob@example.org"}})
	p.pass(3 * time.Minute)
	p.wantGot("bob@example.org")
	it := p.item(bad.ID)
	if it.Attempts != 1 || it.Counted != 0 || it.Last.Outcome.Name != "internal-error" {
		t.Errorf("%+v", it)
	}
	p.q.o.Transport = transportFunc(func(m *transfer.Message) transfer.Result { return transfer.Result{} })
	p.pass(5 * time.Minute)
	if it := p.item(bad.ID); it.Attempts != 2 || it.Last.Outcome.Name != "internal-error" {
		t.Errorf("%+v", it)
	}
}

// transportFunc is a Transport.
type transportFunc func(m *transfer.Message) transfer.Result

func (f transportFunc) Attempt(_ context.Context, m *transfer.Message) transfer.Result { return f(m) }

func TestFullDisk(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	rows := p.accept(letter{to: []string{"bob@example.org", "no@example.org"}})
	p.wire.script(func(_ *transfer.Message, to string) transfer.Outcome {
		if strings.HasPrefix(to, "no") {
			return refused
		}
		return deliveredOutcome
	})
	left := 5
	full := func() error {
		if left--; left >= 0 {
			return syscall.ENOSPC
		}
		return nil
	}
	p.faulty.update = full
	p.office.breakWith(syscall.ENOSPC)
	start := p.clock.Now()
	p.work()
	if n := p.wire.attempts(); n != 2 {
		t.Fatalf("%d attempts while it was known that one was delivered", n)
	}
	if waited := p.clock.Now().Sub(start); waited < 10*time.Second || waited > 5*time.Minute {
		t.Errorf("waited %s for room", waited)
	}
	if !p.gone(rows[0].ID) || p.gone(rows[1].ID) {
		t.Error("what was delivered stays, or what was not told of is gone")
	}
	// The report could not be delivered: it is told later.
	p.office.breakWith(nil)
	p.pass(10 * time.Minute)
	if !p.gone(rows[1].ID) || len(p.office.all()) != 1 {
		t.Errorf("%d reports", len(p.office.all()))
	}
	p.wantGot("bob@example.org")
}

func TestMessageFileIsGone(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.faulty.read = func() error { return fmt.Errorf("the file: %w", store.ErrNotFound) }
	row := p.accept(letter{to: []string{"bob@example.org"}})[0]
	p.work()
	if it := p.item(row.ID); it.State != Held || !strings.Contains(it.Note, "cannot be read") {
		t.Errorf("%+v", it)
	}
	if rs := p.office.all(); len(rs) != 1 || rs[0].to != "postmaster" || !strings.Contains(rs[0].content, "bob@example.org") {
		t.Errorf("%+v", rs)
	}
	// A disk that stumbles is another matter.
	p.faulty.read = func() error { return errors.New("input/output error") }
	row = p.accept(letter{to: []string{"eve@example.org"}})[0]
	p.work()
	if it := p.item(row.ID); it.State != Waiting || it.Counted != 0 {
		t.Errorf("%+v", it)
	}
	p.faulty.read = nil
	p.pass(6 * time.Minute)
	p.wantGot("eve@example.org")
	p.faulty.read = func() error { return errors.New("input/output error") }
	row = p.accept(letter{to: []string{"joe@example.org"}})[0]
	p.pass(24 * time.Hour)
	if it := p.item(row.ID); it.State != Held {
		t.Errorf("%+v", it)
	}
}

func TestRowThatCannotBeRead(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	row := p.accept(letter{to: []string{"bob@example.org"}})[0]
	err := p.store.Update(t.Context(), func(tx *store.Tx) error {
		row.Value = []byte(`{"from":7}`)
		return tx.Requeue(row)
	})
	if err != nil {
		t.Fatal(err)
	}
	p.accept(letter{to: []string{"eve@example.org"}})
	p.work()
	p.wantGot("eve@example.org")
	if r := p.rows(store.QueueFilter{}); len(r) != 1 || r[0].State != uint8(Held) || r[0].Note == "" {
		t.Errorf("%+v", r)
	}
	// The owner sees it, and can throw it away.
	list, err := p.q.List(t.Context(), Filter{})
	if err != nil || len(list.Entries) != 1 {
		t.Fatal(list, err)
	}
	if done, err := p.q.Act(t.Context(), Drop, Filter{}, ""); err != nil || done.Rows != 1 {
		t.Error(done, err)
	}
}
