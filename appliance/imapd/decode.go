package imapd

import (
	"bytes"
	"io"
	"strings"

	"hauspost/appliance/message"
)

// decodeBlock is how much of a part is decoded at a time.
const decodeBlock = 64 << 10

// decoder takes the octets of a part and passes them on without their transfer
// encoding, as message.DecodeTransfer does it, but holds only a block of them.
// Where a line of quoted-printable has more white space or "=" in a row than a
// block holds, it is decoded as if the line ended with the block.
type decoder struct {
	w        io.Writer
	encoding string
	block    int
	// cut tells how much of b can be decoded without knowing what follows.
	cut     func(b []byte) int
	in, out []byte
}

// newDecoder makes a decoder; the error is that of message.DecodeTransfer.
func newDecoder(w io.Writer, encoding string, block int) (*decoder, error) {
	if _, err := message.DecodeTransfer(nil, nil, encoding); err != nil {
		return nil, err
	}
	d := &decoder{w: w, encoding: strings.ToLower(encoding), block: block, in: make([]byte, 0, block)}
	switch d.encoding {
	case "base64":
		d.cut = cutBase64
	case "quoted-printable":
		d.cut = cutQuotedPrintable
	default:
		d.cut = func(b []byte) int { return len(b) }
	}
	return d, nil
}

// Write takes octets of the encoded part.
func (d *decoder) Write(p []byte) (int, error) {
	taken := 0
	for taken < len(p) {
		k := min(len(p)-taken, d.block-len(d.in))
		if d.encoding == "base64" {
			d.in = appendAlphabet(d.in, p[taken:taken+k])
		} else {
			d.in = append(d.in, p[taken:taken+k]...)
		}
		taken += k
		if len(d.in) < d.block {
			continue
		}
		n := d.cut(d.in)
		if n == 0 {
			n = len(d.in)
		}
		if err := d.decode(n); err != nil {
			return taken, err
		}
	}
	return taken, nil
}

// end decodes what is left.
func (d *decoder) end() error { return d.decode(len(d.in)) }

func (d *decoder) decode(n int) (err error) {
	if d.out, err = message.DecodeTransfer(d.out[:0], d.in[:n], d.encoding); err != nil {
		return err
	}
	d.in = d.in[:copy(d.in, d.in[n:])]
	_, err = d.w.Write(d.out)
	return err
}

// appendAlphabet appends those octets of p that mean something in base64.
func appendAlphabet(dst, p []byte) []byte {
	for _, c := range p {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '+', c == '/', c == '=':
			dst = append(dst, c)
		}
	}
	return dst
}

// cutBase64 cuts behind the last full group. Padding ends a group.
func cutBase64(b []byte) int {
	start := bytes.LastIndexByte(b, '=') + 1
	return start + (len(b)-start)/4*4
}

// cutQuotedPrintable cuts behind the last line, or, where there is none, before
// what can be told only by what follows: white space, which may be at the end
// of the line, and "=".
func cutQuotedPrintable(b []byte) int {
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	for {
		n := len(b)
		b = bytes.TrimRight(b, " \t\r")
		if i := bytes.LastIndexByte(b, '='); i >= 0 && i+2 >= len(b) {
			b = b[:i]
		}
		if len(b) == n {
			return n
		}
	}
}

// window passes on the octets from skip on, and at most left of them; without w
// it counts them only.
type window struct {
	w          io.Writer
	skip, left uint64
	n          int64
	nul        bool
}

// Write fails with io.EOF once there is no more to pass on.
func (x *window) Write(p []byte) (int, error) {
	k := min(uint64(len(p)), x.skip)
	x.skip -= k
	q := p[k:]
	q = q[:min(uint64(len(q)), x.left)]
	x.left -= uint64(len(q))
	x.n += int64(len(q))
	if x.w == nil {
		x.nul = x.nul || bytes.IndexByte(q, 0) >= 0
	} else if _, err := x.w.Write(q); err != nil {
		return 0, err
	}
	if x.left == 0 {
		return len(p), io.EOF
	}
	return len(p), nil
}
