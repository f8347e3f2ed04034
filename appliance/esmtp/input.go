package esmtp

import (
	"bytes"
	"errors"
	"sync"
	"time"
)

// Input is read into a small array within the connection; only longer lines and
// content borrow a larger one, so that a connection that waits for its peer
// holds little memory.
const (
	smallInput = 512
	largeInput = 16 << 10
)

// Limits for command lines in octets with CR LF: RFC 5321, section
// 4.5.3.1.4, and for MAIL and RCPT what the extensions add (SIZE, BODY,
// SMTPUTF8, DSN's ENVID and ORCPT). RFC 4954, section 4, for AUTH.
const (
	plainLine  = 512
	longLine   = 2048
	authLine   = 12288
	dropLineAt = 1 << 20 // a line that is longer ends the connection
)

var largeInputs = sync.Pool{New: func() any { return new([largeInput]byte) }}

// Faults of a line. For the first two the connection goes on.
var (
	errTooLong = errors.New("line too long")
	errBareLF  = errors.New("line ends in LF alone")
	errEndless = errors.New("line does not end")
)

// input holds octets that were read and not used yet: buf[r:w].
type input struct {
	buf   []byte
	r, w  int
	large *[largeInput]byte
	small [smallInput]byte
}

func (in *input) buffered() []byte { return in.buf[in.r:in.w] }

// grow makes room for more octets. It reports false when the large array is
// full.
func (in *input) grow() bool {
	if in.buf == nil {
		in.buf = in.small[:]
	}
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
	if in.w < len(in.buf) {
		return true
	}
	if in.r > 0 {
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
		return true
	}
	if in.large != nil {
		return false
	}
	in.useLarge()
	return true
}

// useLarge moves to a large array, for content.
func (in *input) useLarge() {
	if in.large != nil {
		return
	}
	in.large = largeInputs.Get().(*[largeInput]byte)
	in.w = copy(in.large[:], in.buf[in.r:in.w])
	in.r, in.buf = 0, in.large[:]
}

// useSmall gives the large array back if what is left fits the small one.
func (in *input) useSmall() {
	if in.large == nil || in.w-in.r > smallInput {
		return
	}
	in.w = copy(in.small[:], in.buf[in.r:in.w])
	in.r, in.buf = 0, in.small[:]
	in.release()
}

// release gives the large array back without a look at what is left.
func (in *input) release() {
	if in.large != nil {
		largeInputs.Put(in.large)
		in.large = nil
	}
}

// readLine reads one line of at most limit octets with its CR LF and gives it
// without; it is valid until the next read. errTooLong and errBareLF tell that
// there was a line that must not be run; any other error ends the connection.
func (c *Conn) readLine(limit int) ([]byte, error) {
	c.in.useSmall()
	start, timeout := time.Now(), c.limits.CommandTimeout
	if !c.open && c.srv.gate.stressed() {
		timeout = min(timeout, c.limits.StressTimeout)
	}
	if c.content {
		timeout = min(timeout, c.transfer.pace.patience(c.limits))
		defer func() { c.transfer.pace.waited += time.Since(start) }()
	}
	c.lineDeadline = start.Add(timeout)
	seen, dropped := 0, 0
	for {
		if i := bytes.IndexByte(c.in.buf[c.in.r+seen:c.in.w], '\n'); i >= 0 {
			line := c.in.buf[c.in.r : c.in.r+seen+i+1]
			c.in.r += len(line)
			return checkLine(line, limit, dropped)
		}
		seen = c.in.w - c.in.r
		if seen > limit {
			dropped += seen
			c.in.r, seen = c.in.w, 0
			if dropped > dropLineAt {
				return nil, errEndless
			}
		}
		if err := c.fillCommand(); err != nil {
			return nil, err
		}
	}
}

func checkLine(line []byte, limit, dropped int) ([]byte, error) {
	if dropped > 0 || len(line) > limit {
		return nil, errTooLong
	}
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return line, errBareLF
	}
	return line[:len(line)-2], nil
}
