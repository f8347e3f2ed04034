package imapd

import (
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"hauspost/store"
)

func TestAnswerOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err        error
		code, text string
		inner      bool
	}{
		{nil, "", "", false},
		{store.ErrNotFound, "NONEXISTENT", "There is no such mailbox", false},
		{fmt.Errorf("writing: %w", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}), "UNAVAILABLE", "The disk of the box is full", true},
		{fmt.Errorf("writing: %w", syscall.EDQUOT), "UNAVAILABLE", "The disk of the box is full", true},
		{syscall.EIO, "UNAVAILABLE", "This cannot be done just now; the log of the box says why", true},
	} {
		a, inner := answerOf(test.err)
		if a.code != test.code || a.text != test.text || inner != test.inner {
			t.Errorf("%v: %+v, %v", test.err, a, inner)
		}
	}
}
