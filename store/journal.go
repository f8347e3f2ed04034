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

	mu      sync.Mutex
	f       file
	size    int64
	pending []byte
	// last is the last commit in file or pending.
	last uint64
	// damaged: the log that was opened has more behind a record that cannot be
	// read. A snapshot takes its place.
	damaged bool
}

func openJournal(fsys filesystem, dir string) (*journal, error) {
	j := &journal{fs: fsys, dir: dir}
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
		seq, _, next, ok := readRecord(rest, 0, 1)
		if !ok {
			break
		}
		j.last, rest = seq, next
	}
	if behind := findRecord(rest, 0, 1); behind != nil {
		j.damaged = true
		return j, j.begin(max(j.last, lastRecord(behind)) + 1)
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

// lastRecord gives the highest sequence number in b, over all damage.
func lastRecord(b []byte) (last uint64) {
	for b != nil {
		seq, _, next, ok := readRecord(b, 0, 1)
		if ok {
			last, b = max(last, seq), next
			continue
		}
		b = findRecord(b, 0, 1)
	}
	return last
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
	j.pending = appendRecord(j.pending, seq, 0, e.b, 1)
	j.last = seq
	if len(j.pending) > journalPending {
		// A failure here is met again, and reported, by the checkpoint.
		_ = j.write()
	}
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

// sync writes what is pending and flushes the file. It is done by the file's own
// descriptor, which hears of every failed write-back.
func (j *journal) sync() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.write(); err != nil {
		return err
	}
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("flushing the journal: %w", err)
	}
	return nil
}

// rewrite writes the current file once more, after a failed flush.
func (j *journal) rewrite() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := make([]byte, j.size)
	if _, err := j.f.ReadAt(b, 0); err != nil && err != io.EOF {
		return fmt.Errorf("reading the journal: %w", err)
	}
	if _, err := j.f.WriteAt(b, 0); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
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
	// The new file must not outlive the end of the old one.
	if err := j.f.Sync(); err != nil {
		return 0, fmt.Errorf("flushing the journal: %w", err)
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

// each calls fn for every record that a rebuild has to apply, in order, and
// damage for each place at which something cannot be read.
func (j *journal) each(fn func(seq uint64, snapshot bool, body []byte) error, damage func(name string, after uint64)) error {
	states, logs, err := j.list()
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	var from uint64
	if n := len(states); n > 0 {
		from = states[n-1]
		if err := j.eachIn(j.name(from, "state"), true, fn, damage); err != nil {
			return err
		}
	}
	for _, l := range logs {
		if l <= from && from > 0 {
			continue
		}
		if err := j.eachIn(j.name(l, "log"), false, fn, damage); err != nil {
			return err
		}
	}
	return nil
}

func (j *journal) eachIn(name string, snapshot bool, fn func(seq uint64, snapshot bool, body []byte) error, damage func(name string, after uint64)) error {
	f, err := j.fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	var last uint64
	for rest := b; len(rest) > 0; {
		seq, body, next, ok := readRecord(rest, 0, 1)
		if !ok {
			// Torn at the end is normal: the redo log goes on from there.
			if rest = findRecord(rest, 0, 1); rest != nil || snapshot {
				damage(name, last)
			}
			continue
		}
		if err := fn(seq, snapshot, body); err != nil {
			return fmt.Errorf("journal %s, commit %d: %w", filepath.Base(name), seq, err)
		}
		last, rest = seq, next
	}
	return nil
}
