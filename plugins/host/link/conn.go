package link

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Conn sends and receives frames. Send may be called by several at a time,
// Receive by one.
type Conn struct {
	c *net.UnixConn

	mu  sync.Mutex
	out []byte

	in  []byte
	oob []byte
}

// New makes a Conn of a socket of the net "unixpacket", which it then owns.
func New(c *net.UnixConn) *Conn {
	// A frame of full size has to fit in together with its book-keeping. Where
	// the kernel allows less, a Send of a large frame says so.
	_ = c.SetWriteBuffer(4 * MaxFrame)
	return &Conn{c: c, in: make([]byte, MaxFrame+1), oob: make([]byte, unix.CmsgSpace(MaxFiles*4))}
}

// Open makes a Conn of an open socket, such as FD in a worker; it takes a
// duplicate and closes f.
func Open(f *os.File) (*Conn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("taking over the socket of the frames: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok || u.LocalAddr().Network() != "unixpacket" {
		_ = c.Close()
		return nil, errors.New("taking over the socket of the frames: it is no SOCK_SEQPACKET of the family AF_UNIX")
	}
	return New(u), nil
}

// Pair makes a pair of sockets: a Conn, and a file to be handed to a child.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making a socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "frames")
	c, err := Open(os.NewFile(uintptr(fds[0]), "frames"))
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return c, theirs, nil
}

// Send sends f and with it files, which stay the caller's. It blocks while the
// other end does not read; Close ends that.
func (c *Conn) Send(f Frame, files ...*os.File) error {
	if len(files) > MaxFiles {
		return fmt.Errorf("sending a frame: %d files are too many", len(files))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = Append(c.out[:0], f)
	if len(c.out) > MaxFrame {
		n := len(c.out)
		c.out = nil
		return fmt.Errorf("sending a frame: %w: %d octets are more than %d", ErrFrame, n, MaxFrame)
	}
	if len(files) == 0 {
		if _, err := c.c.Write(c.out); err != nil {
			return fmt.Errorf("sending a frame: %w", err)
		}
		return nil
	}
	raw, err := files[0].SyscallConn()
	if err != nil {
		return fmt.Errorf("sending a file: %w", err)
	}
	var sent error
	err = raw.Control(func(fd uintptr) {
		_, _, sent = c.c.WriteMsgUnix(c.out, unix.UnixRights(int(fd)), nil)
	})
	if err := errors.Join(err, sent); err != nil {
		return fmt.Errorf("sending a frame with a file: %w", err)
	}
	return nil
}

// Receive waits for the next frame and the files that came with it, which are
// the caller's to close. The end of the other side is io.EOF. After any other
// error, too, nothing sensible is to be expected; no files are returned then.
func (c *Conn) Receive() (Frame, []*os.File, error) {
	n, oobn, flags, _, err := c.c.ReadMsgUnix(c.in, c.oob)
	if errors.Is(err, syscall.ECONNRESET) {
		// The other end went with frames of ours unread. The kernel says so once,
		// before it gives what that end had sent.
		n, oobn, flags, _, err = c.c.ReadMsgUnix(c.in, c.oob)
	}
	var files []*os.File
	if oobn > 0 {
		files = received(c.oob[:oobn])
	}
	switch {
	case err == nil && n == 0:
		err = io.EOF
	case err == nil && flags&unix.MSG_TRUNC != 0:
		err = fmt.Errorf("%w: more than %d octets", ErrFrame, MaxFrame)
	case err == nil && (flags&unix.MSG_CTRUNC != 0 || len(files) > MaxFiles):
		err = fmt.Errorf("%w: too many files", ErrFrame)
	}
	if err == nil {
		// What the frame holds lives on while the next one comes.
		var f Frame
		if f, err = Decode(append([]byte(nil), c.in[:n]...)); err == nil {
			return f, files, nil
		}
	}
	for _, f := range files {
		_ = f.Close()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil, nil, io.EOF
	}
	return nil, nil, fmt.Errorf("receiving a frame: %w", err)
}

// received takes every file out of control data.
func received(oob []byte) []*os.File {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files
}

// Close closes the socket. A Send and a Receive that wait return.
func (c *Conn) Close() error { return c.c.Close() }
