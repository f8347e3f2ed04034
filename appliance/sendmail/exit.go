package sendmail

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// The exit codes of sysexits.h that the command gives.
const (
	ExitOK          = 0
	ExitUsage       = 64 // wrong arguments
	ExitData        = 65 // the message or an address is malformed
	ExitUnavailable = 69 // something that is needed cannot be had
	ExitOSError     = 71 // the system refused something basic
	ExitCantCreate  = 73 // the spool file cannot be made
	ExitIO          = 74 // reading or writing failed
	ExitTempFail    = 75 // not now: try again later
	ExitNoPerm      = 77 // the sender is not allowed
	ExitConfig      = 78 // there is no box or no folder to put mail
)

// failure is an end of the command with another code than 0. The text is for
// the person or the log that sees it.
type failure struct {
	code  int
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

func fail(code int, format string, args ...any) *failure {
	return &failure{code: code, text: fmt.Sprintf(format, args...)}
}

// spoolFailure puts a fault of the file system into words. making tells that it
// was met while the file was made.
func spoolFailure(folder string, making bool, err error) *failure {
	code, text := ExitIO, "writing the message into the spool failed"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		code, text = ExitTempFail, "the disk is full, try again when there is space"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		code, text = ExitCantCreate, "no message can be put into the spool"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		code, text = ExitOSError, "the system is out of something, try again later"
	case making:
		code, text = ExitCantCreate, "no message can be put into the spool"
	}
	return &failure{code: code, text: fmt.Sprintf("%s (%s): %v", text, folder, err), cause: err}
}
