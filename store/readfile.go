package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// firstRead is how much of a file is read to find a header, lastRead how
	// much to find the trailer.
	firstRead = 4 << 10
	lastRead  = 2 << 10
	// keepBuffer is the largest buffer for files that is kept.
	keepBuffer = 1 << 20
)

var fileBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 16<<10); return &b }}

func putFileBuffer(b *[]byte) {
	if cap(*b) <= keepBuffer {
		fileBuffers.Put(b)
	}
}

// loadFile reads a message file whole and passes its parts to fn. size is about
// how long the file may be.
func (s *Store) loadFile(msg int64, id ID, size int, fn func(frames []byte, t trailer) error) error {
	f, err := s.fs.Open(s.path(msg, id))
	if err != nil {
		return err
	}
	buf := fileBuffers.Get().(*[]byte)
	defer putFileBuffer(buf)
	*buf, err = readAll(f, slices.Grow((*buf)[:0], size))
	f.Close()
	if err != nil {
		return err
	}
	frames, t, err := splitFile(*buf)
	if err != nil {
		return err
	}
	return fn(frames, t)
}

// readAll appends a whole file to b. Where b has room for it, one read is
// enough: a short read that brought the end of a trailer was the last one.
func readAll(f reader, b []byte) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, max(len(b), 8<<10))
		}
		n, err := f.ReadAt(b[len(b):cap(b)], int64(len(b)))
		b = b[:len(b)+n]
		switch {
		case err == io.EOF, err == nil && len(b) < cap(b) && endsTrailer(b):
			return b, nil
		case err != nil:
			return b, err
		}
	}
}

func endsTrailer(b []byte) bool {
	return len(b) >= 4 && binary.LittleEndian.Uint32(b[len(b)-4:]) == trailerMagic
}

// ReadMessage appends prefix and content of a message to dst. For messages of
// many megabytes prefer OpenMessage. ErrNotFound if its file is gone, ErrDamaged
// if it is not what was written.
func (s *Store) ReadMessage(ctx context.Context, e Entry, dst []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	// Compressed content is smaller, but there is the annex.
	size := int(e.Size) + 4<<10
	err := s.loadFile(e.Msg, e.ID, size, func(frames []byte, t trailer) (err error) {
		dst, err = appendContent(append(dst, t.prefix...), frames, t)
		return err
	})
	return dst, readError(e.ID, err)
}

func readError(id ID, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the file of message %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("reading message %s: %w", id, err)
	}
	return nil
}

// ReadHeader appends the beginning of a message to dst: the prefix and the
// whole header of the content, for small messages also what follows. found is
// false where the header cannot be read alone: ReadMessage and OpenMessage tell
// then. ErrNotFound if its file is gone.
func (s *Store) ReadHeader(ctx context.Context, e Entry, dst []byte) (_ []byte, found bool, err error) {
	if err := ctx.Err(); err != nil {
		return dst, false, err
	}
	f, err := s.fs.Open(s.path(e.Msg, e.ID))
	if err != nil {
		return dst, false, readError(e.ID, err)
	}
	defer f.Close()
	buf := fileBuffers.Get().(*[]byte)
	defer putFileBuffer(buf)
	dst, found, err = readHeader(f, buf, dst)
	return dst, found, readError(e.ID, err)
}

