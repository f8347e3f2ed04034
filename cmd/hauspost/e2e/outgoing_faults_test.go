//go:build faults

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPowerCutWhileSending cuts the power of a box with mail on its way in and
// out. What was acknowledged arrives at every recipient.
func TestPowerCutWhileSending(t *testing.T) {
	needs(t, "mkfs.ext4")
	disk := ext4(t, 2048)
	p := newSending(t, filepath.Join(disk.at, "box"), 4)
	command(t, "sync", "-f", disk.at)
	b, far := p.b, p.far
	far.behave(troubled(chance("far end at a cut")))
	var total tally
	for i := 1; i <= *cuts; i++ {
		round := fmt.Sprintf("sending, cut %d", i)
		b.start()
		before, there := p.inside.acks(), far.count()
		p.begin(round)
		until(t, "letters in and out", func() bool {
			return t.Failed() || p.inside.acks() >= before+20 && far.count() > there
		})
		time.Sleep(time.Duration(chance(round).IntN(1_200)) * time.Millisecond)
		p.ending.Store(true)
		disk.cut()
		b.kill()
		p.over(killed)
		p.end()
		disk.unmount()
		if t.Failed() {
			t.FailNow()
		}
		disk.mount()
		b.mustVerify()
		if i%2 == 0 || i == *cuts {
			p.settleUp(&total)
		}
		if t.Failed() {
			t.Fatalf("after cut %d", i)
		}
	}
	acks := p.inside.acks()
	t.Logf("%d cuts, %d letters acknowledged; %d copies at the far end, %d again because of a cut, at most %v later, %d because it gave no answer",
		*cuts, acks, total.copies, total.again, total.latest.Round(time.Millisecond), total.unheard)
	if acks < 20**cuts || total.copies < 10**cuts {
		t.Error("the load was too small to prove anything")
	}
}

// TestDiskFullWhileSending fills the disk with mail that waits: submission
// refuses for now and in the right words, nothing is lost, and once the far end
// is back the queue empties, also on the full disk.
func TestDiskFullWhileSending(t *testing.T) {
	needs(t)
	disk := tmpfs(t, "48")
	ballast := filepath.Join(disk.at, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newSending(t, filepath.Join(disk.at, "box"), 0)
	b, far := p.b, p.far
	r := chance("full while sending")
	b.start()
	// try sends one letter and gives the refusal.
	try := func(size int, to ...string) *refusal {
		t.Helper()
		s, err := b.submit("anna")
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		m, content := composeFrom(addressOf("anna"), fmt.Sprintf("full%d", p.next.Add(1)), size, r)
		err = p.post(s, m, content, to)
		var no *refusal
		if err != nil && !errors.As(err, &no) {
			t.Fatal(err)
		}
		return no
	}
	fill := func(size int) {
		t.Helper()
		for refused := 0; refused < 5; {
			no := try(size, "bert", "one@far.test", "four@remote.test")
			switch {
			case no == nil:
				refused = 0
			case no.code != 452 || !strings.Contains(no.text, "Cannot store"):
				t.Fatalf("with a full disk: %v", no)
			default:
				refused++
			}
		}
	}
	far.down()
	fill(300 << 10)
	fill(1 << 10)
	waiting := len(b.queue())
	far.up()
	b.must("queue", "retry", "--all")
	b.drain()
	first := p.mustTally()
	t.Logf("%d rows went out from a full disk, %d copies arrived", waiting, first.copies)

	far.down()
	fill(300 << 10)
	fill(1 << 10)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if no := try(1<<10, "one@far.test"); no != nil {
		t.Errorf("with space again: %v", no)
	}
	b.kill()
	p.over(killed)
	b.mustVerify()
	b.start()
	far.up()
	b.drain()
	p.mustTally()
	b.stop()
	b.mustVerify()
}
