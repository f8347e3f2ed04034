package e2e

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var (
	writers   = []string{"anna", "bert", "carla"}
	strangers = []string{"one@far.test", "two@far.test", "three@remote.test", "four@remote.test"}
)

// newSending makes a box whose mail for strangers goes to a far end.
func newSending(t testing.TB, dir string, senders int) *posting {
	t.Helper()
	b := newBoxIn(t, dir, unlimited(), writers...)
	far := newSink(t, selfSigned(t, "far.test", time.Now().AddDate(1, 0, 0)))
	far.keep = false
	b.route(far, []string{`security = "required"`}, "*")
	return newPosting(b, far, senders, writers, strangers)
}

// troubled is a far end that now and then puts off, closes the connection in
// the middle of it all, or takes a letter and does not say so.
func troubled(r *rand.Rand) func(step) string {
	var mu sync.Mutex
	return func(st step) string {
		mu.Lock()
		n := r.IntN(1000)
		mu.Unlock()
		switch st.verb {
		case "connect":
			if n < 10 {
				return "421 4.3.2 Too busy"
			}
		case "MAIL", "RCPT":
			if n < 10 {
				return "451 4.3.0 Not now"
			}
		case "content":
			switch {
			case n < 10:
				return "451 4.3.0 Not now"
			case n < 30:
				return hangUp
			}
			time.Sleep(time.Duration(n%10) * time.Millisecond)
		}
		return ""
	}
}

// TestKilledWhileSending kills the box again and again with mail on its way in
// and out. What it acknowledged arrives at every recipient; what it did not at
// all of them or none; and a letter arrives twice only where the box cannot
// have known that it was there.
func TestKilledWhileSending(t *testing.T) {
	t.Parallel()
	p := newSending(t, filepath.Join(folder(t), "box"), 4)
	b, far := p.b, p.far
	far.behave(troubled(chance("far end")))
	r := chance("kills while sending")
	total, early := tally{}, 0
	for i := 1; i <= *kills; i++ {
		if r.IntN(6) == 0 { // during recovery
			ready := b.launch()
			time.Sleep(time.Duration(r.IntN(40_000)) * time.Microsecond)
			b.kill()
			<-ready
			early++
		} else {
			b.start()
			before := p.inside.acks()
			p.begin(fmt.Sprintf("kill %d", i))
			until(t, "the first answers", func() bool { return t.Failed() || p.inside.acks() > before })
			time.Sleep(time.Duration(r.IntN(1_000_000)) * time.Microsecond)
			p.ending.Store(true)
			b.kill()
			p.end()
		}
		p.over(killed)
		if t.Failed() {
			t.Fatalf("at kill %d", i)
		}
		if i%auditEvery == 0 || i == *kills {
			p.settleUp(&total)
			if t.Failed() {
				t.Fatalf("after kill %d", i)
			}
		}
	}
	acks := p.inside.acks()
	t.Logf("%d kills, %d of them during the start; %d letters acknowledged; %d copies at the far end, %d again because a kill came between its answer and the box's note of it (%.1f a kill, at most %v later), %d because it gave no answer",
		*kills, early, acks, total.copies, total.again, float64(total.again)/float64(*kills), total.latest.Round(time.Millisecond), total.unheard)
	if acks < 5**kills || total.copies < 5**kills {
		t.Error("the load was too small to prove anything")
	}
	if total.again*3 > total.copies {
		t.Errorf("%d of %d copies were sent again", total.again, total.copies)
	}
}

// settleUp checks the store at rest, has the box send what is left, compares,
// stops the box in order and begins new ledgers with an empty box.
func (p *posting) settleUp(total *tally) {
	b := p.b
	b.t.Helper()
	b.mustVerify()
	b.start()
	b.drain()
	t := p.mustTally()
	total.copies += t.copies
	total.again += t.again
	total.unheard += t.unheard
	total.latest = max(total.latest, t.latest)
	if !b.t.Failed() {
		for _, person := range p.people {
			if err := b.empty(person); err != nil {
				b.t.Errorf("emptying the mailboxes of %s: %v", person, err)
			}
		}
		p.forget()
	}
	b.stop()
	p.over(stopped)
	b.mustVerify()
}

// TestStoppedWhileSending stops the box in order again and again in the middle
// of sending to a slow far end: nothing is lost, and nothing goes out twice.
func TestStoppedWhileSending(t *testing.T) {
	t.Parallel()
	p := newSending(t, filepath.Join(folder(t), "box"), 4)
	p.size = func(r *rand.Rand) int { return 200 + r.IntN(8<<10) }
	slow := make(chan struct{}, 1)
	p.far.behave(func(st step) string {
		if st.verb == "content" {
			select {
			case slow <- struct{}{}:
				time.Sleep(50 * time.Millisecond)
				<-slow
			default:
			}
		}
		return ""
	})
	r := chance("stops while sending")
	const stops = 6
	for i := 1; i <= stops; i++ {
		p.b.start()
		before, there := p.inside.acks(), p.far.count()
		p.begin(fmt.Sprintf("stop %d", i))
		until(t, "letters in and out", func() bool {
			return t.Failed() || p.inside.acks() > before+20 && p.far.count() > there+5
		})
		time.Sleep(time.Duration(r.IntN(200)) * time.Millisecond)
		p.ending.Store(true)
		p.b.stop()
		p.over(stopped)
		p.end()
		if t.Failed() {
			t.Fatalf("at stop %d", i)
		}
	}
	var total tally
	acks := p.inside.acks()
	p.settleUp(&total)
	t.Logf("%d stops, %d letters acknowledged, %d copies at the far end", stops, acks, total.copies)
}
