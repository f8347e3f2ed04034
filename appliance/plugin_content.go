package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"hauspost/store"
)

// inMemory is the size up to which a message for plugins lies in memory;
// larger ones are a file without a name in the data folder.
const inMemory = 8 << 20

// contentFile gives a message to plugins: a file that has no name and that
// whoever gets it can only read.
func contentFile(dir string, size int64, write func(w io.Writer) error) (*os.File, error) {
	make, seal := memoryFile, sealMemory
	if size > inMemory {
		make, seal = unnamedFile, readOnly
	}
	f, err := make(dir)
	if err != nil {
		return nil, fmt.Errorf("making a file for the filters: %w", err)
	}
	if err := write(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("writing a message for the filters: %w", err)
	}
	sealed, err := seal(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("sealing a message for the filters: %w", err)
	}
	return sealed, nil
}

func memoryFile(string) (*os.File, error) {
	fd, err := unix.MemfdCreate("message", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "message"), nil
}

func sealMemory(f *os.File) (*os.File, error) {
	_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	return f, os.NewSyscallError("fcntl", err)
}

// unnamedFile makes a file that has no name, or only for a moment: not all file
// systems have such files.
func unnamedFile(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, unix.O_TMPFILE|os.O_RDWR, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
		return namedFile(dir)
	}
	return f, err
}

func namedFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".message-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// readOnly opens the file again, so that its reader cannot write it.
func readOnly(f *os.File) (*os.File, error) {
	again, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return nil, err
	}
	return again, f.Close()
}

// storedFile gives a stored message to plugins, as it came in.
func storedFile(ctx context.Context, dir string, s *store.Store, e store.Entry) (*os.File, error) {
	return contentFile(dir, int64(e.Size), func(w io.Writer) error {
		r, err := s.OpenContent(ctx, e)
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(w, r)
		return err
	})
}
