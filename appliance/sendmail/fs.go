package sendmail

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// filesystem is what the writer of the spool asks of the system; tests make it
// fail.
type filesystem interface {
	// Create makes a file that was not there, following no link.
	Create(name string, mode fs.FileMode) (file, error)
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir makes the names of a folder durable; f is a file in it.
	SyncDir(name string, f file) error
}

type file interface {
	io.Writer
	io.WriterAt
	Sync() error
	Chmod(mode fs.FileMode) error
	Chown(uid, gid int) error
	// SyncFS makes the whole file system durable that holds the file.
	SyncFS() error
	Close() error
}

type osFS struct{}

type osFile struct{ *os.File }

func (f osFile) SyncFS() error { return again(func() error { return unix.Syncfs(int(f.Fd())) }) }

func (osFS) Create(name string, mode fs.FileMode) (file, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY|unix.O_NOFOLLOW, mode)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osFS) Remove(name string) error     { return os.Remove(name) }

// SyncDir flushes the folder. Who may put files into the drop folder may not
// open it: for them the whole file system is flushed, by the file in it.
func (osFS) SyncDir(name string, f file) error {
	d, err := os.Open(name)
	if errors.Is(err, fs.ErrPermission) {
		return f.SyncFS()
	}
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func again(call func() error) error {
	for {
		err := call()
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
