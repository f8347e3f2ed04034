package sendmail

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"hauspost/appliance/message"
)

// text makes a message of mail out of what a program writes to sendmail: every
// line ends in CR LF, the header holds fields only and ends in an empty line,
// and there is no NUL.
type text struct {
	in *bufio.Reader
	// dots tells that a line of a single dot is the end.
	dots bool
	// limit is the largest message in octets.
	limit int64

	size  int64
	eight bool // an octet was not ASCII
	crs   int  // CRs of the body whose LF has not come yet
	ended bool // by a dot
	open  bool // the last line of the body has not ended
}

var (
	errNul      = errors.New("the message has a NUL octet, which mail cannot carry: encode it")
	errHeader   = errors.New("the header of the message is too long")
	errTooLarge = errors.New("the message is larger than the box takes")
)

func newText(in io.Reader, dots bool, limit int64) *text {
	return &text{in: bufio.NewReaderSize(in, 64<<10), dots: dots, limit: limit}
}

// line reads one line, or the next piece of a very long one; whole tells that
// it begins a line. At the end of the message it gives io.EOF.
func (t *text) line(begins bool) ([]byte, error) {
	if t.ended {
		return nil, io.EOF
	}
	line, err := t.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) || errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(line, 0) >= 0 {
		return nil, errNul
	}
	if begins && t.dots && string(trimEnd(line)) == "." {
		t.ended = true
		return nil, io.EOF
	}
	return line, nil
}

// trimEnd takes the line end off a line.
func trimEnd(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte("\n"))
	return bytes.TrimRight(line, "\r")
}

// header reads the header, up to and with its empty line. rest is the begin of
// the body that had to be read to see where the header ends.
func (t *text) header() (header, rest []byte, err error) {
	for {
		line, err := t.wholeLine(message.MaxHeader - len(header))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, err
		}
		plain := bytes.ReplaceAll(trimEnd(line), []byte("\r"), []byte(" "))
		switch {
		case err != nil || len(plain) == 0:
			// The end, or the empty line.
		case plain[0] == ' ' || plain[0] == '\t':
			if len(header) > 0 {
				if len(bytes.TrimLeft(plain, " \t")) > 0 { // an empty one would look like the end
					header = append(append(header, plain...), "\r\n"...)
				}
				continue
			}
			rest = line
		case isField(plain):
			header = append(append(header, plain...), "\r\n"...)
			continue
		case len(header) == 0 && isMboxLine(plain):
			continue
		default:
			rest = line
		}
		header = append(header, "\r\n"...)
		return header, rest, t.count(header)
	}
}

// mayBeHeader tells whether a line that is not read to its end may belong to a
// header.
func mayBeHeader(line []byte) bool { return line[0] == ' ' || line[0] == '\t' || isField(line) }

// wholeLine reads a line of the header into memory of its own, at most limit
// octets; of a line of the body that is very long, only the begin.
func (t *text) wholeLine(limit int) ([]byte, error) {
	var whole []byte
	for {
		line, err := t.line(whole == nil)
		if err != nil {
			if len(whole) > 0 && errors.Is(err, io.EOF) {
				return whole, nil
			}
			return nil, err
		}
		if len(whole)+len(line) > limit {
			return nil, errHeader
		}
		begin := whole == nil
		whole = append(whole, line...)
		if line[len(line)-1] == '\n' || begin && !mayBeHeader(line) {
			return whole, nil
		}
	}
}

// isField tells whether a line is the begin of a header field (RFC 5322,
// section 2.2).
func isField(line []byte) bool {
	name, _, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return ok && len(name) > 0
}

// isMboxLine tells the line that stands before each message in an mbox file.
func isMboxLine(line []byte) bool {
	s := strings.TrimPrefix(string(line), ">")
	return strings.HasPrefix(s, "From ")
}

// count notes what goes out.
func (t *text) count(p []byte) error {
	if t.size += int64(len(p)); t.size > t.limit {
		return errTooLarge
	}
	for _, c := range p {
		if c >= 0x80 {
			t.eight = true
			break
		}
	}
	return nil
}

// body writes the body to w, first the piece that header read too much.
func (t *text) body(w io.Writer, first []byte) error {
	begins := true
	for line := first; ; {
		if len(line) > 0 {
			if err := t.write(w, line); err != nil {
				return err
			}
			begins = line[len(line)-1] == '\n'
		}
		var err error
		if line, err = t.line(begins); errors.Is(err, io.EOF) {
			return t.finish(w)
		} else if err != nil {
			return err
		}
	}
}

// write writes one piece of the body with its line ends mended: any number of
// CRs before an LF are one line end with it, other CRs are one each.
func (t *text) write(w io.Writer, p []byte) error {
	out := make([]byte, 0, len(p)+16)
	for len(p) > 0 {
		i := bytes.IndexAny(p, "\r\n")
		if i != 0 {
			for ; t.crs > 0; t.crs-- {
				out = append(out, "\r\n"...)
			}
			if i < 0 {
				i = len(p)
			}
			out, p, t.open = append(out, p[:i]...), p[i:], true
			continue
		}
		if p[0] == '\r' {
			t.crs++
		} else {
			t.crs, t.open = 0, false
			out = append(out, "\r\n"...)
		}
		p = p[1:]
	}
	return t.emit(w, out)
}

// finish ends the last line.
func (t *text) finish(w io.Writer) error {
	var out []byte
	switch {
	case t.crs > 0:
		out = bytes.Repeat([]byte("\r\n"), t.crs)
	case t.open:
		out = []byte("\r\n")
	}
	t.crs, t.open = 0, false
	return t.emit(w, out)
}

func (t *text) emit(w io.Writer, out []byte) error {
	if err := t.count(out); err != nil {
		return err
	}
	_, err := w.Write(out)
	return err
}
