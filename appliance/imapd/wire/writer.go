package wire

import (
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	writeBuffer = 4 << 10
	// keepBuffer is the largest buffer that goes back to the pool.
	keepBuffer = 256 << 10
	// flushAt is how much is gathered before it is sent.
	flushAt = 64 << 10
)

var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, writeBuffer); return &b }}

// Writer gathers responses and sends them. Handlers append to B and call End
// after each response. It is not safe for concurrent use.
type Writer struct {
	// B is what was not sent yet.
	B []byte
	// Dst takes what is sent, at most 64 KB at a time.
	Dst io.Writer

	box *[]byte
	// start is where the response that is being made begins in B; broken
	// tells that its beginning was sent already.
	start  int
	broken bool
	err    error
}

// Grab makes sure that B has a buffer.
func (w *Writer) Grab() {
	if w.box == nil {
		w.box = writeBuffers.Get().(*[]byte)
		w.B = append((*w.box)[:0], w.B...)
	}
}

// Release gives the buffer back if everything was sent.
func (w *Writer) Release() {
	if w.box == nil || len(w.B) > 0 {
		return
	}
	if cap(w.B) <= keepBuffer {
		*w.box = w.B[:0]
		writeBuffers.Put(w.box)
	}
	w.box, w.B = nil, nil
}

// End ends a response with CRLF, and sends what has gathered if it is much.
func (w *Writer) End() {
	w.B = append(w.B, '\r', '\n')
	w.start, w.broken = len(w.B), false
	if len(w.B) >= flushAt {
		w.Flush()
	}
}

// Drop takes back the response that was begun. It fails if part of it was
// sent: the connection is of no use any more then.
func (w *Writer) Drop() bool {
	w.B = w.B[:min(w.start, len(w.B))]
	return !w.broken
}

// Flush sends what has gathered. Once it failed it always fails.
func (w *Writer) Flush() error {
	if len(w.B) == 0 || w.err != nil {
		w.B, w.start = w.B[:0], 0
		return w.err
	}
	w.broken = w.broken || w.start < len(w.B)
	_, w.err = w.send(w.B)
	w.B, w.start = w.B[:0], 0
	return w.err
}

// send writes p to Dst in pieces of at most 64 KB, each of which is to have a
// time limit of its own.
func (w *Writer) send(p []byte) (sent int, err error) {
	for len(p) > 0 {
		n, err := w.Dst.Write(p[:min(len(p), flushAt)])
		sent += n
		if err != nil {
			return sent, err
		}
		p = p[n:]
	}
	return sent, nil
}

// Write sends p after what has gathered, for the octets of long literals.
func (w *Writer) Write(p []byte) (int, error) {
	if len(p) >= flushAt/2 {
		// Not worth a copy.
		if err := w.Flush(); err != nil {
			return 0, err
		}
		w.broken = true
		var n int
		n, w.err = w.send(p)
		return n, w.err
	}
	w.B = append(w.B, p...)
	if len(w.B) >= flushAt {
		if err := w.Flush(); err != nil {
			return 0, err
		}
	}
	return len(p), w.err
}

// Err gives the error of a Flush that failed.
func (w *Writer) Err() error { return w.err }

// AppendText appends a status text: control characters become spaces, what is
// not ASCII a question mark.
func AppendText(dst []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r < ' ' || r == 0x7f:
			dst = append(dst, ' ')
		case r >= utf8.RuneSelf:
			dst = append(dst, '?')
		default:
			dst = append(dst, byte(r))
		}
	}
	return dst
}

// AppendString appends s as a quoted string where that can hold it, else as a
// literal. With utf8Quoted, quoted strings may hold UTF-8.
func AppendString(dst []byte, s string, utf8Quoted bool) []byte {
	if len(s) > 1000 {
		return AppendLiteral(dst, s)
	}
	eightBit := false
	for i := range len(s) {
		switch c := s[i]; {
		case c == 0 || c == '\r' || c == '\n':
			return AppendLiteral(dst, s)
		case c >= utf8.RuneSelf:
			eightBit = true
		}
	}
	if eightBit && (!utf8Quoted || !utf8.ValidString(s)) {
		return AppendLiteral(dst, s)
	}
	return appendQuoted(dst, s)
}

// AppendLiteral appends s as a literal.
func AppendLiteral(dst []byte, s string) []byte {
	dst = append(dst, '{')
	dst = strconv.AppendInt(dst, int64(len(s)), 10)
	dst = append(dst, "}\r\n"...)
	return append(dst, s...)
}

func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// AppendAString appends s as an atom where that can hold it, else as
// AppendString does.
func AppendAString(dst []byte, s string, utf8Quoted bool) []byte {
	if s == "" || len(s) > 1000 || strings.EqualFold(s, "NIL") {
		return AppendString(dst, s, utf8Quoted)
	}
	for i := range len(s) {
		if !isAStringChar(s[i]) {
			return AppendString(dst, s, utf8Quoted)
		}
	}
	return append(dst, s...)
}

// AppendMailbox appends a mailbox name, given in UTF-8: as it is for clients
// that take UTF-8, else in modified UTF-7.
func AppendMailbox(dst []byte, name string, utf8Names bool) []byte {
	if !utf8Names {
		name = EncodeUTF7(name)
	}
	return AppendString(dst, name, utf8Names)
}

// AppendNumber appends n.
func AppendNumber(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }
