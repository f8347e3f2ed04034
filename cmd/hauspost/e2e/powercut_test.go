//go:build faults

package e2e

import (
	"flag"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

var cuts = flag.Int("cuts", 8, "how often the power is cut")

// TestPowerCut cuts the power of a box under load: ext4 takes no write from
// that moment on. After the restart everything that was acknowledged is there.
func TestPowerCut(t *testing.T) {
	needs(t, "mkfs.ext4")
	disk := ext4(t, 2048)
	people := []string{"anna", "bert", "carla"}
	b := newBoxIn(t, filepath.Join(disk.at, "box"), nil, people...)
	l := newLoad(b, 4, people, "carla")
	for i := 1; i <= *cuts; i++ {
		cutUnderLoad(b, disk, l, fmt.Sprintf("cut %d", i))
		b.mustVerify()
		b.start()
		b.mustAudit(l.ledger)
		if t.Failed() {
			t.Fatalf("after cut %d", i)
		}
		b.kill()
	}
	t.Logf("%d cuts, %d letters and appends acknowledged", *cuts, l.ledger.acks())
	if l.ledger.acks() < 20**cuts {
		t.Error("the load was too small to prove anything")
	}
}

// cutUnderLoad runs the box with load, cuts its power at a random moment, and
// mounts the disk again.
func cutUnderLoad(b *box, disk *mounted, l *load, round string) {
	b.t.Helper()
	b.start()
	before := l.ledger.acks()
	l.begin(round)
	until(b.t, "twenty answers", func() bool { return b.t.Failed() || l.ledger.acks() >= before+20 })
	time.Sleep(time.Duration(chance(round).IntN(1_200)) * time.Millisecond)
	l.ending.Store(true)
	disk.cut()
	b.kill()
	l.end()
	disk.unmount()
	if b.t.Failed() {
		b.t.FailNow()
	}
	disk.mount()
}

// TestPowerCutUnsafe is the control: a box whose flushes do nothing has to lose
// acknowledged mail in the same test, or the test would prove nothing.
func TestPowerCutUnsafe(t *testing.T) {
	needs(t, "mkfs.ext4", "strace")
	disk := ext4(t, 1024)
	people := []string{"anna", "bert"}
	b := newBoxIn(t, filepath.Join(disk.at, "box"), nil, people...)
	command(t, "sync", "-f", disk.at) // the box and its people are there in any case
	b.under = []string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync,syncfs",
		"-e", "inject=fsync,fdatasync,syncfs:retval=0"}
	l := newLoad(b, 4, people)
	cutUnderLoad(b, disk, l, "unsafe")
	b.under = nil
	select {
	case err := <-b.launch():
		if err != nil {
			t.Logf("without flushes the box does not even start after the cut, all %d letters are lost: %v", l.ledger.acks(), err)
			return
		}
	case <-time.After(patience):
		t.Fatal("the box neither starts nor ends")
	}
	faults := b.audit(l.ledger)
	t.Logf("without flushes %d of %d acknowledged letters were lost or damaged", len(faults), l.ledger.acks())
	if len(faults) == 0 {
		t.Error("a box whose flushes do nothing lost nothing: the power cut of these tests cuts nothing")
	}
}
