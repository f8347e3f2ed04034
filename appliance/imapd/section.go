package imapd

import (
	"bytes"
	"fmt"
	"strconv"

	"hauspost/appliance/imapd/wire"
	"hauspost/appliance/message"
)

// maxPath bounds the depth of a part number.
const maxPath = 100

// section is a section of a message as one item asks for it.
type section struct {
	path []int
	what message.Section
	// fields are the names of HEADER.FIELDS, not tells of HEADER.FIELDS.NOT.
	fields [][]byte
	not    bool
	// label is the item's name in the response.
	label string
	// partial asks for at most count octets from offset on.
	partial       bool
	offset, count uint64
}

// readSection reads [section]<partial>. Without texts it must be a part number
// or nothing (BINARY).
func readSection(c *call, name string, texts bool) (*section, error) {
	sec := &section{}
	label := []byte(name + "[")
	if err := c.Expect('['); err != nil {
		return nil, err
	}
	for d := c.Peek(); d >= '1' && d <= '9'; d = c.Peek() {
		n, err := c.Number()
		if err != nil {
			return nil, err
		}
		if len(sec.path) >= maxPath {
			return nil, bad("Syntax: the part number is too deep")
		}
		sec.path = append(sec.path, int(min(n, 1<<30)))
		label = wire.AppendNumber(label, uint64(n))
		if !c.Skip('.') {
			break
		}
		label = append(label, '.')
		if d = c.Peek(); d < '1' || d > '9' {
			break
		}
	}
	dotted := len(label) > 0 && label[len(label)-1] == '.'
	if c.Peek() != ']' && (dotted || len(sec.path) == 0) {
		if !texts {
			return nil, bad("Syntax: expected a part number")
		}
		var err error
		if label, err = sec.readText(c, label); err != nil {
			return nil, err
		}
	} else if dotted {
		return nil, bad("Syntax: expected a section")
	}
	if err := c.Expect(']'); err != nil {
		return nil, err
	}
	label = append(label, ']')
	return sec, sec.readPartial(c, label)
}

// readText reads HEADER, HEADER.FIELDS, TEXT or MIME.
func (sec *section) readText(c *call, label []byte) ([]byte, error) {
	name, err := c.Name()
	if err != nil {
		return nil, err
	}
	label = append(label, name...)
	switch name {
	case "HEADER":
		sec.what = message.SectionHeader
	case "TEXT":
		sec.what = message.SectionText
	case "MIME":
		if len(sec.path) == 0 {
			return nil, bad("Syntax: MIME needs a part number")
		}
		sec.what = message.SectionMIME
	case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
		sec.what, sec.not = message.SectionHeader, name == "HEADER.FIELDS.NOT"
		if err := c.Space(); err != nil {
			return nil, err
		}
		label = append(label, " ("...)
		if err := c.List(func() error {
			field, err := c.AString()
			if err != nil {
				return err
			}
			if len(sec.fields) > 0 {
				label = append(label, ' ')
			}
			label = wire.AppendAString(label, field, false)
			sec.fields = append(sec.fields, []byte(field))
			return nil
		}); err != nil {
			return nil, err
		}
		if len(sec.fields) == 0 {
			return nil, bad("Syntax: expected names of header fields")
		}
		label = append(label, ')')
	default:
		return nil, bad("There is no section %s", name)
	}
	return label, nil
}

func (sec *section) readPartial(c *call, label []byte) error {
	if c.Skip('<') {
		var err error
		if sec.offset, err = c.Number64(); err != nil {
			return err
		}
		if err = c.Expect('.'); err != nil {
			return err
		}
		if sec.count, err = c.Number64(); err != nil {
			return err
		}
		if err = c.Expect('>'); err != nil {
			return err
		}
		if sec.count == 0 {
			return bad("Syntax: a partial range has at least one octet")
		}
		sec.partial = true
		label = append(label, '<')
		label = wire.AppendNumber(label, sec.offset)
		label = append(label, '>')
	}
	sec.label = string(label)
	return nil
}

// cut narrows start to end, which are in order, to the partial range.
func (sec *section) cut(start, end int) (int, int) {
	if !sec.partial {
		return start, end
	}
	length := uint64(end - start)
	if sec.offset >= length {
		return end, end
	}
	start += int(sec.offset)
	if sec.count < uint64(end-start) {
		end = start + int(sec.count)
	}
	return start, end
}

// write answers BODY[...] and its relatives.
func (sec *section) write(f *fetcher) error {
	f.s.w.B = append(f.s.w.B, sec.label...)
	f.s.w.B = append(f.s.w.B, ' ')
	loaded := false
	if len(sec.path) == 0 && sec.what == message.SectionHeader {
		var err error
		if loaded, err = f.loadHeader(); err != nil {
			return err
		}
	}
	if f.e.Size >= streamFrom && !loaded {
		return sec.writeLarge(f)
	}
	if !loaded {
		if err := f.load(); err != nil {
			return err
		}
	}
	b, found, err := sec.take(f)
	if err != nil {
		return err
	}
	return sec.writeLiteral(f, b, found)
}

func (sec *section) writeLiteral(f *fetcher, b []byte, found bool) error {
	if !found {
		f.s.w.B = append(f.s.w.B, "NIL"...)
		return nil
	}
	start, end := sec.cut(0, len(b))
	f.literal(end-start, false)
	_, err := f.s.w.Write(b[start:end])
	return err
}

// take gives the section from the message in memory.
func (sec *section) take(f *fetcher) (b []byte, found bool, err error) {
	if len(sec.path) == 0 {
		switch {
		case sec.fields != nil:
			return message.HeaderFields(f.head, sec.fields, sec.not), true, nil
		case sec.what == message.SectionHeader:
			return f.head, true, nil
		case sec.what == message.SectionText:
			return f.raw[len(f.head):], true, nil
		}
		return f.raw, true, nil
	}
	start, end, found, err := sec.locate(f)
	if err != nil || !found {
		return nil, false, err
	}
	if start < 0 || start > end || end > len(f.raw) {
		return nil, false, fmt.Errorf("the index has a part at %d to %d in a message of %d octets", start, end, len(f.raw))
	}
	b = f.raw[start:end]
	if sec.fields != nil {
		b = message.HeaderFields(b, sec.fields, sec.not)
	}
	return b, true, nil
}

// locate finds the section by the structure in the index.
func (sec *section) locate(f *fetcher) (start, end int, found bool, err error) {
	if len(sec.path) == 0 && sec.what == message.SectionBody {
		return 0, int(f.e.Size), true, nil
	}
	root, err := f.parts()
	if err != nil {
		return 0, 0, false, err
	}
	start, end, found = root.Section(sec.path, sec.what)
	return start, end, found, nil
}

// parts gives the tree of parts of the message at hand.
func (f *fetcher) parts() (*message.Part, error) {
	if f.root == nil {
		if f.structure == nil {
			if err := f.readStructure(); err != nil {
				return nil, err
			}
		}
		root, err := message.ParseStructure(f.structure)
		if err != nil {
			return nil, err
		}
		f.root = root
	}
	return f.root, nil
}

// decoded gives the part without its transfer encoding. found is false where
// there is no such part.
func (sec *section) decoded(f *fetcher) (b []byte, found bool, err error) {
	if err := f.load(); err != nil {
		return nil, false, err
	}
	if len(sec.path) == 0 {
		return f.raw, true, nil
	}
	root, err := f.parts()
	if err != nil {
		return nil, false, err
	}
	part, found := root.Find(sec.path)
	if !found {
		return nil, false, nil
	}
	if part.BodyStart < 0 || part.BodyStart > part.BodyEnd || part.BodyEnd > len(f.raw) {
		return nil, false, fmt.Errorf("the index has a part at %d to %d in a message of %d octets", part.BodyStart, part.BodyEnd, len(f.raw))
	}
	body := f.raw[part.BodyStart:part.BodyEnd]
	if part.Children != nil || part.Message != nil {
		return body, true, nil
	}
	b, err = message.DecodeTransfer(nil, body, part.Encoding)
	return b, true, err
}

// writeBinary answers BINARY (RFC 3516).
func (sec *section) writeBinary(f *fetcher) error {
	if f.e.Size >= streamFrom {
		return sec.writeLargeBinary(f)
	}
	b, found, err := sec.decoded(f)
	if err != nil {
		return err
	}
	f.s.w.B = append(f.s.w.B, sec.label...)
	f.s.w.B = append(f.s.w.B, ' ')
	if !found {
		f.s.w.B = append(f.s.w.B, "NIL"...)
		return nil
	}
	start, end := sec.cut(0, len(b))
	b = b[start:end]
	f.literal(len(b), bytes.IndexByte(b, 0) >= 0)
	_, err = f.s.w.Write(b)
	return err
}

func (sec *section) writeBinarySize(f *fetcher) error {
	var size int64
	if f.e.Size >= streamFrom {
		x, _, err := sec.measure(f)
		if err != nil {
			return err
		}
		size = x.n
	} else {
		b, _, err := sec.decoded(f)
		if err != nil {
			return err
		}
		size = int64(len(b))
	}
	f.s.w.B = append(f.s.w.B, sec.label...)
	f.s.w.B = append(f.s.w.B, ' ')
	f.s.w.B = strconv.AppendInt(f.s.w.B, size, 10)
	return nil
}
