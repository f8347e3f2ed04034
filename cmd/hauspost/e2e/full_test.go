//go:build faults

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// attempt sends a letter once and keeps the ledger. It returns the refusal, or
// nil where the letter was acknowledged.
func attempt(b *box, l *load, m *letter, content []byte, people ...string) *refusal {
	b.t.Helper()
	s, err := dialData(b.smtp)
	if err != nil {
		b.t.Fatalf("the box does not greet: %v", err)
	}
	defer s.close()
	err = l.deliver(s, m, content, people)
	var no *refusal
	if err != nil && !errors.As(err, &no) {
		b.t.Fatalf("sending %s: %v", m.id, err)
	}
	return no
}

// TestDiskFull fills the disk of a box with mail: the box refuses for now and
// in the right words, mail can still be read, and once there is space again it
// goes on by itself. Every letter is there once.
func TestDiskFull(t *testing.T) {
	needs(t)
	disk := tmpfs(t, "48")
	ballast := filepath.Join(disk.at, "ballast")
	rest := filepath.Join(disk.at, "rest")
	if err := errors.Join(os.WriteFile(ballast, make([]byte, 8<<20), 0o600), os.WriteFile(rest, make([]byte, 4<<20), 0o600)); err != nil {
		t.Fatal(err)
	}
	people := []string{"anna", "bert"}
	b := newBoxIn(t, filepath.Join(disk.at, "box"), nil, people...)
	b.start()
	l := newLoad(b, 0, people)
	r := chance("full")
	n := 0
	// fill sends letters until ten in a row are refused, and returns those.
	fill := func(size int) (waiting map[*letter][]byte) {
		waiting = map[*letter][]byte{}
		for len(waiting) < 10 {
			n++
			m, content := compose(fmt.Sprintf("f%d", n), size, r)
			no := attempt(b, l, m, content, people...)
			if no == nil {
				clear(waiting)
				continue
			}
			if no.code != 452 || !strings.Contains(no.text, "Cannot store") {
				t.Fatalf("with a full disk: %v", no)
			}
			waiting[m] = content
		}
		return waiting
	}
	large := fill(300 << 10)
	small := fill(1 << 10)
	if !strings.Contains(b.must("status"), "FAULT: nothing can be stored") {
		t.Error("status does not tell of the full disk")
	}
	b.mustAudit(l.ledger)

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for _, waiting := range []map[*letter][]byte{small, large} {
		for m, content := range waiting {
			if no := attempt(b, l, m, content, people...); no != nil {
				t.Fatalf("with space again, %s of %d octets: %v", m.id, m.size, no)
			}
		}
	}
	if strings.Contains(b.must("status"), "FAULT") {
		t.Error("status still tells of a full disk")
	}
	b.mustAudit(l.ledger)

	// Mail programs at a full disk: what is answered with NO did not happen.
	waiting := fill(1 << 10)
	l.retry, l.actors = true, []*actor{{load: l, person: "anna"}}
	before := l.refusals.Load()
	l.begin("full")
	until(t, "answers to a mail program", func() bool { return t.Failed() || l.refusals.Load() > before+20 })
	l.end()
	if err := os.Remove(rest); err != nil {
		t.Fatal(err)
	}
	for m, content := range waiting {
		if no := attempt(b, l, m, content, people...); no != nil {
			t.Fatalf("with space once more: %v", no)
		}
	}
	b.mustAudit(l.ledger)
	b.kill()
	b.mustVerify()
	b.start()
	b.mustAudit(l.ledger)
	b.stop()
	t.Logf("%d letters acknowledged, %d refusals", l.ledger.acks(), l.refusals.Load())
}

// TestDiskFullAtStart holds that a box on a full disk says so in one sentence,
// at its first start and after a crash, and starts once there is space.
func TestDiskFullAtStart(t *testing.T) {
	needs(t)
	disk := tmpfs(t, "32")
	b := newBoxIn(t, filepath.Join(disk.at, "box"), nil, "anna")
	ballast := filepath.Join(disk.at, "ballast")
	refusesToStart := func(when string) {
		t.Helper()
		if err := os.WriteFile(ballast, make([]byte, 64<<20), 0o600); err == nil {
			t.Fatal("the disk is not full")
		}
		r := b.run("", "serve")
		if r.code != 1 || !oneSentence(r.err) || !strings.Contains(r.err, "is full: free some space") {
			t.Errorf("%s on a full disk: exit code %d, %q", when, r.code, r.err)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
	refusesToStart("the first start")
	l := newLoad(b, 0, []string{"anna"})
	b.start()
	m, content := compose("before", 1000, chance("full at start"))
	if no := attempt(b, l, m, content, "anna"); no != nil {
		t.Fatal(no)
	}
	b.kill()
	refusesToStart("after a crash")
	b.start()
	b.mustAudit(l.ledger)
	b.stop()
}

// TestInitOnFullDisk holds that a box that cannot be made leaves nothing.
func TestInitOnFullDisk(t *testing.T) {
	needs(t)
	disk := tmpfs(t, "1")
	b := &box{t: t, dir: filepath.Join(disk.at, "box"), stderr: &journal{}}
	r := b.run("", "init", "--hostname", "mail."+domain, "--domain", domain)
	if r.code != 1 || !oneSentence(r.err) || !strings.Contains(r.err, "full") {
		t.Errorf("init on a full disk: exit code %d, %q", r.code, r.err)
	}
	if left, err := os.ReadDir(disk.at); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}
