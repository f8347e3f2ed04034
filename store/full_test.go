package store

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
)

func TestSQLiteTellsOfAFullDisk(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	err := s.submit(&request{fn: func(g *group) error {
		_, err := s.conn.ExecContext(g.ctx, "PRAGMA max_page_count = 1")
		return errors.Join(err, s.exec(s.stmts.message)) // too few arguments: another error
	}})
	if err == nil || errors.Is(full(err), syscall.ENOSPC) {
		t.Errorf("another error is taken for a full disk: %v", err)
	}
	for i := range 200 {
		err = s.Update(t.Context(), func(tx *Tx) error { return tx.Put("kind", fmt.Sprint(i), make([]byte, 2000)) })
		if err != nil {
			break
		}
	}
	if err == nil || !errors.Is(full(err), syscall.ENOSPC) {
		t.Errorf("a full index is told as %v", err)
	}
	if full(nil) != nil {
		t.Error("no error is told as one")
	}
}
