package esmtp

import (
	"errors"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"hauspost/appliance/reply"
)

// pace holds the content of one message to a mean rate. Only the time spent
// waiting for the peer counts (between the chunks of BDAT too), not the time
// that the disk takes.
type pace struct {
	waited time.Duration
	octets int64
}

// patience is how long the next read may wait.
func (p *pace) patience(l *Limits) time.Duration {
	if l.ContentRate <= 0 {
		return l.ContentTimeout
	}
	const most = 1e6 // seconds; keeps the product within time.Duration
	earned := time.Duration(min(float64(p.octets)/float64(l.ContentRate), most) * float64(time.Second))
	return min(l.ContentTimeout, l.ContentGrace+earned-p.waited)
}

// fillContent writes what is to be said and waits for more content.
func (c *Conn) fillContent() error {
	if err := c.flush(); err != nil {
		return err
	}
	if len(c.in.buffered()) == 0 {
		c.in.useLarge()
	}
	c.in.grow()
	p, start := &c.transfer.pace, time.Now()
	if err := c.raw.SetReadDeadline(start.Add(p.patience(c.limits))); err != nil {
		return err
	}
	n, err := c.nc.Read(c.in.buf[c.in.w:])
	c.in.w += n
	p.waited += time.Since(start)
	p.octets += int64(n)
	if n > 0 {
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errTooSlow
	}
	return err
}

// checkContent says why content cannot begin now.
func (c *Conn) checkContent() *reply.Reply {
	switch {
	case !c.mail:
		return errNoMail
	case c.rcpts == 0:
		return errNoRecipients
	}
	return nil
}

// begin asks the session for a sink.
func (c *Conn) begin(via Via) *reply.Reply {
	c.transfer = transfer{via: via, maxSize: c.limits.MessageSize, maxLine: c.limits.TextLine}
	sink, r := c.session.Content(c.ctx, via)
	if r != nil {
		return refusal(r)
	}
	c.transfer.sink = sink
	return nil
}

// cmdData is DATA (RFC 5321, section 4.1.1.4).
func (c *Conn) cmdData(arg string) {
	r := c.checkContent()
	switch {
	case arg != "":
		r = errNoParameters
	case c.content:
		r = errInContent
	case r == nil:
		r = c.begin(ViaData)
	}
	if r != nil {
		c.refuse("DATA", "", r)
		return
	}
	c.say(goAhead)
	dropped := int64(0)
	for {
		if got := c.in.buffered(); len(got) > 0 {
			n, end := c.transfer.feed(got)
			c.in.r += n
			if end {
				c.answerContent()
				return
			}
			if c.transfer.fault != nil {
				if dropped += int64(n); dropped > c.limits.DropSize {
					c.refuse("DATA", "", c.transfer.fault)
					c.stop(Closed)
					return
				}
			}
		}
		if err := c.fillContent(); err != nil {
			c.lost(err)
			return
		}
	}
}

// cmdBdat is BDAT (RFC 3030). The octets of a chunk are read even if it is
// refused, so that they are not taken for commands; where its size is not known
// or beyond all bounds the connection ends instead.
func (c *Conn) cmdBdat(arg string) {
	size, last, ok := parseBdat(arg)
	switch {
	case !ok:
		c.refuse("BDAT", "", errBdatSyntax)
		c.stop(Closed)
		return
	case size == 0 && !last && !c.spendEmpty("BDAT"):
		return
	case !c.mail:
		c.strayChunk(size)
		return
	case !c.content:
		// From here on the transaction is one of BDAT, even if the first
		// chunk is refused: the next one must not start a message anew.
		c.content = true
		r := c.checkContent()
		if r == nil {
			r = c.begin(ViaBdat)
		}
		if r != nil {
			c.transfer = transfer{via: ViaBdat, fault: r}
		}
	}
	t := &c.transfer
	if size > t.maxSize-t.size {
		t.fail(errTooLarge)
	}
	if t.fault != nil && size > c.limits.DropSize {
		c.refuse("BDAT", "", t.fault)
		c.stop(Closed)
		return
	}
	if err := c.chunk(size); err != nil {
		c.lost(err)
		return
	}
	switch {
	case last:
		c.answerContent()
	case t.fault != nil:
		c.refuse("BDAT", "", t.fault)
	default:
		c.out.line(250, "2.0.0", strconv.FormatInt(size, 10)+" octets received", true)
	}
}

// strayChunk drops a chunk outside a transaction.
func (c *Conn) strayChunk(size int64) {
	if size <= c.limits.DropSize {
		c.transfer = transfer{via: ViaBdat, fault: errNoMail}
		if err := c.chunk(size); err != nil {
			c.lost(err)
			return
		}
	}
	c.refuse("BDAT", "", errNoMail)
	if size > c.limits.DropSize {
		c.stop(Closed)
	}
}

// chunk reads the octets of one chunk.
func (c *Conn) chunk(size int64) error {
	for size > 0 {
		if len(c.in.buffered()) == 0 {
			if err := c.fillContent(); err != nil {
				return err
			}
		}
		got := c.in.buffered()
		got = got[:min(int64(len(got)), size)]
		if c.transfer.fault == nil {
			c.transfer.feed(got)
		}
		c.in.r += len(got)
		size -= int64(len(got))
	}
	return nil
}

// parseBdat reads "chunk-size [LAST]". A size beyond all numbers becomes the
// largest one.
func parseBdat(arg string) (size int64, last, ok bool) {
	number, word, _ := strings.Cut(arg, " ")
	if !isDigits(number) || word != "" && !strings.EqualFold(word, "LAST") {
		return 0, false, false
	}
	size, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		size = math.MaxInt64
	}
	return size, word != "", true
}

// answerContent ends a transaction whose content came to its end.
func (c *Conn) answerContent() {
	t := &c.transfer
	t.finish()
	verb := string(t.via)
	if t.fault != nil {
		c.refuse(verb, "", t.fault)
		c.endTransaction(Answered)
		return
	}
	sink := t.sink
	t.sink = nil
	r := sink.Commit(c.ctx, t.size)
	if r == nil || r.Code/100 == 3 {
		r = reply.LocalError.Because(errors.New("no answer from Commit"))
	}
	if r.Code < 400 {
		c.say(r)
	} else {
		c.refuse(verb, "", r)
	}
	sink.Answered(c.flush())
	c.endTransaction(Answered)
}
