package worker

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"hauspost/appliance/message"
	"hauspost/plugins/abi"
)

const (
	// maxMessage is the largest message that is read, in octets.
	maxMessage = 512 << 20
	// readSize is up to which size a message is read instead of mapped.
	readSize = 64 << 10
	// viewBudget is how many octets the views of one message may take together
	// before the oldest are thrown away.
	viewBudget = abi.MaxDecoded
)

// content is one message, as the plugins of a chain see it. Nothing is read of
// it before the first of them asks. It is used by one goroutine.
type content struct {
	file *os.File
	raw  []byte
	// failed is set where the file could not be read.
	failed error
	opened bool
	mapped []byte

	list    []*message.Part
	encoded []byte
	views   []*view
	used    int
}

// view is one decoded view of one part.
type view struct {
	part int32
	form abi.View
	data []byte
	from buffer
}

// buffer is room for a view outside of the heap, which is not collected while
// guests run.
type buffer []byte

func newBuffer(size int) (buffer, error) {
	b, err := unix.Mmap(-1, 0, max(size, 1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("taking %d octets of memory: %w", size, err)
	}
	return b, nil
}

func (b buffer) release() {
	if b != nil {
		_ = unix.Munmap(b[:cap(b)])
	}
}

// newContent takes over a file with a message.
func newContent(file *os.File) *content { return &content{file: file} }

// close gives everything back.
func (c *content) close() {
	for _, v := range c.views {
		v.from.release()
	}
	c.views, c.raw, c.list = nil, nil, nil
	buffer(c.mapped).release()
	c.mapped = nil
	_ = c.file.Close()
}

// open makes the octets of the message available.
func (c *content) open() abi.Errno {
	if !c.opened {
		c.opened = true
		c.failed = c.read()
	}
	if c.failed != nil {
		return abi.ErrIO
	}
	return 0
}

// read maps a large file that cannot become shorter; the others are read, as
// to look beyond the end of a mapped file ends the process.
func (c *content) read() error {
	info, err := c.file.Stat()
	if err != nil {
		return fmt.Errorf("reading the message: %w", err)
	}
	size := info.Size()
	if size < 0 || size > maxMessage {
		return fmt.Errorf("reading the message: %d octets are too many", size)
	}
	if size <= readSize {
		c.raw = make([]byte, size)
		return c.fill()
	}
	if seals, err := unix.FcntlInt(c.file.Fd(), unix.F_GET_SEALS, 0); err == nil && seals&unix.F_SEAL_SHRINK != 0 {
		if c.mapped, err = unix.Mmap(int(c.file.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED); err == nil {
			c.raw = c.mapped
			return nil
		}
	}
	if c.mapped, err = newBuffer(int(size)); err != nil {
		return err
	}
	c.raw = c.mapped[:size]
	return c.fill()
}

func (c *content) fill() error {
	if _, err := io.ReadFull(io.NewSectionReader(c.file, 0, int64(len(c.raw))), c.raw); err != nil {
		return fmt.Errorf("reading the message: %w", err)
	}
	return nil
}

// header gives the header as it came.
func (c *content) header() ([]byte, abi.Errno) {
	if errno := c.open(); errno != 0 {
		return nil, errno
	}
	header, _ := message.SplitHeader(c.raw)
	return header[:min(len(header), abi.MaxHeader)], 0
}

// parts gives the structure, encoded.
func (c *content) parts() ([]byte, abi.Errno) {
	if errno := c.structure(); errno != 0 {
		return nil, errno
	}
	return c.encoded, 0
}

// structure takes the message apart, once.
func (c *content) structure() abi.Errno {
	if errno := c.open(); errno != 0 || c.list != nil {
		return errno
	}
	root, err := message.ParseStructure(message.Index(c.raw).Structure)
	if err != nil || root.BodyEnd > len(c.raw) {
		return abi.ErrIO
	}
	var parts abi.Parts
	c.flatten(root, -1, &parts)
	c.encoded = parts.Append(nil)
	return 0
}

// flatten lists a part and those in it, in the order of the message.
func (c *content) flatten(p *message.Part, parent int32, parts *abi.Parts) {
	if len(c.list) >= abi.MaxParts {
		return
	}
	index := int32(len(c.list))
	c.list = append(c.list, p)
	charset := ""
	if p.Type == "text" {
		charset, _ = p.Param("charset")
	}
	id, _ := message.Field(c.headerOf(p), "Content-ID")
	parts.List = append(parts.List, abi.Part{
		Index: index, Parent: parent,
		Type:        cut(p.Type+"/"+p.Subtype, abi.MaxText),
		Charset:     cut(strings.ToLower(charset), abi.MaxText),
		Encoding:    cut(p.Encoding, abi.MaxText),
		Disposition: cut(p.Disposition, abi.MaxText),
		Filename:    cut(p.Filename(), abi.MaxText),
		ContentID:   cut(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(id), "<"), ">"), abi.MaxText),
		Size:        int64(p.BodyEnd - p.BodyStart),
	})
	for _, child := range p.Children {
		c.flatten(child, index, parts)
	}
	if p.Message != nil {
		c.flatten(p.Message, index, parts)
	}
}

