package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"hauspost/appliance/transfer"
)

const (
	// smallSize is up to where a message is read whole before anything is said
	// about it: then it fits one BDAT, and a file that cannot be read disturbs
	// nobody.
	smallSize = 64 << 10
	// blockSize is how much of a larger one is read at a time.
	blockSize = 32 << 10
)

// Two sizes of buffers that attempts share.
var (
	smallBuffers = sync.Pool{New: func() any { return new([smallSize + 1]byte) }}
	blockBuffers = sync.Pool{New: func() any { return new([blockSize]byte) }}
)

// The faults of content that are not the other server's.
var (
	errUnreadable = errors.New("the message cannot be read here")
	errMalformed  = errors.New("the message has line ends that SMTP cannot carry")
)

// own gives the outcome of one of them.
func own(err error) *transfer.Outcome {
	if errors.Is(err, errMalformed) {
		return ours(transfer.Failed, transfer.ScopeRecipient, "malformed-content", "5.6.0", "content", errMalformed.Error())
	}
	return ours(transfer.Deferred, transfer.ScopeLocal, "unreadable", "4.3.0", "content", errUnreadable.Error())
}

// load reads a small message. The outcome tells what is wrong with it.
func (a *attempt) load() *transfer.Outcome {
	if a.m.Size > smallSize {
		return nil
	}
	r, err := a.m.Open()
	if err != nil {
		return a.unreadable(err)
	}
	defer r.Close()
	a.buffer = smallBuffers.Get().(*[smallSize + 1]byte)
	n, err := io.ReadFull(r, a.buffer[:])
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return a.unreadable(fmt.Errorf("it should have %d octets: %w", a.m.Size, err))
	}
	if int64(n) != a.m.Size {
		return a.unreadable(fmt.Errorf("it has %d octets and should have %d", n, a.m.Size))
	}
	var lines lineEnds
	if !lines.good(a.buffer[:n]) || lines.open {
		return own(errMalformed)
	}
	a.small = a.buffer[:n]
	return nil
}

// free gives the buffer of load back.
func (a *attempt) free() {
	if a.buffer != nil {
		smallBuffers.Put(a.buffer)
		a.buffer, a.small = nil, nil
	}
}

// unreadable logs why, which is nothing for strangers.
func (a *attempt) unreadable(err error) *transfer.Outcome {
	a.c.o.Logger.Error("a message that was to be sent cannot be read", "id", a.m.ID, "error", err)
	return own(errUnreadable)
}

// lineEnds checks that every CR and LF of a text stands in a CRLF, over blocks.
type lineEnds struct {
	// open: the last block ended with a CR.
	open bool
}

func (l *lineEnds) good(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	cr, lf, both := bytes.Count(p, []byte{'\r'}), bytes.Count(p, []byte{'\n'}), bytes.Count(p, []byte("\r\n"))
	if l.open {
		if p[0] != '\n' {
			return false
		}
		lf--
	}
	if l.open = p[len(p)-1] == '\r'; l.open {
		cr--
	}
	return cr == both && lf == both
}

// dotWriter writes the content of DATA (RFC 5321, section 4.5.2). It needs
// CRLF line ends.
type dotWriter struct {
	w io.Writer
	// inLine: the last octet was not the end of a line.
	inLine bool
}

var dot = []byte{'.'}

func (d *dotWriter) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	last := p[len(p)-1]
	if p[0] == '.' && !d.inLine {
		if _, err := d.w.Write(dot); err != nil {
			return err
		}
	}
	for {
		i := bytes.Index(p, []byte("\n."))
		if i < 0 {
			break
		}
		if _, err := d.w.Write(p[:i+1]); err != nil {
			return err
		}
		if _, err := d.w.Write(dot); err != nil {
			return err
		}
		p = p[i+1:]
	}
	d.inLine = last != '\n'
	_, err := d.w.Write(p)
	return err
}

// end writes the end of the content.
func (d *dotWriter) end() error {
	end := ".\r\n"
	if d.inLine {
		end = "\r\n.\r\n"
	}
	_, err := io.WriteString(d.w, end)
	return err
}

// sendChunk writes a small message as one chunk, all but what is in the buffer
// of k.
func (a *attempt) sendChunk(k *conn) error {
	n := len(a.small)
	k.nc.SetDeadline(time.Now().Add(k.c.l.Block))
	k.w.WriteString("BDAT " + strconv.Itoa(n) + " LAST\r\n")
	if n == 0 {
		return nil
	}
	k.w.Write(a.small[:n-1]) // an error stays
	return k.w.WriteByte(a.small[n-1])
}

// sendData writes the content for DATA, all but what is in the buffer of k.
func (a *attempt) sendData(k *conn) error {
	d := &dotWriter{w: k.w}
	if a.small != nil {
		k.nc.SetDeadline(time.Now().Add(k.c.l.Block))
		if err := d.write(a.small); err != nil {
			return err
		}
		return d.end()
	}
	r, err := a.m.Open()
	if err != nil {
		a.unreadable(err)
		return errUnreadable
	}
	defer r.Close()
	buf := blockBuffers.Get().(*[blockSize]byte)
	defer blockBuffers.Put(buf)
	var lines lineEnds
	var size int64
	for {
		n, rerr := r.Read(buf[:])
		if !lines.good(buf[:n]) {
			return errMalformed
		}
		size += int64(n)
		k.nc.SetDeadline(time.Now().Add(k.c.l.Block))
		if err := d.write(buf[:n]); err != nil {
			return err
		}
		if errors.Is(rerr, io.EOF) {
			break
		}
		if rerr != nil {
			a.unreadable(rerr)
			return errUnreadable
		}
	}
	if lines.open {
		return errMalformed
	}
	if size != a.m.Size {
		a.unreadable(fmt.Errorf("it has %d octets and should have %d", size, a.m.Size))
		return errUnreadable
	}
	return d.end()
}

// headerIsASCII tells whether the header, to its empty line, has nothing for
// which SMTPUTF8 would be needed.
func (a *attempt) headerIsASCII() (bool, error) {
	if a.small != nil {
		ascii, _ := asciiHeader(a.small, false)
		return ascii, nil
	}
	r, err := a.m.Open()
	if err != nil {
		return false, err
	}
	defer r.Close()
	buf := blockBuffers.Get().(*[blockSize]byte)
	defer blockBuffers.Put(buf)
	kept := 0 // octets of the block before, so that an empty line is found over both
	for {
		n, err := r.Read(buf[kept:])
		p := buf[:kept+n]
		ascii, end := asciiHeader(p, kept > 0)
		if !ascii || end || errors.Is(err, io.EOF) {
			return ascii, nil
		}
		if err != nil {
			return false, err
		}
		kept = min(3, len(p))
		copy(buf[:], p[len(p)-kept:])
	}
}

// asciiHeader looks at one block; inside tells that it is not the first.
func asciiHeader(p []byte, inside bool) (ascii, end bool) {
	i := bytes.Index(p, []byte("\r\n\r\n"))
	if !inside && bytes.HasPrefix(p, []byte("\r\n")) {
		i = 0
	}
	if i >= 0 {
		p = p[:i]
	}
	return isASCII(p), i >= 0
}

func isASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
