package worker

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

// tick is how far the clock of a guest goes each time that it is asked.
const tick = time.Microsecond

// asker carries questions to the parent. A file goes with the question and is
// not closed. It fails with abi.ErrIO where the parent cannot be reached.
type asker interface {
	ask(kind link.Kind, data []byte, file *os.File) ([]byte, abi.Errno)
}

// call is all that one call of a guest has: where its limits stand, what it
// asked, and what it came to.
type call struct {
	// begin is the encoded event up to the findings of this chain; nil while an
	// instance starts, when there is no event.
	event   []byte
	content *content // nil where the stage has no message
	// settings is an encoded abi.Settings.
	settings []byte
	parent   asker

	now    int64
	random *rand.ChaCha8

	calls, lookups, services int
	cancelled                func() bool

	reply    []byte
	hasReply bool

	effects     []abi.Effect
	effectsSize int
	// effectsCut tells that some were not taken, which the log says once.
	effectsCut bool
	keys       overlay
	log        log
	waited     time.Duration
}

// newCall makes a call whose clock begins at now, in nanoseconds since 1970.
func newCall(now int64, seed [32]byte) *call {
	return &call{now: now, random: rand.NewChaCha8(seed), keys: overlay{now: now / int64(time.Second)}}
}

// clock gives the time, later each time.
func (c *call) clock() int64 {
	c.pass(int64(tick))
	return c.now
}

// pass lets time pass, in nanoseconds.
func (c *call) pass(d int64) {
	if d > 0 && c.now <= math.MaxInt64-d {
		c.now += d
	}
}

// outside asks the parent, and takes the time of it out of the guest's.
func (c *call) outside(kind link.Kind, data []byte, file *os.File) ([]byte, abi.Errno) {
	if c.parent == nil {
		return nil, abi.ErrStage
	}
	began := time.Now()
	reply, errno := c.parent.ask(kind, data, file)
	c.waited += time.Since(began)
	if errno == 0 && len(reply) > abi.MaxReply {
		return nil, abi.ErrTooBig
	}
	return reply, errno
}

// log are the lines of one call.
type log struct {
	lines []string
	used  int
	full  bool
	// out and err are the line at standard output and error that has no end
	// yet.
	out, err []byte
}

var levels = [...]string{"debug: ", "", "warning: ", "error: "}

// add takes a line of a level from 0 to 3. Over the limit it says so once and
// takes no more.
func (l *log) add(level int, line string) {
	const note = "the log was cut here"
	if l.full {
		return
	}
	line = levels[level] + clean(line)
	if l.used+len(line)+1 > abi.MaxLog-len(note) {
		l.full = true
		line = note
	}
	l.used += len(line) + 1
	l.lines = append(l.lines, line)
}

// write takes what a guest writes to standard output or error.
func (l *log) write(b []byte, isErr bool) {
	buffer := &l.out
	if isErr {
		buffer = &l.err
	}
	for len(b) > 0 && !l.full {
		i := bytes.IndexByte(b, '\n')
		if room := abi.MaxLog - len(*buffer); i < 0 || i > room {
			n := min(len(b), room)
			*buffer = append(*buffer, b[:n]...)
			if b = b[n:]; len(*buffer) < abi.MaxLog {
				return
			}
		} else {
			*buffer = append(*buffer, b[:i]...)
			b = b[i+1:]
		}
		l.flush(buffer)
	}
}

// flush makes a line of a buffer.
func (l *log) flush(buffer *[]byte) {
	line := string(*buffer)
	*buffer = (*buffer)[:0]
	if strings.TrimSpace(line) == "" {
		return
	}
	l.add(1, line)
}

// end makes lines of what has no line end.
func (l *log) end() {
	l.flush(&l.out)
	l.flush(&l.err)
}

// clean makes a text of a guest fit for a log: valid UTF-8 in one line.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.TrimRight(strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029:
			return '\uFFFD'
		}
		return r
	}, s), " ")
}

// cut shortens s to at most n octets, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// callContext carries a call to the host functions that a guest calls.
type callContext struct {
	context.Context
	call *call
}

// callOf finds the call that a host function belongs to.
func callOf(ctx context.Context) *call {
	return ctx.(*callContext).call
}

// with makes a context for wazero.
func (c *call) with(ctx context.Context) context.Context {
	return &callContext{Context: ctx, call: c}
}
