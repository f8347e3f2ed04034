package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// spillAt is the size at which staged content moves to a file.
	spillAt = 256 << 10
	// inlineLimit is the largest message file that travels in the redo log.
	inlineLimit = 64 << 10
	// headLimit is how much of the content Head keeps.
	headLimit = 256 << 10
	// maxEncoders is how many messages are compressed while they come in: each
	// takes about a megabyte of memory for as long as its sender likes. Those
	// beyond are kept as they are.
	maxEncoders = 16
)

// Staged is message content on its way in: in memory while it is small, in a
// file when it grows; hashed and compressed as it streams. It is not safe for
// concurrent use. Every Staged ends with Deliver or Discard.
type Staged struct {
	s    *Store
	buf  []byte
	sum  hash.Hash
	size int64
	err  error
	done bool

	// Set once the content has moved to a file.
	tmp  string
	f    file
	zenc io.WriteCloser
	// encoding: this is one of maxEncoders.
	encoding bool
	// ended: the last frame of the file is complete.
	ended bool
}

var stageBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 16<<10); return &b }}

// Stage begins to take content.
func (s *Store) Stage() *Staged {
	s.staging.Add(1)
	s.stagedAt.Store(time.Now().UnixNano())
	return &Staged{s: s, buf: (*stageBuffers.Get().(*[]byte))[:0], sum: sha256.New()}
}

// Write takes the next octets. After an error the content is lost and Deliver
// returns that error.
func (st *Staged) Write(p []byte) (int, error) {
	if st.err != nil {
		return 0, st.err
	}
	if st.ended {
		return 0, errStagedRead
	}
	st.sum.Write(p)
	st.size += int64(len(p))
	if st.zenc == nil {
		st.buf = append(st.buf, p...)
		if len(st.buf) <= spillAt {
			return len(p), nil
		}
		if st.err = st.spill(); st.err != nil {
			return 0, st.err
		}
		return len(p), nil
	}
	if _, err := st.zenc.Write(p); err != nil {
		st.err = fmt.Errorf("staging a message: %w", err)
		return 0, st.err
	}
	return len(p), nil
}

func (st *Staged) spill() error {
	n := st.s.tmpSeq.Add(1)
	st.tmp = filepath.Join(st.s.dir, "mail", "tmp", fmt.Sprintf("%d.zst", n))
	f, err := st.s.fs.OpenFile(st.tmp, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("staging a message: %w", err)
	}
	st.f = f
	if st.encoding = st.s.encoders.Add(1) <= maxEncoders; st.encoding {
		st.zenc = newEncoder(f)
	} else {
		st.s.encoders.Add(-1)
		st.zenc = &rawFrame{w: f}
	}
	// The header has a frame of its own.
	header := headerEnd(st.buf)
	if header > 0 {
		if _, err := f.Write(appendFrame(nil, st.buf[:header], rawHeader)); err != nil {
			return fmt.Errorf("staging a message: %w", err)
		}
	}
	if _, err := st.zenc.Write(st.buf[header:]); err != nil {
		return fmt.Errorf("staging a message: %w", err)
	}
	st.buf = append(make([]byte, 0, headLimit), st.buf[:min(len(st.buf), headLimit)]...)
	return nil
}

// Size is the number of octets written so far.
func (st *Staged) Size() int64 { return st.size }

// Head gives the first octets of the content, at most 256 KB. It is valid
// until Deliver or Discard.
func (st *Staged) Head() []byte { return st.buf[:min(len(st.buf), headLimit)] }

// Content reads what was written, from its beginning. Nothing can be written
// after it was called. The reader is valid until Deliver or Discard.
func (st *Staged) Content() (io.ReadCloser, error) {
	if st.err != nil {
		return nil, st.err
	}
	if st.zenc == nil {
		return io.NopCloser(bytes.NewReader(st.buf)), nil
	}
	if err := st.end(); err != nil {
		return nil, err
	}
	f, err := st.s.fs.Open(st.tmp)
	if err != nil {
		return nil, fmt.Errorf("reading a staged message: %w", err)
	}
	r, err := stream(nil, f)
	if err != nil {
		return nil, fmt.Errorf("reading a staged message: %w", err)
	}
	return r, nil
}

