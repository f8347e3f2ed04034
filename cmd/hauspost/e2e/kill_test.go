package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// auditEvery is after how many kills the mail is compared and removed again,
// so that a long run does not fill the disk.
const auditEvery = 20

// TestKilledUnderLoad kills the box again and again with mail on its way, and
// holds that it kept exactly what it acknowledged.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	people := []string{"anna", "bert", "carla"}
	b := newBox(t, nil, people...)
	l := newLoad(b, 4, people, "carla")
	r := chance("kills")
	early := 0
	for i := 1; i <= *kills; i++ {
		if r.IntN(6) == 0 { // during recovery
			ready := b.launch()
			time.Sleep(time.Duration(r.IntN(40_000)) * time.Microsecond)
			b.kill()
			<-ready
			early++
		} else {
			killUnderLoad(b, l, r, fmt.Sprintf("kill %d", i))
		}
		if t.Failed() {
			t.Fatalf("at kill %d", i)
		}
		if i%auditEvery == 0 || i == *kills {
			auditAfterKill(b, l)
			if t.Failed() {
				t.Fatalf("after kill %d", i)
			}
		}
	}
	done := 0
	for _, a := range l.actors {
		done += a.done
	}
	t.Logf("%d kills, %d of them during the start; %d letters and appends acknowledged, %d steps of a mail program", *kills, early, l.ledger.acks(), done)
	if l.ledger.acks() < 5**kills || done < *kills {
		t.Error("the load was too small to prove anything")
	}
}

// killUnderLoad starts the box, has mail on its way, and kills the box.
func killUnderLoad(b *box, l *load, r *rand.Rand, round string) {
	b.start()
	before := l.ledger.acks()
	l.begin(round)
	until(b.t, "the first answers", func() bool { return b.t.Failed() || l.ledger.acks() > before })
	time.Sleep(time.Duration(r.IntN(800_000)) * time.Microsecond)
	l.ending.Store(true)
	b.kill()
	l.end()
}

// auditAfterKill checks the store at rest and what IMAP shows, stops the box in
// order, and begins a new ledger with an empty box.
func auditAfterKill(b *box, l *load) {
	b.mustVerify()
	b.start()
	b.mustAudit(l.ledger)
	if !b.t.Failed() {
		for person := range b.passwords {
			if err := b.empty(person); err != nil {
				b.t.Errorf("emptying the mailboxes of %s: %v", person, err)
			}
		}
		l.forget()
	}
	b.stop()
	b.mustVerify()
}
