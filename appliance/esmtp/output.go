package esmtp

import (
	"strconv"

	"hauspost/appliance/reply"
)

// maxReplyText bounds the text of one reply line, so that the line stays
// within 512 octets (RFC 5321, section 4.5.3.1.5).
const maxReplyText = 480

// smallOutput is kept within the connection; EHLO's answer fits.
const smallOutput = 384

// flushAt is how much output may wait for more input of the peer.
const flushAt = 4 << 10

// output collects answers.
type output struct {
	buf   []byte
	small [smallOutput]byte
}

func (o *output) reset() { o.buf = o.small[:0] }

// line adds one line of a reply; last tells that no other follows.
func (o *output) line(code int, enhanced, text string, last bool) {
	b := strconv.AppendInt(o.buf, int64(code), 10)
	if last {
		b = append(b, ' ')
	} else {
		b = append(b, '-')
	}
	if enhanced != "" {
		b = append(b, enhanced...)
		b = append(b, ' ')
	}
	b = appendText(b, text)
	o.buf = append(b, '\r', '\n')
}

// appendText adds s with everything but printable ASCII replaced, so that no
// text of a peer or a policy can break a reply.
func appendText(b []byte, s string) []byte {
	if len(s) > maxReplyText {
		s = s[:maxReplyText]
	}
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}

// say adds a reply to the output.
func (c *Conn) say(r *reply.Reply) {
	c.out.line(r.Code, r.Enhanced, r.Text, true)
	if len(c.out.buf) >= flushAt {
		c.flush()
	}
}

// flush writes what was collected. After an error the connection is broken: it
// stays silent and the next read ends it.
func (c *Conn) flush() error {
	if len(c.out.buf) == 0 {
		return c.broken
	}
	if c.broken == nil {
		if err := c.nc.SetWriteDeadline(c.deadline(c.limits.WriteTimeout)); err != nil {
			c.broken = err
		} else if _, err := c.nc.Write(c.out.buf); err != nil {
			c.broken = err
		}
	}
	c.out.reset()
	return c.broken
}
