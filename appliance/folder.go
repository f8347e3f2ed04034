package appliance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"hauspost/appliance/config"
	"hauspost/appliance/control"
	"hauspost/store"
)

// checkFolder makes sure that dir is a data folder that is ours alone.
func checkFolder(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no data folder %s: make a box with `hauspost init --data %s --hostname HOST --domain DOMAIN`", dir, dir)
	case err != nil:
		return fmt.Errorf("the data folder cannot be read: %w", err)
	case !st.IsDir():
		return fmt.Errorf("%s is not a folder: --data names the data folder of the box", dir)
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && int(sys.Uid) != os.Geteuid() {
		return fmt.Errorf("the data folder %s belongs to the user with the number %d, and this is the user %d: run hauspost as its owner", dir, sys.Uid, os.Geteuid())
	}
	if mode := st.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("the data folder %s is open to other users of this machine (mode %04o): run `chmod 700 %s`", dir, mode, dir)
	}
	if mode := st.Mode().Perm(); mode&0o700 != 0o700 {
		return fmt.Errorf("the data folder %s cannot be used by its owner (mode %04o): run `chmod 700 %s`", dir, mode, dir)
	}
	return nil
}

// load checks the data folder and reads its settings.
func load(dir string) (*config.Config, error) {
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	c, err := config.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no box in %s (no %s): make one with `hauspost init`, or name another folder with --data", dir, config.FileName)
	}
	return c, err
}

// sentence is an error in words for people that keeps what went wrong.
type sentence struct {
	text  string
	cause error
}

func (s sentence) Error() string { return s.text }
func (s sentence) Unwrap() error { return s.cause }

// ofDisk puts err into a plain sentence where the disk of the data folder is to
// blame, and leaves it as it is where something else is.
func ofDisk(dir string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS) {
		return plainly(dir, err)
	}
	return err
}

// plainly puts what went wrong with a data folder into one plain sentence.
func plainly(dir string, err error) error {
	var said sentence
	if err == nil || errors.As(err, &said) || errors.Is(err, control.ErrPathTooLong) {
		return err
	}
	say := func(format string, args ...any) error { return sentence{fmt.Sprintf(format, args...), err} }
	switch {
	case errors.Is(err, store.ErrLocked):
		return say("another hauspost is using the data folder %s: only one can run on it at a time", dir)
	case errors.Is(err, store.ErrVersion):
		return say("the data folder %s was made by another version of hauspost, which this one (it changed nothing) does not understand: use that version or a newer one (%v)", dir, err)
	case errors.Is(err, store.ErrIndexMissing):
		return say("the index of the mail (hauspost.db) is missing in %s: run `hauspost store rebuild --data %s`", dir, dir)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return say("the disk of the data folder %s is full: free some space and try again", dir)
	case errors.Is(err, syscall.EROFS):
		return say("the disk of the data folder %s can only be read: make it writable and try again", dir)
	case errors.Is(err, fs.ErrPermission):
		return say("files in the data folder %s cannot be written by this user: give them to the user that runs hauspost (%v)", dir, err)
	}
	return say("opening the data folder %s: %v", dir, err)
}
