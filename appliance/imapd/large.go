package imapd

import (
	"errors"
	"fmt"
	"io"
	"math"

	"hauspost/appliance/message"
	"hauspost/store"
)

// Messages from streamFrom octets on are never held in memory: a client may
// take its time to read, and there may be many of them.

// readStructure reads the structure of the message at hand from the index, for
// the few messages of which nobody knew before that it is needed.
func (f *fetcher) readStructure() error {
	found := false
	err := f.s.srv.store.Rows(f.s.srv.ctx, f.s.box.id, []store.Entry{*f.e}, store.ColStructure, func(_ *store.Entry, r *store.Row) error {
		found, f.structure = true, append([]byte{}, r.Structure...)
		return nil
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return err
}

// writeLarge answers BODY[...] of a large message. Of fields in a header that
// is as large only those in its first octets, up to streamFrom, are given.
func (sec *section) writeLarge(f *fetcher) error {
	start, end, found, err := sec.locate(f)
	if err != nil {
		return err
	}
	if !found {
		return sec.writeLiteral(f, nil, false)
	}
	if sec.fields == nil {
		start, end = sec.cut(start, end)
		return f.stream(start, end)
	}
	end = min(end, start+streamFrom)
	r, err := f.open(start, end)
	if err != nil {
		return err
	}
	header := make([]byte, end-start)
	_, err = io.ReadFull(r, header)
	r.Close()
	if err != nil {
		return err
	}
	return sec.writeLiteral(f, message.HeaderFields(header, sec.fields, sec.not), true)
}

// open opens the message at hand from start on, once there is a place for it.
func (f *fetcher) open(start, end int) (io.ReadCloser, error) {
	if start < 0 || start > end || end > int(f.e.Size) {
		return nil, fmt.Errorf("the index has a part at %d to %d in a message of %d octets", start, end, f.e.Size)
	}
	if err := f.place(); err != nil {
		return nil, err
	}
	r, err := f.s.srv.store.OpenMessage(f.s.srv.ctx, *f.e)
	if err != nil || start == 0 {
		return r, err
	}
	if _, err := io.CopyN(io.Discard, r, int64(start)); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// stream sends a part of a large message as a literal.
func (f *fetcher) stream(start, end int) error {
	r, err := f.open(start, end)
	if err != nil {
		return err
	}
	defer r.Close()
	f.literal(end-start, false)
	if whole, ok := r.(io.WriterTo); ok && start == 0 && end == int(f.e.Size) {
		w := exactly{&f.s.w, end}
		if _, err := whole.WriteTo(&w); err != nil {
			return err
		}
		return w.end()
	}
	_, err = io.CopyN(&f.s.w, r, int64(end-start))
	return err
}

// exactly passes on as many octets as were announced, and not one more.
type exactly struct {
	w    io.Writer
	left int
}

func (x *exactly) Write(p []byte) (int, error) {
	if len(p) > x.left {
		return 0, io.ErrShortWrite
	}
	x.left -= len(p)
	return x.w.Write(p)
}

func (x *exactly) end() error {
	if x.left > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// encoded finds the octets of a BINARY section and their transfer encoding.
func (sec *section) encoded(f *fetcher) (start, end int, encoding string, found bool, err error) {
	if len(sec.path) == 0 {
		return 0, int(f.e.Size), "", true, nil
	}
	root, err := f.parts()
	if err != nil {
		return 0, 0, "", false, err
	}
	part, found := root.Find(sec.path)
	if !found {
		return 0, 0, "", false, nil
	}
	if part.Children == nil && part.Message == nil {
		encoding = part.Encoding
	}
	return part.BodyStart, part.BodyEnd, encoding, true, nil
}

// decode passes the BINARY section of a large message, or that part of it which
// was asked for, through x.
func (sec *section) decode(f *fetcher, x *window) (found bool, err error) {
	start, end, encoding, found, err := sec.encoded(f)
	if err != nil || !found {
		return false, err
	}
	if x.left = math.MaxUint64; sec.partial {
		x.skip, x.left = sec.offset, sec.count
	}
	d, err := newDecoder(x, encoding, decodeBlock)
	if err != nil {
		return true, err
	}
	r, err := f.open(start, end)
	if err != nil {
		return true, err
	}
	defer r.Close()
	if _, err = io.CopyN(d, r, int64(end-start)); err == nil {
		err = d.end()
	}
	if errors.Is(err, io.EOF) && x.left == 0 {
		err = nil
	}
	return true, err
}

// measure tells how many octets the BINARY section has, and of what kind.
func (sec *section) measure(f *fetcher) (x window, found bool, err error) {
	found, err = sec.decode(f, &x)
	return x, found, err
}

// writeLargeBinary answers BINARY of a large message. It is decoded twice, as
// the length comes first.
func (sec *section) writeLargeBinary(f *fetcher) error {
	size, found, err := sec.measure(f)
	if err != nil {
		return err
	}
	f.s.w.B = append(f.s.w.B, sec.label...)
	f.s.w.B = append(f.s.w.B, ' ')
	if !found {
		return sec.writeLiteral(f, nil, false)
	}
	f.literal(int(size.n), size.nul)
	again := window{w: &f.s.w}
	if _, err := sec.decode(f, &again); err != nil {
		return err
	}
	if again.n != size.n {
		return io.ErrUnexpectedEOF
	}
	return nil
}
