package sendmail

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"hauspost/appliance/envelope"
	"hauspost/appliance/message"
)

// errMalformed says why a spool file is none: it goes to bad/.
type errMalformed string

func (e errMalformed) Error() string { return string(e) }

// opened is a spool file that was found to be one.
type opened struct {
	file *os.File
	head header
	// uid is the author, by the word of the kernel in the drop folder.
	uid int
	// top is the header of the message, rest what follows it.
	top  []byte
	rest *checked
}

func (o *opened) Close() error { return o.file.Close() }

// openSpooled opens a file of a spool folder. In the drop folder it may be
// anything that any user of the machine could make; euid is the box's own user.
// errMalformed, fs.ErrNotExist, or a fault of the system.
func openSpooled(name string, private bool, limit int64, euid int) (*opened, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, errMalformed("it is a link")
	case errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return nil, errMalformed("it is no file")
	case errors.Is(err, fs.ErrPermission):
		return nil, errMalformed("the box may not read it")
	case err != nil:
		return nil, err
	}
	o := &opened{file: f}
	if err := o.check(private, limit, euid); err != nil {
		f.Close()
		return nil, err
	}
	return o, nil
}

func (o *opened) check(private bool, limit int64, euid int) error {
	var st unix.Stat_t
	if err := again(func() error { return unix.Fstat(int(o.file.Fd()), &st) }); err != nil {
		return err
	}
	o.uid = int(st.Uid)
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return errMalformed("it is no file")
	case st.Nlink > 1:
		return errMalformed("it has a second name")
	case st.Nlink == 0:
		return fs.ErrNotExist
	case st.Size > limit+maxLine:
		return errMalformed("it is too large")
	case private && o.uid != 0 && o.uid != euid:
		return errMalformed(fmt.Sprintf("it belongs to the user %d, who may not write here", o.uid))
	}
	in := bufio.NewReaderSize(o.file, 64<<10)
	if err := o.readHead(in, private, limit); err != nil {
		return err
	}
	return o.readTop(in)
}

// readHead reads the first line.
func (o *opened) readHead(in *bufio.Reader, private bool, limit int64) error {
	line, err := readLine(in)
	if err != nil {
		return err
	}
	if json.Unmarshal(line, &o.head) != nil || o.head.Version < 1 {
		return errMalformed("its first line is not that of a spool file")
	}
	h := &o.head
	switch {
	case h.Version > formatVersion:
		return errMalformed(fmt.Sprintf("it was made by a newer version (format %d)", h.Version))
	case len(h.To) == 0 || len(h.To) > maxRecipients:
		return errMalformed("it has no recipients, or too many")
	case h.Size < 0 || h.Size > limit:
		return errMalformed("it is too large")
	case len(h.EnvID) > 100 || h.Ret != "" && h.Ret != "FULL" && h.Ret != "HDRS",
		h.Body != "" && h.Body != "7BIT" && h.Body != "8BITMIME":
		return errMalformed("a parameter is malformed")
	}
	for _, r := range h.To {
		if r.Notify != "" && !isNotify(r.Notify) || len(r.ORcpt) > 500 {
			return errMalformed("a parameter of a recipient is malformed")
		}
	}
	if hasControl(h.EnvID) || hasControlIn(h.To) || hasControl(h.Via) {
		return errMalformed("a parameter has control characters")
	}
	if private {
		o.uid = h.UID
	}
	if h.Via != "sendmail -bs" {
		h.Via = "sendmail"
	}
	return nil
}

func hasControl(s string) bool {
	return bytes.ContainsFunc([]byte(s), func(r rune) bool { return r <= ' ' && r != ' ' || r == 0x7f })
}

func hasControlIn(to []recipient) bool {
	for _, r := range to {
		if hasControl(r.ORcpt) {
			return true
		}
	}
	return false
}

func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		piece, err := in.ReadSlice('\n')
		if line = append(line, piece...); len(line) > maxLine {
			return nil, errMalformed("its first line is too long")
		}
		switch {
		case err == nil:
			return line, nil
		case errors.Is(err, io.EOF):
			return nil, errMalformed("it has no first line")
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// readTop reads the header of the message; what follows is read by the Intake.
func (o *opened) readTop(in *bufio.Reader) error {
	o.rest = &checked{in: in, left: o.head.Size}
	top := make([]byte, 0, 4096)
	for {
		n, err := o.rest.Read(top[len(top):cap(top)])
		top = top[:len(top)+n]
		if header, body := message.SplitHeader(top); err != nil || len(body) > 0 || len(top) == o.size() {
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			o.top = header
			o.rest.before = body
			return nil
		}
		if len(top) > message.MaxHeader {
			return errMalformed("the header of the message is too long")
		}
		if len(top) == cap(top) {
			top = append(top, 0)[:len(top)]
		}
	}
}

func (o *opened) size() int { return int(o.head.Size) }

// checked reads the content and holds it to its form: so many octets, lines
// that end in CR LF, no CR or LF alone, no NUL.
type checked struct {
	in     io.Reader
	before []byte // was read already and comes first
	left   int64
	cr     bool
	fault  error
}

// Read implements io.Reader.
func (c *checked) Read(p []byte) (int, error) {
	if c.fault != nil {
		return 0, c.fault
	}
	if len(c.before) > 0 {
		n := copy(p, c.before)
		c.before = c.before[n:]
		return n, nil
	}
	if c.left == 0 {
		if c.cr {
			c.fault = errMalformed("a line does not end in CR LF")
			return 0, c.fault
		}
		return 0, io.EOF
	}
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if !c.wellFormed(p[:n]) {
		c.fault = errMalformed("a line does not end in CR LF, or there is a NUL")
		return 0, c.fault
	}
	switch {
	case errors.Is(err, io.EOF) && c.left > 0:
		c.fault = errMalformed("it is shorter than it says")
		return n, c.fault
	case errors.Is(err, io.EOF):
		err = nil
	case err != nil:
		c.fault = err
	}
	return n, err
}

func (c *checked) wellFormed(p []byte) bool {
	for _, b := range p {
		if b == 0 || c.cr != (b == '\n') {
			return false
		}
		c.cr = b == '\r'
	}
	return true
}

// Spooled is a message of the spool as the Intake gets it.
type Spooled struct {
	// Name names the file, for Intake.Done and Intake.Forget. It is never used
	// for another message while the Intake knows it.
	Name string
	// UID and User are the user of the machine who sent it. Trusted tells that
	// this is root or the box's own user; what others claim is not believed.
	UID     int
	User    string
	Trusted bool
	// Via is "sendmail" or "sendmail -bs".
	Via string
	// Sender is the reverse-path; the zero Address is "<>". It may be any
	// address: which ones a user may use is for the Intake to say.
	Sender envelope.Address
	// Recipients are with their domains, at least one.
	Recipients []envelope.Recipient
	// Ret, EnvID, Body and SMTPUTF8 are as SMTP has them.
	Ret, EnvID, Body string
	SMTPUTF8         bool
	// Written is when the command took the message.
	Written time.Time
	// Content is the message: lines end in CR LF, From is there, Date and
	// Message-ID may be missing and Bcc present. An error of it is no verdict
	// on the message: Submit gives it back, wrapped or not.
	Content io.Reader
}
