package queue

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/transfer"
	"hauspost/store"
)

// reportsOf counts reports whose content has these words.
func (p *post) reportsOf(words string) (n int) {
	for _, r := range p.office.all() {
		if strings.Contains(r.content, words) {
			n++
		}
	}
	return n
}

const (
	sayFailed  = "Action: failed"
	sayDelayed = "Action: delayed"
)

func TestDelayAndExpiry(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]transfer.Outcome{"recipient": putOff, "destination": down} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPost(t)
			p.wire.script(always(o))
			p.accept(letter{to: []string{"bob@example.org"}})
			p.pass(3*time.Hour + 50*time.Minute)
			if n := len(p.office.all()); n != 0 {
				t.Fatalf("%d reports within four hours", n)
			}
			p.pass(5 * time.Hour)
			if p.reportsOf(sayDelayed) != 1 {
				t.Fatalf("after nine hours: %d notices of a delay", p.reportsOf(sayDelayed))
			}
			p.pass(39 * time.Hour)
			if p.reportsOf(sayFailed) != 0 || len(p.rows(store.QueueFilter{})) != 1 {
				t.Fatal("given up before two days were over")
			}
			p.pass(6 * time.Hour)
			if p.reportsOf(sayFailed) != 1 || p.reportsOf(sayDelayed) != 1 || len(p.rows(store.QueueFilter{})) != 0 {
				t.Fatalf("after 54 hours: %d failures, %d notices, %d rows", p.reportsOf(sayFailed), p.reportsOf(sayDelayed), len(p.rows(store.QueueFilter{})))
			}
		})
	}
}

// TestNoDelayNotice holds that an owner can do without the notices, and that
// what stands behind a dead destination ends in time all the same.
func TestNoDelayNotice(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(o *Options) { o.Limits.Delay = -1 })
	p.wire.script(always(down))
	for i := range 3 {
		p.accept(letter{to: []string{fmt.Sprintf("u%d@dead.example", i)}})
	}
	p.pass(54 * time.Hour)
	if p.reportsOf(sayDelayed) != 0 || p.reportsOf(sayFailed) != 3 {
		t.Fatalf("%d notices, %d failures", p.reportsOf(sayDelayed), p.reportsOf(sayFailed))
	}
}

// TestThoseBehind holds that rows which are never tried, because the one before
// them shows that their destination is dead, are told of and end in time.
func TestThoseBehind(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(always(down))
	for i := range 30 {
		p.accept(letter{to: []string{fmt.Sprintf("u%d@dead.example", i), fmt.Sprintf("w%d@dead.example", i)}})
	}
	p.pass(time.Hour)
	for i := range 5 {
		p.accept(letter{to: []string{fmt.Sprintf("late%d@dead.example", i)}})
	}
	p.pass(9 * time.Hour)
	if n := p.reportsOf(sayDelayed); n != 35 {
		t.Fatalf("%d notices of a delay for 35 messages", n)
	}
	// A restart forgets nothing of it.
	for range 5 {
		p.restart()
		p.pass(7 * time.Hour)
	}
	if p.reportsOf(sayFailed) != 0 {
		t.Fatal("given up before two days were over")
	}
	p.pass(5 * time.Hour)
	if n := p.reportsOf(sayFailed); n != 35 || len(p.rows(store.QueueFilter{})) != 0 {
		t.Fatalf("%d failures for 35 messages, %d rows left", n, len(p.rows(store.QueueFilter{})))
	}
	if n := p.reportsOf(sayDelayed); n != 35 {
		t.Errorf("%d notices of a delay in the end", n)
	}
	p.pass(2 * time.Hour)
	p.tend()
	if docs := p.failing(); len(docs) != 0 {
		t.Errorf("still known as failing: %v", docs)
	}
}

func TestFiveDaysWithoutNetwork(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(always(offline))
	var want []string
	for i := range 20 {
		to := fmt.Sprintf("u@d%02d.example", i)
		want = append(want, to)
		p.accept(letter{to: []string{to}})
	}
	p.pass(3 * 24 * time.Hour)
	p.restart()
	p.pass(2 * 24 * time.Hour)
	if p.reportsOf(sayFailed) != 0 || len(p.rows(store.QueueFilter{})) != 20 {
		t.Fatal("something was given up for want of a network")
	}
	if n := p.reportsOf(sayDelayed); n != 20 {
		t.Errorf("%d notices of a delay for 20 messages", n)
	}
	if n := p.wire.attempts(); n < 500 || n > 1100 {
		t.Errorf("%d attempts in five days", n)
	}
	s, err := p.q.Stats(t.Context())
	if err != nil || s.Local == nil || s.Waiting != 20 || len(s.Failing) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	p.wire.script(nil)
	p.pass(12 * time.Minute)
	if len(p.wire.got) != 20 {
		t.Errorf("%d of %d delivered", len(p.wire.got), len(want))
	}
	for _, r := range p.rows(store.QueueFilter{}) {
		t.Error(r.Recipient)
	}
}