// end completes the last frame of a message in a file.
func (st *Staged) end() error {
	if st.ended {
		return nil
	}
	st.ended = true
	if st.err = st.zenc.Close(); st.err != nil {
		st.err = fmt.Errorf("staging a message: %w", st.err)
	}
	return st.err
}

// SHA256 is the hash of what was written so far.
func (st *Staged) SHA256() [32]byte {
	var sum [32]byte
	st.sum.Sum(sum[:0])
	return sum
}

// Discard drops the content; after Deliver it does nothing.
func (st *Staged) Discard() {
	if st.done {
		return
	}
	st.done = true
	st.s.staging.Add(-1)
	if st.f != nil {
		st.f.Close()
		st.s.fs.Remove(st.tmp)
	}
	if st.encoding {
		st.s.encoders.Add(-1)
	}
	st.zenc = nil
	if cap(st.buf) <= spillAt && st.tmp == "" {
		b := st.buf
		stageBuffers.Put(&b)
	}
	st.buf = nil
}

// finish makes the message file. Small ones are written but not flushed and
// come back as image, large ones are durable when finish returns.
func (st *Staged) finish(msg int64, d *Delivery) (o *op, err error) {
	if st.err != nil {
		return nil, st.err
	}
	var annex []byte
	if len(d.Annex) > 0 {
		annex = packTrace(d.Annex)
	}
	t := trailer{prefix: d.Prefix, annex: annex, sum: st.SHA256(), size: st.size}
	o = &op{kind: opMessage, msg: msg, id: d.ID, rawSize: st.size, size: st.size + int64(len(d.Prefix)), sum: t.sum}
	if st.zenc != nil {
		return o, st.finishLarge(o, d, &t)
	}
	full := append(append(make([]byte, 0, len(d.Prefix)+len(st.buf)), d.Prefix...), st.buf...)
	derived := st.s.index(full)
	o.derived = &derived
	image := appendFrames(make([]byte, 0, len(st.buf)/2+len(d.Prefix)+len(d.Annex)+128), st.buf)
	image = t.append(image)
	if len(image) <= inlineLimit {
		o.image = image
		return o, st.s.writeFile(msg, d.ID, image)
	}
	f, err := st.s.createFile(msg, d.ID)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(image); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = st.s.fs.SyncDir(st.s.folder(msg))
	}
	return o, err
}

func (st *Staged) finishLarge(o *op, d *Delivery, t *trailer) error {
	if err := st.end(); err != nil {
		return err
	}
	if _, err := st.f.Write(t.append(nil)); err != nil {
		return err
	}
	if err := st.f.Sync(); err != nil {
		return err
	}
	if err := st.s.makeFolder(o.msg); err != nil {
		return err
	}
	name := st.s.path(o.msg, o.id)
	if err := st.s.fs.Rename(st.tmp, name); err != nil {
		return err
	}
	if err := st.s.fs.SyncDir(st.s.folder(o.msg)); err != nil {
		return err
	}
	err := st.f.Close()
	st.f = nil // the file is the message's now
	if err != nil {
		return err
	}
	// Reading a large message whole takes its size in memory: one at a time.
	st.s.largeIndex.Lock()
	defer st.s.largeIndex.Unlock()
	derived, _, err := st.s.deriveFromFile(o.msg, o.id)
	o.derived = &derived
	return err
}

// deriveFromFile indexes a message file again.
func (s *Store) deriveFromFile(msg int64, id ID) (d Derived, annex []byte, err error) {
	err = s.loadFile(msg, id, 16<<10, func(frames []byte, t trailer) error {
		full, err := appendContent(append([]byte(nil), t.prefix...), frames, t)
		if err != nil {
			return err
		}
		d, annex = s.index(full), append([]byte(nil), t.annex...)
		return nil
	})
	return d, annex, err
}

var (
	errStagedTwice = errors.New("staged content can be delivered only once")
	errStagedRead  = errors.New("staged content was read, it cannot grow any more")
)
