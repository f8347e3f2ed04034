package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// The redo log makes a commit durable with one flush. It is two files of fixed
// size, written in turn and filled with zeros beforehand, so that a flush has
// no metadata of the file system to write.
//
// Order of a commit: message files (small ones unflushed: their bytes are in
// the record; large ones flushed, renamed and their folder flushed) → record
// written and flushed → SQLite COMMIT (not flushed) → callers and change feed.
//
// Before a file is used again, everything that its records made must be durable
// elsewhere: the journal gets their ops, and one syncfs covers message files,
// SQLite's WAL and the journal (see checkpoint). After a crash the records that
// SQLite or the journal lack are applied again.
//
// A record that could not be written, flushed or committed must never be
// applied later, because its callers were told so: the log moves to the other
// file, whose header names the first sequence number that it holds; of older
// files only what is below that counts.
const (
	redoSize       = 4 << 20
	redoAlign      = 512
	redoHeader     = 512
	redoFiles      = 2
	redoMagic      = 0x4f444552 // "REDO"
	maxRecordBytes = redoSize - redoHeader - redoAlign
)

type redoFile struct {
	name string
	f    file
	// gen orders the files; 0 is an unused one.
	gen   uint64
	first uint64
	// next is the sequence number that follows the last record.
	next uint64
	pos  int64
	// spent: the file has records (or what is left of one) that a checkpoint
	// has to cover before the file may be used again.
	spent bool
}

type redoLog struct {
	fs    filesystem
	files [redoFiles]*redoFile
	cur   int
	buf   []byte
}

// openRedo opens or makes the files and returns the records they hold, in
// order. ErrDamaged (with what could be read) if records are missing between
// others: what is merely torn at the end was never acknowledged.
func openRedo(fsys filesystem, dir string) (*redoLog, []redoRecord, error) {
	l := &redoLog{fs: fsys}
	var damage error
	for i := range l.files {
		rf := &redoFile{name: filepath.Join(dir, fmt.Sprintf("redo.%d", i))}
		l.files[i] = rf
		if err := rf.open(fsys); errors.Is(err, ErrDamaged) {
			damage = errors.Join(damage, err)
		} else if err != nil {
			l.close()
			return nil, nil, fmt.Errorf("opening the redo log %s: %w", rf.name, err)
		}
	}
	if l.files[1].gen > l.files[0].gen {
		l.cur = 1
	}
	newer, older := l.files[l.cur], l.files[1-l.cur]
	records, err := older.records(newer.gen, newer.first)
	if err == nil || errors.Is(err, ErrDamaged) {
		var more []redoRecord
		damage = errors.Join(damage, err)
		more, err = newer.records(0, 0)
		records = append(records, more...)
	}
	if err != nil && !errors.Is(err, ErrDamaged) {
		l.close()
		return nil, nil, err
	}
	return l, records, errors.Join(damage, err, fsys.SyncDir(dir))
}