// TestOneLaneAtFault holds that a fault of this side that concerns one
// destination alone does not stop the others.
func TestOneLaneAtFault(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(func(m *transfer.Message, _ string) transfer.Outcome {
		if m.Domain == "odd.example" {
			return offline
		}
		return deliveredOutcome
	})
	p.accept(letter{to: []string{"a@odd.example"}})
	p.work()
	p.clock.add(time.Minute)
	for i := range 50 {
		p.accept(letter{to: []string{fmt.Sprintf("u%d@fine.example", i)}})
		p.pass(10 * time.Second)
	}
	if n := len(p.wire.got); n < 45 {
		t.Errorf("%d of 50 delivered", n)
	}
	p.pass(time.Hour)
	if n := len(p.wire.got); n != 50 {
		t.Errorf("%d of 50 delivered", n)
	}
}

func TestClockJumps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    transfer.Outcome
		jump time.Duration
	}{
		"forward, recipient":    {putOff, 400 * 24 * time.Hour},
		"forward, destination":  {down, 400 * 24 * time.Hour},
		"backward, recipient":   {putOff, -400 * 24 * time.Hour},
		"backward, destination": {down, -400 * 24 * time.Hour},
		"backward, network":     {offline, -400 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPost(t)
			p.wire.script(always(c.o))
			for i := range 4 {
				p.accept(letter{to: []string{fmt.Sprintf("u%d@example.org", i)}})
			}
			p.pass(3 * time.Hour)
			p.clock.add(c.jump)
			before := p.wire.attempts()
			p.pass(time.Minute)
			if p.reportsOf(sayFailed) != 0 || len(p.rows(store.QueueFilter{})) != 4 {
				t.Fatal("a jump of the clock gave up mail")
			}
			p.pass(longest)
			if p.wire.attempts() == before {
				t.Fatal("nothing was tried for five hours after a jump of the clock")
			}
			if p.reportsOf(sayFailed) != 0 {
				t.Fatal("a jump of the clock gave up mail")
			}
			p.wire.script(nil)
			p.pass(longest)
			if left := p.rows(store.QueueFilter{}); len(left) != 0 {
				t.Errorf("%d rows are stuck after a jump of the clock: %+v", len(left), left[0])
			}
		})
	}
}

// TestClockSetBackWhileOff holds that a row which is due in the far future is
// pulled in by the next start.
func TestClockSetBackWhileOff(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(always(putOff))
	p.clock.add(1000 * time.Hour)
	p.accept(letter{to: []string{"bob@example.org"}})
	p.accept(letter{to: []string{"eve@example.net"}})
	p.work()
	p.clock.add(-1000 * time.Hour)
	p.wire.script(nil)
	p.restart()
	p.work()
	if len(p.wire.got) != 2 {
		t.Errorf("%d of 2 delivered", len(p.wire.got))
	}
}

func TestBoxWasOff(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]transfer.Outcome{"recipient": putOff, "destination": down} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPost(t)
			p.wire.script(always(o))
			first := p.accept(letter{to: []string{"bob@example.org"}})[0]
			p.pass(2 * time.Hour)
			rows, err := p.enqueue(letter{to: []string{"eve@example.org"}})
			if err != nil {
				t.Fatal(err)
			}
			p.clock.add(10 * 24 * time.Hour)
			p.restart()
			p.pass(time.Minute)
			if len(p.office.all()) != 0 || p.gone(first.ID) || p.gone(rows[0].ID) {
				t.Fatalf("the time in which the box was off counted: %d reports", len(p.office.all()))
			}
			if it := p.item(first.ID); time.Duration(it.Counted)*time.Millisecond > 6*time.Hour {
				t.Errorf("counted %d ms", it.Counted)
			}
		})
	}
}

