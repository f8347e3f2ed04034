package store

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
)

// maxReserve bounds what reserve keeps free.
const maxReserve = 32 << 20

// reserve refuses new mail while little space is left: the last twentieth of
// the file system, at most 32 MB, is for those who delete and move mail.
// The error matches syscall.ENOSPC.
func (s *Store) reserve(size int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(s.dir, &fs); err != nil {
		return fmt.Errorf("asking for the free space: %w", err)
	}
	block := int64(fs.Bsize)
	free, keep := int64(fs.Bavail)*block, min(maxReserve, int64(fs.Blocks)*block/20)
	if free-size < keep {
		return fmt.Errorf("%w: %d octets are free, the last %d are kept for tidying up", syscall.ENOSPC, free, keep)
	}
	return nil
}

// The answers of SQLite to ENOSPC: SQLITE_FULL, and SQLITE_IOERR_SHMSIZE where
// it was the file beside the WAL that could not grow.
const (
	sqliteFull    = 13
	sqliteShmSize = 10 | 19<<8
)

// full makes an error by which SQLite tells of a full disk also match
// syscall.ENOSPC, so that callers need not know where the space ran out.
func full(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) && (e.Code()&0xff == sqliteFull || e.Code() == sqliteShmSize) {
		return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return err
}