func readHeader(f reader, buf *[]byte, dst []byte) ([]byte, bool, error) {
	b := slices.Grow((*buf)[:0], firstRead)[:firstRead]
	*buf = b
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return dst, false, err
	}
	b = b[:n]
	var t trailer
	if n < firstRead { // that is all of it
		if b, t, err = splitFile(b); err != nil {
			return dst, false, err
		}
	} else if t.prefix, t.size, err = readPrefix(f); err != nil {
		return dst, false, err
	}
	frame, raw := frameSize(b)
	if frame == 0 || frame > headerLimit {
		return dst, false, nil
	}
	start := len(dst)
	dst = append(dst, t.prefix...)
	at := len(dst)
	switch {
	case raw != nil:
		dst = append(dst, raw...)
	default:
		if frame > len(b) {
			have := len(b)
			b = slices.Grow(b, frame-have)[:frame]
			*buf = b
			if n, err := f.ReadAt(b[have:], int64(have)); n < frame-have {
				return dst[:start], false, fmt.Errorf("%w: its header is cut off (%v)", errDamagedFile, err)
			}
		}
		dst, err = decodeAll().DecodeAll(b[:frame], dst)
		if err != nil {
			return dst[:start], false, fmt.Errorf("%w: %v", errDamagedFile, err)
		}
	}
	if int64(len(dst)-at) != t.size && !endsHeader(dst[at:]) {
		return dst[:start], false, nil
	}
	return dst, true, nil
}

// messageReader streams one message.
type messageReader struct {
	prefix []byte
	f      reader
	z      *zstd.Decoder
}

func (m *messageReader) Read(p []byte) (int, error) {
	if len(m.prefix) > 0 {
		n := copy(p, m.prefix)
		m.prefix = m.prefix[n:]
		return n, nil
	}
	return m.z.Read(p)
}

// WriteTo writes all that is left without copying it on the way.
func (m *messageReader) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(m.prefix)
	m.prefix = m.prefix[n:]
	if err != nil {
		return int64(n), err
	}
	more, err := m.z.WriteTo(w)
	return int64(n) + more, err
}

func (m *messageReader) Close() error {
	m.z.Reset(nil)
	streams.Put(m.z)
	return m.f.Close()
}

// OpenMessage streams prefix and content of a message. What it gives is also an
// io.WriterTo. ErrNotFound if its file is gone.
func (s *Store) OpenMessage(ctx context.Context, e Entry) (io.ReadCloser, error) {
	return s.openFile(ctx, e, func(f reader) ([]byte, error) {
		prefix, _, err := readPrefix(f)
		return prefix, err
	})
}

// OpenContent streams a message as it came in, without its prefix; otherwise as
// OpenMessage.
func (s *Store) OpenContent(ctx context.Context, e Entry) (io.ReadCloser, error) {
	return s.openFile(ctx, e, func(reader) ([]byte, error) { return nil, nil })
}

func (s *Store) openFile(ctx context.Context, e Entry, prefix func(reader) ([]byte, error)) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := s.fs.Open(s.path(e.Msg, e.ID))
	if err != nil {
		return nil, readError(e.ID, err)
	}
	before, err := prefix(f)
	if err != nil {
		f.Close()
		return nil, readError(e.ID, err)
	}
	r, err := stream(before, f)
	return r, readError(e.ID, err)
}

// stream reads the frames of f after prefix. On an error f is closed.
func stream(prefix []byte, f reader) (io.ReadCloser, error) {
	z := streams.Get().(*zstd.Decoder)
	if err := z.Reset(io.NewSectionReader(f, 0, 1<<62)); err != nil {
		f.Close()
		return nil, err
	}
	return &messageReader{prefix, f, z}, nil
}

// readPrefix reads the trailer of an open message file.
func readPrefix(f reader) (prefix []byte, size int64, err error) {
	length, err := f.Size()
	if err != nil {
		return nil, 0, err
	}
	// Few trailers are long, but for those with the longest prefix and annex.
	for _, n := range []int64{lastRead, trailerFixed + 16 + maxPrefix + maxAnnex} {
		tail := make([]byte, min(length, n))
		if _, err := f.ReadAt(tail, length-int64(len(tail))); err != nil && err != io.EOF {
			return nil, 0, err
		}
		_, t, err := splitFile(tail)
		if err == nil {
			return bytes.Clone(t.prefix), t.size, nil
		}
		if int64(len(tail)) == length || n > lastRead {
			return nil, 0, err
		}
	}
	return nil, 0, errDamagedFile
}
