package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Errors of Reader.Line.
var (
	// ErrLineTooLong: no line end within the limit. What follows cannot be told
	// from the rest of that line, so the connection must be closed.
	ErrLineTooLong = errors.New("line too long")
	// ErrLine: the line holds NUL or a bare CR. It was read to its end.
	ErrLine = errors.New("NUL or bare CR in a command")
)

const (
	readBuffer = 4 << 10
	copyBuffer = 32 << 10
	tinyRead   = 64
)

var (
	readBuffers = sync.Pool{New: func() any { return new([readBuffer]byte) }}
	copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}
)

// Reader reads lines and literals. While it waits for the first byte of a
// command it holds no buffer, so that a connection that is silent costs next to
// nothing. It is not safe for concurrent use.
type Reader struct {
	src      io.Reader
	buf      *[readBuffer]byte
	pos, end int
	tiny     [tinyRead]byte
}

// Reset makes the reader read from src and forgets what it held.
func (r *Reader) Reset(src io.Reader) {
	r.Release()
	r.src, r.pos, r.end = src, 0, 0
}

// Buffered tells how many octets were received and not read yet.
func (r *Reader) Buffered() int { return r.end - r.pos }

// Release gives the buffer back if nothing is in it.
func (r *Reader) Release() {
	if r.buf != nil && r.pos == r.end {
		readBuffers.Put(r.buf)
		r.buf = nil
	}
}

// Wait blocks until there is something to read.
func (r *Reader) Wait() error {
	if r.pos < r.end {
		return nil
	}
	r.Release()
	n, err := r.src.Read(r.tiny[:])
	if n > 0 {
		r.buf = readBuffers.Get().(*[readBuffer]byte)
		r.pos, r.end = 0, copy(r.buf[:], r.tiny[:n])
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (r *Reader) fill() error {
	if r.pos < r.end {
		return nil
	}
	if r.buf == nil {
		return r.Wait()
	}
	n, err := r.src.Read(r.buf[:])
	if n > 0 {
		r.pos, r.end = 0, n
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// Line appends the next line to dst, without its line end. A line of more than
// limit octets is ErrLineTooLong. A bare LF ends a line too.
func (r *Reader) Line(dst []byte, limit int) ([]byte, error) {
	start := len(dst)
	for {
		if err := r.fill(); err != nil {
			return dst, err
		}
		chunk := r.buf[r.pos:r.end]
		i := bytes.IndexByte(chunk, '\n')
		if i < 0 {
			dst = append(dst, chunk...)
			r.pos = r.end
			// One more may be the CR of the line end.
			if len(dst)-start > limit+1 {
				return dst, ErrLineTooLong
			}
			continue
		}
		dst = append(dst, chunk[:i]...)
		r.pos += i + 1
		break
	}
	if n := len(dst); n > start && dst[n-1] == '\r' {
		dst = dst[:n-1]
	}
	if len(dst)-start > limit {
		return dst, ErrLineTooLong
	}
	if line := dst[start:]; bytes.IndexByte(line, 0) >= 0 || bytes.IndexByte(line, '\r') >= 0 {
		return dst, ErrLine
	}
	return dst, nil
}

// Literal appends exactly n octets to dst.
func (r *Reader) Literal(dst []byte, n int) ([]byte, error) {
	for n > 0 {
		if err := r.fill(); err != nil {
			return dst, unexpected(err)
		}
		k := min(n, r.end-r.pos)
		dst = append(dst, r.buf[r.pos:r.pos+k]...)
		r.pos += k
		n -= k
	}
	return dst, nil
}

// Copy reads exactly n octets and writes them to w. When a write fails the rest
// is still read: writeErr tells of it, readErr of a connection that ended.
func (r *Reader) Copy(w io.Writer, n int64) (writeErr, readErr error) {
	put := func(p []byte) {
		if writeErr == nil {
			_, writeErr = w.Write(p)
		}
	}
	if k := min(n, int64(r.end-r.pos)); k > 0 {
		put(r.buf[r.pos : r.pos+int(k)])
		r.pos += int(k)
		n -= k
	}
	if n == 0 {
		return writeErr, nil
	}
	big := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(big)
	for n > 0 {
		k, err := r.src.Read(big[:min(n, copyBuffer)])
		if k > 0 {
			put(big[:k])
			n -= int64(k)
			continue
		}
		if err == nil {
			err = io.ErrNoProgress
		}
		return writeErr, unexpected(err)
	}
	return writeErr, nil
}

// Discard reads exactly n octets and drops them.
func (r *Reader) Discard(n int64) error {
	_, err := r.Copy(io.Discard, n)
	return err
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("inside a literal: %w", io.ErrUnexpectedEOF)
	}
	return err
}
