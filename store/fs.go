package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// file is what the store needs of an open file.
type file interface {
	io.Reader
	io.Writer
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	// Datasync flushes the content and as much metadata as reading it needs.
	Datasync() error
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
}

// reader is what the store needs of a file that it only reads.
type reader interface {
	// ReadAt gives fewer octets than were asked for, and a nil error, where one
	// read of the system does; io.EOF only if there are none.
	ReadAt(p []byte, off int64) (int, error)
	Size() (int64, error)
	Close() error
}

// filesystem is what the store needs of the disk below its folder. Tests put
// one in that fails.
type filesystem interface {
	OpenFile(name string, flag int, perm fs.FileMode) (file, error)
	// Open opens a file that is only read.
	Open(name string) (reader, error)
	Rename(from, to string) error
	Remove(name string) error
	Mkdir(name string, perm fs.FileMode) error
	// SyncDir makes the entries of a folder durable.
	SyncDir(name string) error
	// SyncFS makes everything on the file system that holds name durable.
	SyncFS(name string) error
}

type osFS struct{}

type osFile struct{ *os.File }

func (f osFile) Datasync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (osFS) OpenFile(name string, flag int, perm fs.FileMode) (file, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// fileReader is a descriptor. Reading many small files, an os.File each, with
// its finalizer and its try at the poller, would cost as much as the reads.
type fileReader int

func (osFS) Open(name string) (reader, error) {
	for {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			return fileReader(fd), nil
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
}

func (f fileReader) ReadAt(p []byte, off int64) (int, error) {
	for {
		n, err := unix.Pread(int(f), p, off)
		switch {
		case err == nil && n == 0 && len(p) > 0:
			return 0, io.EOF
		case err == nil:
			return n, nil
		case !errors.Is(err, unix.EINTR):
			return 0, err
		}
	}
}

func (f fileReader) Size() (int64, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(f), &st)
	return st.Size, err
}

func (f fileReader) Close() error { return unix.Close(int(f)) }

func (osFS) Rename(from, to string) error              { return os.Rename(from, to) }
func (osFS) Remove(name string) error                  { return os.Remove(name) }
func (osFS) Mkdir(name string, perm fs.FileMode) error { return os.Mkdir(name, perm) }

func (osFS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (osFS) SyncFS(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		err := unix.Syncfs(int(d.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// writeAtomic replaces name by a file with the given content, durably.
func writeAtomic(fsys filesystem, name string, content []byte) error {
	tmp := name + ".new"
	f, err := fsys.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(tmp, name)
	}
	if err != nil {
		fsys.Remove(tmp)
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}
