package store

import (
	"errors"
	"fmt"
	"syscall"

	"modernc.org/sqlite"
)

// sqliteFull is SQLITE_FULL, the answer of SQLite to ENOSPC.
const sqliteFull = 13

// full makes an error by which SQLite tells of a full disk also match
// syscall.ENOSPC, so that callers need not know where the space ran out.
func full(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code()&0xff == sqliteFull {
		return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return err
}
