package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"hauspost/store"
)

const (
	// smallContent is the size up to which a message is read into memory, in
	// octets.
	smallContent = 256 << 10
	// returnPathLimit is more than the Return-Path line can have, in octets.
	returnPathLimit = 1 << 10
	// headerLimit is how much of a large message is read for its header.
	headerLimit = 256 << 10
)

// content is a message as it leaves: the lines for its recipient, and what is
// stored without the Return-Path line, which is the box's own.
type content struct {
	q    *Queue
	row  *store.Queued
	size int64
	// data is all of a small message; nil for a large one.
	data   []byte
	header string
	skip   int64
	// broken is set once reading it failed, whatever a transport made of that.
	broken atomic.Pointer[error]
}

// openContent looks at the message of a row. An error is the store's.
func (q *Queue) openContent(ctx context.Context, row *store.Queued, header string) (*content, error) {
	c := &content{q: q, row: row, header: header}
	if row.Size <= smallContent {
		// Not from a pool: a transport may hold on to it longer than it should,
		// and must not see another message then.
		raw, err := q.o.Store.ReadMessage(ctx, row.Entry(), make([]byte, 0, row.Size))
		if err != nil {
			return nil, err
		}
		c.data = raw[returnPath(raw):]
		if header != "" {
			c.data = append([]byte(header), c.data...)
		}
		c.size = int64(len(c.data))
		return c, nil
	}
	r, err := q.o.Store.OpenMessage(ctx, row.Entry())
	if err != nil {
		return nil, err
	}
	defer r.Close()
	head := make([]byte, returnPathLimit)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("reading the message: %w", err)
	}
	c.skip = int64(returnPath(head[:n]))
	c.size = row.Size - c.skip + int64(len(header))
	return c, nil
}

// returnPath is the length of the Return-Path line at the start of raw.
func returnPath(raw []byte) int {
	const name = "return-path:"
	if len(raw) < len(name) || !bytes.EqualFold(raw[:len(name)], []byte(name)) {
		return 0
	}
	return bytes.IndexByte(raw, '\n') + 1
}

// open gives the content from its start.
func (c *content) open(ctx context.Context) (io.ReadCloser, error) {
	if c.data != nil {
		return io.NopCloser(bytes.NewReader(c.data)), nil
	}
	r, err := c.q.o.Store.OpenMessage(ctx, c.row.Entry())
	if err == nil {
		if _, err = io.CopyN(io.Discard, r, c.skip); err != nil {
			r.Close()
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			c.broken.Store(&err)
		}
		return nil, err
	}
	s := &stream{c: c, Closer: r}
	s.r = io.MultiReader(bytes.NewReader([]byte(c.header)), r)
	return s, nil
}

// stream is a large message on its way out.
type stream struct {
	c *content
	r io.Reader
	io.Closer
	n int64
}

// Read implements io.Reader. A message that ends early is an error: its
// receiver must not take the part for the whole.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err == io.EOF && s.n != s.c.size {
		err = fmt.Errorf("the message has %d octets instead of %d: %w", s.n, s.c.size, io.ErrUnexpectedEOF)
	}
	if err != nil && err != io.EOF {
		s.c.broken.Store(&err)
	}
	return n, err
}

// original gives what a report returns of the message: its header, and all of
// it where it is small.
func (c *content) original(ctx context.Context) (header, all []byte) {
	if c == nil {
		return nil, nil
	}
	if c.data != nil {
		return headerOf(c.data), c.data
	}
	r, err := c.open(ctx)
	if err != nil {
		return nil, nil
	}
	defer r.Close()
	head := make([]byte, headerLimit)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil
	}
	return headerOf(head[:n]), nil
}

// headerOf gives the header with the empty line.
func headerOf(raw []byte) []byte {
	if i := bytes.Index(raw, []byte("\r\n\r\n")); i >= 0 {
		return raw[:i+4]
	}
	return raw
}
