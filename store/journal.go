package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The journal tells everything that the message files do not: people, mailboxes,
// UIDs, flags. It holds the ops of all commits without the messages' bytes, in
// files named by their first sequence number. From time to time a snapshot takes
// the place of what came before it.
//
//	journal/0000000000000001.log    ops from commit 1 on
//	journal/0000000000004711.state  everything as of commit 4711
//	journal/0000000000004712.log    ops from there on
//
// The journal is written behind: what it lacks after a crash, the redo log has.
const (
	journalPending = 256 << 10
	// compactAt is the size at which a log is replaced by a snapshot.
	compactAt = 8 << 20
)

type journal struct {
	fs  filesystem
	dir string
	now func() time.Time

	mu      sync.Mutex
	f       file
	size    int64
	pending []byte
	// last is the last commit in file or pending.
	last uint64
	err  error
}

func openJournal(fsys filesystem, dir string, now func() time.Time) (*journal, error) {
	j := &journal{fs: fsys, dir: dir, now: now}
	states, logs, err := j.list()
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	if len(states) > 0 {
		j.last = states[len(states)-1]
	}
	if len(logs) == 0 {
		return j, j.begin(j.last + 1)
	}
	first := logs[len(logs)-1]
	j.last = max(j.last, first-1)
	name := j.name(first, "log")
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	rest := b
	for {
		seq, _, next, ok := readRecord(rest, 1)
		if !ok {
			break
		}
		j.last, rest = seq, next
	}
	j.size = int64(len(b) - len(rest))
	if j.f, err = fsys.OpenFile(name, os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	if len(rest) > 0 {
		if err := j.f.Truncate(j.size); err != nil {
			return nil, fmt.Errorf("opening the journal: %w", err)
		}
	}
	return j, nil
}

func (j *journal) name(seq uint64, ext string) string {
	return filepath.Join(j.dir, fmt.Sprintf("%016d.%s", seq, ext))
}

// list gives the sequence numbers of snapshots and logs, ascending.
func (j *journal) list() (states, logs []uint64, err error) {
	es, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range es {
		base, ext, _ := strings.Cut(e.Name(), ".")
		seq, err := strconv.ParseUint(base, 10, 64)
		if err != nil {
			continue
		}
		switch ext {
		case "state":
			states = append(states, seq)
		case "log":
			logs = append(logs, seq)
		}
	}
	slices.Sort(states)
	slices.Sort(logs)
	return states, logs, nil
}

// begin starts a new log for commits from seq on.
func (j *journal) begin(seq uint64) error {
	f, err := j.fs.OpenFile(j.name(seq, "log"), os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("beginning a journal file: %w", err)
	}
	if j.f != nil {
		j.f.Close()
	}
	j.f, j.size = f, 0
	return nil
}

// add takes the ops of a commit. It does not write: see flush.
func (j *journal) add(seq uint64, ops []*op) {
	var e encoder
	for _, o := range ops {
		o.encode(&e, false)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pending = appendRecord(j.pending, seq, e.b, 1)
	j.last = seq
	if len(j.pending) > journalPending {
		// A failure here is met again, and reported, by the checkpoint.
		_ = j.write()
	}
}

// flush writes what is pending, without making it durable.
func (j *journal) flush() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write()
}

func (j *journal) write() error {
	if len(j.pending) == 0 {
		return nil
	}
	if _, err := j.f.WriteAt(j.pending, j.size); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	j.size += int64(len(j.pending))
	j.pending = j.pending[:0]
	if cap(j.pending) > 2*journalPending {
		j.pending = nil
	}
	return nil
}

func (j *journal) large() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size > compactAt
}

// rotate begins a new log after the last commit, which it returns.
func (j *journal) rotate() (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.write(); err != nil {
		return 0, err
	}
	return j.last, j.begin(j.last + 1)
}

// replaceBefore removes what a durable snapshot as of seq makes superfluous.
func (j *journal) replaceBefore(seq uint64) error {
	states, logs, err := j.list()
	for _, s := range states {
		if s < seq {
			err = errors.Join(err, j.fs.Remove(j.name(s, "state")))
		}
	}
	for _, l := range logs {
		if l <= seq {
			err = errors.Join(err, j.fs.Remove(j.name(l, "log")))
		}
	}
	return err
}

func (j *journal) close() {
	if j.f != nil {
		j.f.Close()
	}
}

// each calls fn for every record that a rebuild has to apply, in order.
func (j *journal) each(fn func(seq uint64, snapshot bool, body []byte) error) error {
	states, logs, err := j.list()
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	var from uint64
	if n := len(states); n > 0 {
		from = states[n-1]
		if err := j.eachIn(j.name(from, "state"), func(seq uint64, body []byte) error { return fn(seq, true, body) }); err != nil {
			return err
		}
	}
	for _, l := range logs {
		if l <= from && from > 0 {
			continue
		}
		if err := j.eachIn(j.name(l, "log"), func(seq uint64, body []byte) error { return fn(seq, false, body) }); err != nil {
			return err
		}
	}
	return nil
}

func (j *journal) eachIn(name string, fn func(seq uint64, body []byte) error) error {
	f, err := j.fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	for rest := b; ; {
		seq, body, next, ok := readRecord(rest, 1)
		if !ok {
			return nil
		}
		if err := fn(seq, body); err != nil {
			return fmt.Errorf("journal %s, commit %d: %w", filepath.Base(name), seq, err)
		}
		rest = next
	}
}