// open reads the header; a missing or never finished file is made anew.
func (rf *redoFile) open(fsys filesystem) error {
	f, err := fsys.OpenFile(rf.name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	rf.f = f
	info, err := f.Stat()
	if err != nil {
		return err
	}
	head := make([]byte, redoHeader)
	if info.Size() >= redoHeader {
		if _, err := f.ReadAt(head, 0); err != nil {
			return err
		}
	}
	empty := bytes.Count(head, []byte{0}) == len(head)
	if info.Size() != redoSize {
		if !empty {
			return fmt.Errorf("%w: the redo log %s has %d octets instead of %d", ErrDamaged, rf.name, info.Size(), redoSize)
		}
		if err := f.Truncate(0); err != nil {
			return err
		}
		return rf.fill()
	}
	if empty {
		return nil
	}
	if binary.LittleEndian.Uint32(head) != redoMagic ||
		crc32.Checksum(head[:20], castagnoli) != binary.LittleEndian.Uint32(head[20:]) {
		return fmt.Errorf("%w: the head of the redo log %s", ErrDamaged, rf.name)
	}
	rf.gen = binary.LittleEndian.Uint64(head[4:])
	rf.first = binary.LittleEndian.Uint64(head[12:])
	rf.spent = true
	// What is read now may never have been flushed; it will be acted upon.
	return f.Datasync()
}

// fill writes zeros to the whole file. Page by page, because a kernel that
// caches files in larger units would count a unit as written for every record.
func (rf *redoFile) fill() error {
	page := make([]byte, 4096)
	for at := int64(0); at < redoSize; at += int64(len(page)) {
		if _, err := rf.f.WriteAt(page, at); err != nil {
			return err
		}
	}
	return rf.f.Sync()
}

type redoRecord struct {
	seq  uint64
	body []byte
}

// records reads the whole records of a file and sets where the next one goes.
// If gen is not 0, records from seq limit on were withdrawn and do not count.
func (rf *redoFile) records(gen, limit uint64) ([]redoRecord, error) {
	rf.pos, rf.next = redoHeader, rf.first
	if rf.gen == 0 {
		return nil, nil
	}
	content := make([]byte, redoSize-redoHeader)
	if _, err := rf.f.ReadAt(content, redoHeader); err != nil {
		return nil, fmt.Errorf("reading the redo log: %w", err)
	}
	var rs []redoRecord
	rest := content
	for gen == 0 || rf.next < limit {
		seq, body, next, ok := readRecord(rest, rf.gen, redoAlign)
		if !ok || seq != rf.next {
			break
		}
		rs = append(rs, redoRecord{seq, body})
		rf.next, rest = seq+1, next
	}
	rf.pos = redoSize - int64(len(rest))
	if behind := findRecord(rest, rf.gen, redoAlign); behind != nil {
		if seq, _, _, _ := readRecord(behind, rf.gen, 1); seq >= rf.next && (gen == 0 || seq < limit) {
			return rs, fmt.Errorf("%w: the redo log %s has record %d, not %d before it", ErrDamaged, rf.name, seq, rf.next)
		}
	}
	return rs, nil
}

// start makes rf the current file, for records from seq on. The file must not
// be spent.
func (l *redoLog) start(i int, seq uint64) error {
	rf := l.files[i]
	head := make([]byte, redoHeader)
	gen := max(l.files[0].gen, l.files[1].gen) + 1
	binary.LittleEndian.PutUint32(head, redoMagic)
	binary.LittleEndian.PutUint64(head[4:], gen)
	binary.LittleEndian.PutUint64(head[12:], seq)
	binary.LittleEndian.PutUint32(head[20:], crc32.Checksum(head[:20], castagnoli))
	rf.spent = true
	if _, err := rf.f.WriteAt(head, 0); err != nil {
		return fmt.Errorf("starting the redo log %s: %w", rf.name, err)
	}
	if err := rf.f.Datasync(); err != nil {
		return fmt.Errorf("flushing the redo log %s: %w", rf.name, err)
	}
	rf.gen, rf.first, rf.next, rf.pos, l.cur = gen, seq, seq, redoHeader, i
	return nil
}

// clear leaves an empty log for records from seq on. What it held must be
// durable elsewhere.
func (l *redoLog) clear(seq uint64) error {
	old := l.files[l.cur]
	if err := l.start((l.cur+1)%redoFiles, seq); err != nil || old.gen == 0 {
		return err
	}
	if _, err := old.f.WriteAt(make([]byte, redoHeader), 0); err != nil {
		return fmt.Errorf("clearing the redo log: %w", err)
	}
	return old.f.Datasync()
}

// reset empties both files, also damaged ones, for records from seq on.
func (l *redoLog) reset(seq uint64) error {
	for _, rf := range l.files {
		if err := rf.f.Truncate(0); err != nil {
			return fmt.Errorf("emptying the redo log: %w", err)
		}
		if err := rf.fill(); err != nil {
			return fmt.Errorf("emptying the redo log: %w", err)
		}
		rf.gen, rf.spent = 0, false
	}
	return l.start(0, seq)
}

// fits tells whether a record with a body of n octets fits into the current file.
func (l *redoLog) fits(n int) bool {
	return l.files[l.cur].gen > 0 && l.files[l.cur].pos+int64(recordHeader+n+redoAlign) <= redoSize
}

// append writes and flushes one record. After an error the caller must move to
// another file before anything else is written.
func (l *redoLog) append(seq uint64, body []byte) error {
	rf := l.files[l.cur]
	l.buf = appendRecord(l.buf[:0], seq, rf.gen, body, redoAlign)
	if _, err := rf.f.WriteAt(l.buf, rf.pos); err != nil {
		return fmt.Errorf("writing the redo log: %w", err)
	}
	if err := rf.f.Datasync(); err != nil {
		return fmt.Errorf("flushing the redo log: %w", err)
	}
	rf.pos += int64(len(l.buf))
	rf.next = seq + 1
	if cap(l.buf) > 1<<20 {
		l.buf = nil
	}
	return nil
}

// void makes sure, as far as the disk lets it, that what append left of a
// record is not read as one.
func (l *redoLog) void() {
	rf := l.files[l.cur]
	if rf.gen > 0 && rf.pos+redoAlign <= redoSize {
		// An error is met by the change of files that follows.
		_, _ = rf.f.WriteAt(make([]byte, redoAlign), rf.pos)
	}
	rf.pos = redoSize
}

func (l *redoLog) close() {
	for _, rf := range l.files {
		if rf != nil && rf.f != nil {
			rf.f.Close()
		}
	}
}
