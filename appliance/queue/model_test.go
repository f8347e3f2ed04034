package queue

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hauspost/appliance/transfer"
	"hauspost/store"
)

// world is what the model knows: the state of the destinations, and what became
// of each recipient.
type world struct {
	p *post
	t *rapid.T
	// state of each destination: "up", "down", "offline", "putoff", "refuse".
	state map[string]string
	rows  map[string]*fated // by "message recipient"
	order []string
	// untold are rows that are committed, and nobody told the queue yet.
	untold []store.Queued
}

type fated struct {
	row       store.Queued
	delivered int
	refused   bool
	held      bool
	dropped   bool
	domain    string
}

func (w *world) outcome(m *transfer.Message, to string) transfer.Outcome {
	name := fmt.Sprintf("%s %s", m.ID, to)
	f := w.rows[name]
	if f == nil {
		w.t.Fatalf("%s was tried and never accepted", name)
	}
	if f.delivered > 0 || f.refused {
		w.t.Fatalf("%s was tried after its end", name)
	}
	if f.held || f.dropped {
		w.t.Fatalf("%s was tried while it was held or dropped", name)
	}
	switch w.state[m.Domain] {
	case "down":
		return down
	case "offline":
		return offline
	case "putoff":
		return putOff
	case "refuse":
		f.refused = true
		return refused
	}
	// First in, first out among what is due.
	for _, other := range w.order {
		o := w.rows[other]
		if o == f {
			break
		}
		if o.domain != m.Domain || o.delivered > 0 || o.refused || o.held || o.dropped {
			continue
		}
		r, err := w.p.store.Queued(w.p.t.Context(), o.row.ID)
		if err == nil && r.State == 0 && r.Due <= w.p.clock.Now().UnixMilli() && !w.p.q.busy[r.ID] {
			w.t.Fatalf("%s went before %s", name, other)
		}
	}
	f.delivered++
	return deliveredOutcome
}

// TestModel drives a queue over a real store with destinations that come and
// go, a clock that jumps, restarts and an owner who interferes. Nothing is
// lost, nothing goes twice, nothing is given up early, and in the end all is
// out.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := newPost(t, func(o *Options) {
			o.Random = func() float64 { return 0.37 }
			o.Limits.PerDestination = 3
		})
		w := &world{p: p, t: rt, state: map[string]string{}, rows: map[string]*fated{}}
		p.wire.script(w.outcome)
		domains := []string{"a.example", "b.example", "c.example"}
		for _, d := range domains {
			w.state[d] = "up"
		}
		ran := time.Duration(0)
		steps := rapid.IntRange(3, 25).Draw(rt, "steps")
		for i := range steps {
			switch rapid.SampledFrom([]string{"accept", "accept", "accept", "state", "state", "pass", "pass", "jump", "restart", "deed", "lost"}).Draw(rt, "step") {
			case "accept", "lost":
				w.accept(i, domains, rapid.IntRange(1, 4).Draw(rt, "recipients"), rapid.Bool().Draw(rt, "told"))
			case "state":
				d := rapid.SampledFrom(domains).Draw(rt, "domain")
				w.state[d] = rapid.SampledFrom([]string{"up", "down", "offline", "putoff", "refuse"}).Draw(rt, "state")
			case "pass":
				d := time.Duration(rapid.IntRange(1, 600).Draw(rt, "minutes")) * time.Minute
				if ran+d > 40*time.Hour {
					continue // what is late by right is another test's matter
				}
				ran += d
				p.pass(d)
			case "jump":
				p.clock.add(time.Duration(rapid.IntRange(-2000, 2000).Draw(rt, "hours")) * time.Hour)
			case "restart":
				p.restart()
			case "deed":
				w.deed(rapid.SampledFrom([]Deed{Retry, Hold, Release, Drop, Revert}).Draw(rt, "deed"))
			}
			p.work()
			if len(w.untold) > 0 && rapid.Bool().Draw(rt, "tell") {
				p.q.Wake(w.untold)
				w.untold = nil
				p.work()
			}
			w.check()
		}
		for d := range w.state {
			w.state[d] = "up"
		}
		w.deed(Release)
		p.pass(longest + time.Hour)
		w.check()
		for name, f := range w.rows {
			if f.delivered+b2i(f.refused) != 1 && !f.dropped {
				rt.Fatalf("%s: delivered %d times, refused %v in the end: %+v", name, f.delivered, f.refused, p.rows(store.QueueFilter{}))
			}
		}
		for _, r := range p.office.all() {
			if strings.Contains(r.content, sayFailed) && !strings.Contains(r.content, "550 5.1.1") {
				rt.Fatalf("given up early:\n%s", r.content)
			}
		}
		p.store.Close()
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (w *world) accept(n int, domains []string, recipients int, told bool) {
	l := letter{}
	for i := range recipients {
		l.to = append(l.to, fmt.Sprintf("u%d-%d@%s", n, i, domains[(n+i)%len(domains)]))
	}
	rows, err := w.p.enqueue(l)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, r := range rows {
		name := fmt.Sprintf("%s %s", messageID(&r), l.to[i])
		_, domain, _ := strings.Cut(l.to[i], "@")
		w.rows[name] = &fated{row: r, domain: domain}
		w.order = append(w.order, name)
	}
	// Somebody else may be told of a later one first.
	if !told {
		w.untold = append(w.untold, rows...)
		return
	}
	w.p.q.Wake(rows)
}

// deed lets the owner do something with all rows of one destination.
func (w *world) deed(d Deed) {
	if _, err := w.p.q.Act(w.p.t.Context(), d, Filter{}, ""); err != nil && d != Revert {
		w.t.Fatal(err)
	}
	for _, f := range w.rows {
		f.held, f.dropped = false, false
		if r, err := w.p.store.Queued(w.p.t.Context(), f.row.ID); err == nil {
			f.held, f.dropped = State(r.State) == Held, State(r.State) == Dropped
		} else if f.delivered == 0 && !f.refused {
			f.dropped = true // the bin was emptied
		}
	}
}

// check holds what is true at any time.
func (w *world) check() {
	there := map[string]bool{}
	for _, r := range w.p.rows(store.QueueFilter{}) {
		there[string(messageID(&r))+" "+r.Recipient] = true
		it, err := ItemOf(&r)
		if err != nil {
			w.t.Fatal(err)
		}
		if it.Counted > it.Waited || it.Waited < 0 || it.Planned > longest.Milliseconds() {
			w.t.Fatalf("row %s: %+v", strconv.FormatInt(r.ID, 10), it)
		}
	}
	for name, f := range w.rows {
		over := f.delivered > 0 || f.refused
		if over == there[name] && !f.dropped {
			w.t.Fatalf("%s: over %v, in the queue %v", name, over, there[name])
		}
	}
	if w.p.q.active != 0 || len(w.p.q.busy) != 0 {
		w.t.Fatalf("%d attempts and %d rows are left behind", w.p.q.active, len(w.p.q.busy))
	}
}
