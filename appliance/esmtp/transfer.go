package esmtp

import (
	"bytes"

	"hauspost/appliance/reply"
)

// transfer is the content of one message on its way in. It finds the end, undoes
// dot-stuffing, checks the form (lines end in CR LF, no CR or LF stands alone,
// no NUL, no over-long line) and the size, and hands the text on to the sink as
// long as nothing is wrong. After the first fault it only follows the content
// to its end.
//
// Only CR LF "." CR LF ends content after DATA (RFC 5321, section 4.1.1.4); the
// CR LF of the DATA command counts as the first.
type transfer struct {
	sink Content // nil once discarded
	via  Via
	// maxSize and maxLine are the limits in octets.
	maxSize int64
	maxLine int

	state lineState
	line  int   // octets of the line so far
	size  int64 // octets of text so far
	fault *reply.Reply
	pace  pace
}

type lineState uint8

const (
	atStart  lineState = iota // after CR LF, or at the very start
	atMiddle                  // within a line
	atCR                      // after a CR within a line
	atDot                     // after "." at the start of a line, held back
	atDotCR                   // after "." CR at the start of a line, held back
)

// fail notes the first fault and drops what came in so far.
func (t *transfer) fail(r *reply.Reply) {
	if t.fault != nil {
		return
	}
	t.fault = r
	t.discard()
}

func (t *transfer) discard() {
	if sink := t.sink; sink != nil {
		t.sink = nil
		sink.Discard()
	}
}

// emit hands text on.
func (t *transfer) emit(text []byte) {
	if t.fault != nil || len(text) == 0 {
		return
	}
	if int64(len(text)) > t.maxSize-t.size {
		t.fail(errTooLarge)
		return
	}
	if bytes.IndexByte(text, 0) >= 0 {
		t.fail(errNul)
		return
	}
	t.size += int64(len(text))
	if _, err := t.sink.Write(text); err != nil {
		t.fail(refusal(reply.Of(err)))
	}
}

// feed takes octets of the content: all of p, or, after DATA, up to the end of
// the content. It tells how many it took and whether that was the end.
func (t *transfer) feed(p []byte) (n int, end bool) {
	from, i := 0, 0 // p[from:i] is text that was looked at and not handed on
	for i < len(p) {
		switch t.state {
		case atStart:
			if t.via == ViaData && p[i] == '.' {
				t.emit(p[from:i])
				i++
				from, t.state = i, atDot
			} else {
				t.state = atMiddle
			}
		case atDot:
			if p[i] == '\r' {
				i++
				from, t.state = i, atDotCR
			} else {
				t.state = atMiddle
			}
		case atDotCR:
			if p[i] == '\n' {
				return i + 1, true
			}
			t.fail(errBareNewline)
			t.state = atMiddle
		case atCR:
			if p[i] == '\n' {
				i++
				t.endLine()
			} else {
				t.fail(errBareNewline)
				t.state = atMiddle
			}
		case atMiddle:
			i += t.run(p[i:])
		}
	}
	if t.line > t.maxLine {
		t.fail(errLongText)
	}
	t.emit(p[from:])
	return len(p), false
}

// run takes the rest of a line, with its CR LF if that is in p.
func (t *transfer) run(p []byte) int {
	j := bytes.IndexByte(p, '\n')
	text := p
	if j >= 0 {
		text = p[:j]
	}
	t.line += len(text)
	cr := bytes.IndexByte(text, '\r')
	if cr >= 0 && cr < len(text)-1 {
		t.fail(errBareNewline)
	}
	endsInCR := cr >= 0 && text[len(text)-1] == '\r'
	switch {
	case j < 0:
		if endsInCR {
			t.state = atCR
		}
		return len(p)
	case endsInCR:
		t.endLine()
	default:
		t.fail(errBareNewline)
	}
	return j + 1
}

func (t *transfer) endLine() {
	t.state = atStart
	if t.line+1 > t.maxLine {
		t.fail(errLongText)
	}
	t.line = 0
}

// finish checks what can only be told at the end of the content.
func (t *transfer) finish() {
	if t.state == atCR {
		t.fail(errBareNewline)
	}
}

// refusal makes sure that r refuses.
func refusal(r *reply.Reply) *reply.Reply {
	if r.Code/100 != 4 && r.Code/100 != 5 {
		return reply.LocalError.Because(r)
	}
	return r
}
