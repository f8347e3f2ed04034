package senderauth

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
)

var (
	// ErrLineEnd: a CR or LF that stands alone. Servers on the way would change
	// it, and so break the signature.
	ErrLineEnd = errors.New("the message has a CR or LF that stands alone, so a signature would not last")
	// ErrHeader: a line of the header is no field. Servers on the way would end
	// the header before it, and so break the signature.
	ErrHeader = errors.New("the message has a line in its header that is no field, so a signature would not last")
)

// relaxedBody hashes a body in the relaxed form (RFC 6376, section 3.4.4) as it
// comes, in pieces of any size.
type relaxedBody struct {
	hash hash.Hash
	buf  []byte
	// lines are the line ends since the last text; they count only if more text
	// follows. space tells of white space since then on the current line, cr of
	// a CR whose LF must come next.
	lines     int64
	space, cr bool
	text      bool // something was hashed
}

// bodyBuffer is how many octets are collected before they are hashed.
const bodyBuffer = 4 << 10

func newRelaxedBody() relaxedBody {
	return relaxedBody{hash: sha256.New(), buf: make([]byte, 0, bodyBuffer)}
}

// write takes the next piece; ErrLineEnd.
func (b *relaxedBody) write(p []byte) error {
	for fresh := true; len(p) > 0; {
		if fresh && !b.space && !b.cr {
			if text, size := canonicalLine(p); len(text) > 0 {
				b.add(text)
				b.lines++
				p = p[size:]
				continue
			}
		}
		c := p[0]
		if b.cr != (c == '\n') {
			return ErrLineEnd
		}
		fresh = c == '\n'
		n := 1
		switch c {
		case '\r':
			b.cr = true
		case '\n':
			b.cr, b.space = false, false
			b.lines++
		case ' ', '\t':
			b.space = true
		default:
			for n < len(p) && !isWhite(p[n]) {
				n++
			}
			b.add(p[:n])
		}
		p = p[n:]
	}
	return nil
}

// canonicalLine gives the first line of p without the white space at its end
// where that is relaxed as it stands, as most lines are, and how much of p it
// takes with its CRLF; nothing where it is not, is empty or does not end.
func canonicalLine(p []byte) (text []byte, size int) {
	size = bytes.IndexByte(p, '\n') + 1
	if size < 2 || p[size-2] != '\r' {
		return nil, 0
	}
	text = p[:size-2]
	for len(text) > 0 && (text[len(text)-1] == ' ' || text[len(text)-1] == '\t') {
		text = text[:len(text)-1]
	}
	if bytes.IndexByte(text, '\t') >= 0 || bytes.IndexByte(text, '\r') >= 0 || bytes.Contains(text, twoSpaces) {
		return nil, 0
	}
	return text, size
}

var twoSpaces = []byte("  ")

func isWhite(c byte) bool { return c <= ' ' && (c == ' ' || c == '\t' || c == '\r' || c == '\n') }

// add takes text that is relaxed.
func (b *relaxedBody) add(text []byte) {
	b.text = true
	for ; b.lines > 0; b.lines-- {
		b.put("\r\n")
	}
	if b.space {
		b.put(" ")
		b.space = false
	}
	if len(text) > cap(b.buf)-len(b.buf) {
		b.flush()
		if len(text) >= cap(b.buf) {
			b.hash.Write(text)
			return
		}
	}
	b.buf = append(b.buf, text...)
}

func (b *relaxedBody) put(s string) {
	if len(s) > cap(b.buf)-len(b.buf) {
		b.flush()
	}
	b.buf = append(b.buf, s...)
}

func (b *relaxedBody) flush() {
	b.hash.Write(b.buf)
	b.buf = b.buf[:0]
}

// sum gives the hash of the whole body. Empty lines at its end do not count,
// and its last line has an end whether it was sent or not.
func (b *relaxedBody) sum() ([]byte, error) {
	if b.cr {
		return nil, ErrLineEnd
	}
	if b.text {
		b.put("\r\n")
	}
	b.flush()
	return b.hash.Sum(nil), nil
}

// appendRelaxedField appends a field in the relaxed form (RFC 6376, section
// 3.4.2), without the line end: its name in lower case, its value unfolded, runs
// of white space as one space, none at either end.
func appendRelaxedField(dst []byte, name string, value []byte) []byte {
	dst = append(append(dst, name...), ':')
	space, first := false, true
	for _, c := range value {
		if isWhite(c) {
			space = true
			continue
		}
		if space && !first {
			dst = append(dst, ' ')
		}
		space, first = false, false
		dst = append(dst, c)
	}
	return dst
}

// field is one field of a header.
type field struct {
	name  string // in lower case
	value []byte
}

// splitHeader gives the fields of a header and what follows its empty line.
// ErrLineEnd, ErrHeader.
func splitHeader(header []byte) (fields []field, rest []byte, err error) {
	for len(header) > 0 {
		line, after, err := cutLine(header)
		if err != nil {
			return nil, nil, err
		}
		if len(line) == 2 {
			return fields, after, nil
		}
		end := len(line)
		for len(after) > 0 && (after[0] == ' ' || after[0] == '\t') {
			var more []byte
			if more, after, err = cutLine(after); err != nil {
				return nil, nil, err
			}
			end += len(more)
		}
		colon := bytes.IndexByte(line, ':')
		name := bytes.TrimRight(line[:max(colon, 0)], " \t")
		if len(name) == 0 || bytes.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return nil, nil, ErrHeader
		}
		fields = append(fields, field{string(bytes.ToLower(name)), header[colon+1 : end]})
		header = after
	}
	return fields, nil, nil
}

// cutLine takes a line with its CRLF off b.
func cutLine(b []byte) (line, rest []byte, err error) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' || bytes.IndexByte(b[:i-1], '\r') >= 0 {
		return nil, nil, ErrLineEnd
	}
	return b[:i+1], b[i+1:], nil
}