func (c *content) headerOf(p *message.Part) []byte {
	return c.raw[p.HeaderStart:min(p.HeaderEnd, p.HeaderStart+abi.MaxHeader)]
}

// view gives a part in a form, which stays valid until the next call.
func (c *content) view(part int32, form abi.View) ([]byte, abi.Errno) {
	if errno := c.structure(); errno != 0 {
		return nil, errno
	}
	if part < 0 || int(part) >= len(c.list) {
		return nil, abi.ErrNotFound
	}
	p := c.list[part]
	body := c.raw[p.BodyStart:p.BodyEnd]
	switch form {
	case abi.Raw:
		return body, 0
	case abi.PartHeader:
		return c.headerOf(p), 0
	case abi.Decoded:
		if identity(p.Encoding) {
			return body[:min(len(body), abi.MaxDecoded)], 0
		}
	case abi.Text:
		if p.Type != "text" {
			return nil, abi.ErrInvalid
		}
	default:
		return nil, abi.ErrInvalid
	}
	for _, v := range c.views {
		if v.part == part && v.form == form {
			return v.data, 0
		}
	}
	return c.make(part, form)
}

// make decodes a part.
func (c *content) make(part int32, form abi.View) ([]byte, abi.Errno) {
	p := c.list[part]
	decoded := c.raw[p.BodyStart:p.BodyEnd]
	var from buffer
	if form == abi.Text {
		var errno abi.Errno
		if decoded, errno = c.view(part, abi.Decoded); errno != 0 {
			return nil, errno
		}
		charset, _ := p.Param("charset")
		text, err := textOf(decoded, charset, p.Subtype == "html")
		if err != nil {
			return nil, abi.ErrIO
		}
		from, decoded = text, text
	} else {
		// Decoding makes nothing longer; base64 asks for a little more room.
		room, err := newBuffer(len(decoded) + 16)
		if err != nil {
			return nil, abi.ErrIO
		}
		out, err := message.DecodeTransfer(room[:0], decoded, p.Encoding)
		if err != nil {
			out = append(room[:0], decoded...)
		}
		from, decoded = room, out[:min(len(out), abi.MaxDecoded)]
	}
	c.keep(&view{part: part, form: form, data: decoded, from: from})
	return decoded, 0
}

// keep remembers a view, and forgets the oldest while they are too many.
func (c *content) keep(v *view) {
	c.views = append(c.views, v)
	c.used += len(v.from)
	for c.used > viewBudget && len(c.views) > 1 {
		old := c.views[0]
		c.views = c.views[1:]
		c.used -= len(old.from)
		old.from.release()
	}
}

// identity tells that a part is as it is: of a known encoding that changes
// nothing, or of an unknown one.
func identity(encoding string) bool {
	return encoding != "base64" && encoding != "quoted-printable"
}