func TestEpisodeCountsNoGaps(t *testing.T) {
	t.Parallel()
	now := epoch
	e := newEpisode(now)
	e.fail(now, time.Minute, Last{})
	for range 200 {
		now = now.Add(time.Hour)
		e.fail(now, time.Hour, Last{})
	}
	now = now.Add(1000 * time.Hour) // off
	e.fail(now, time.Hour, Last{})
	total := (2*time.Minute + 199*time.Hour + 2*time.Hour).Milliseconds()
	if e.Grown != total || len(e.Marks) > maxMarks || e.since(0) != total {
		t.Fatalf("grown %d, since ever %d in %d marks, want %d", e.Grown, e.since(0), len(e.Marks), total)
	}
	// Who came during the gap has at most the gap's part of it.
	if got := e.since(now.Add(-500 * time.Hour).UnixMilli()); got != (2 * time.Hour).Milliseconds() {
		t.Errorf("%d", got)
	}
	if got := e.since(now.Add(-30 * time.Minute).UnixMilli()); got != (30 * time.Minute).Milliseconds() {
		t.Errorf("%d", got)
	}
	if got := e.since(now.Add(time.Hour).UnixMilli()); got != 0 {
		t.Errorf("%d", got)
	}
	if c := e.copy(); c.since(0) != total {
		t.Error("the copy differs")
	}
	if (*episode)(nil).since(5) != 0 || (*episode)(nil).copy() != nil {
		t.Error("no episode")
	}
}

func TestWaitThatBeginsAnew(t *testing.T) {
	t.Parallel()
	w := waitFor(epoch, time.Hour)
	if d := w.left(epoch.Add(20 * time.Minute)); d != 40*time.Minute {
		t.Error(d)
	}
	if d := w.left(epoch.Add(-24 * time.Hour)); d != time.Hour {
		t.Error(d)
	}
	if d := w.left(epoch.Add(-23 * time.Hour)); d != 0 {
		t.Error(d)
	}
	if d := w.left(epoch.Add(-25 * time.Hour)); d != 0 {
		t.Error("it came back:", d)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 30 * time.Second: "30 s", 99 * time.Second: "99 s", 4 * time.Minute: "4 min", 90 * time.Minute: "90 min",
		2 * time.Hour: "2 h", 125 * time.Minute: "2 h 5 min", 50 * time.Hour: "2 d 2 h",
	} {
		if got := words(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

// TestWrittenWithoutAClock holds that a message which comes while the clock says
// 1970 is not as old, once the clock is right, as its destination is dead.
func TestWrittenWithoutAClock(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.wire.script(always(down))
	for range 10 {
		p.accept(letter{to: []string{"old@dead.example"}})
		p.pass(8 * time.Hour)
	}
	today := p.clock.Now()
	p.store.Close()
	p.clock.add(time.Date(1970, 1, 1, 0, 0, 10, 0, time.UTC).Sub(today))
	p.open()
	p.work()
	id := p.accept(letter{to: []string{"new@dead.example"}})[0].ID
	p.clock.add(today.Add(10 * time.Minute).Sub(p.clock.Now()))
	p.restart()
	p.pass(2 * time.Hour)
	if p.gone(id) {
		t.Error("given up within two hours")
	}
	p.pass(60 * time.Hour)
	if !p.gone(id) {
		t.Error("not given up after 62 hours")
	}
}

// TestOneMessageHoldsUpNoOthers: a server that gives up at one message takes
// the next one, though its answer sounds as if it took none.
func TestOneMessageHoldsUpNoOthers(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	busy := transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeDestination, Name: "rate-limited", Code: 421, Enhanced: "4.7.0", Verb: "content", Answer: "421 4.7.0 try again"}
	p.wire.script(func(_ *transfer.Message, to string) transfer.Outcome {
		if strings.HasPrefix(to, "poison") {
			return busy
		}
		return deliveredOutcome
	})
	p.accept(letter{to: []string{"poison@example.org"}})
	p.pass(time.Second)
	for i := range 5 {
		p.accept(letter{to: []string{fmt.Sprintf("u%d@example.org", i)}})
	}
	p.pass(3 * time.Minute)
	if rows := p.rows(store.QueueFilter{}); len(rows) != 1 {
		t.Errorf("%d rows are left: one message holds up the others", len(rows))
	}
	p.pass(51 * time.Hour)
	if rows := p.rows(store.QueueFilter{}); len(rows) != 0 || p.reportsOf(sayFailed) != 1 {
		t.Errorf("%d rows, %d reports", len(rows), p.reportsOf(sayFailed))
	}
}
