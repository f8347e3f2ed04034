//go:build faults

package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDiskErrors makes system calls of a running box fail with EIO under load:
// every one of a kind for a while, and some of them. Senders try again what was
// refused; in the end every letter is there as often as it was acknowledged.
func TestDiskErrors(t *testing.T) {
	needs(t, "strace")
	people := []string{"anna", "bert", "carla"}
	// write is not among them: the same call writes to sockets. The full disk
	// fails it.
	for _, calls := range []string{"fdatasync", "fsync", "syncfs", "pwrite64", "renameat,renameat2", "openat", "ftruncate,unlinkat", "mkdirat", "pread64"} {
		t.Run(calls, func(t *testing.T) {
			b := newBox(t, nil, people...)
			b.start()
			l := newLoad(b, 4, people, "carla")
			l.retry = true
			if calls == "syncfs" { // only a redo log that is full leads there
				l.size = func(r *rand.Rand) int { return 40<<10 + r.IntN(10<<10) }
			}
			hit := 0
			for _, when := range []string{"1+1", "2+3", "1+7", "5+2"} {
				l.begin(calls + " " + when)
				working(t, l)
				hit += b.failing(calls, when, func() { time.Sleep(700 * time.Millisecond) })
				working(t, l) // it recovered by itself
				l.end()
				if t.Failed() {
					t.Fatalf("%s failing at %s", calls, when)
				}
			}
			b.mustAudit(l.ledger)
			b.kill()
			b.mustVerify()
			b.start()
			b.mustAudit(l.ledger)
			b.stop()
			t.Logf("%d calls failed, %d refusals, %d letters and appends acknowledged", hit, l.refusals.Load(), l.ledger.acks())
			if hit == 0 {
				t.Error("no call failed: this proves nothing")
			}
		})
	}
}

// working waits until letters and mail programs get on.
func working(t *testing.T, l *load) {
	t.Helper()
	acks := l.ledger.acks()
	until(t, "acknowledged mail", func() bool { return t.Failed() || l.ledger.acks() > acks+20 })
}

// failing makes system calls of the running box fail while fn runs, and returns
// how many did.
func (b *box) failing(calls, when string, fn func()) int {
	b.t.Helper()
	var log bytes.Buffer
	cmd := exec.Command("strace", "-f", "-p", strconv.Itoa(b.cmd.Process.Pid), "-e", "trace="+calls,
		"-e", fmt.Sprintf("inject=%s:error=EIO:when=%s", calls, when))
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	fn()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.t.Fatalf("strace: %v\n%s", err, log.String())
	}
	cmd.Wait() // it ends by the signal
	return strings.Count(log.String(), "(INJECTED)")
}
