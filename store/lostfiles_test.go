package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A power cut can lose message files whose rows survived: SQLite's files and
// message files reach the disk in any order. What the redo log has of them is
// written again; what was removed meanwhile is not.
func TestRedoRestoresFilesThatTheIndexHas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	for i := range 30 {
		deliver(t, s, fmt.Sprintf("Subject: %d\r\n\r\n", i), inboxOf("alice"))
	}
	m := mailboxOf(t, s, "alice", "INBOX")
	if _, err := s.SetFlags(t.Context(), m.ID, []uint32{4}, FlagsAdd, []string{`\Deleted`}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Expunge(t.Context(), m.ID, []uint32{4}); err != nil {
		t.Fatal(err)
	}
	waitReaped(t, s)
	before := dump(t, s, "alice")
	late := copyFolder(t, dir)
	files, err := filepath.Glob(filepath.Join(late, "mail", "*", "*.zst"))
	if err != nil || len(files) != 29 {
		t.Fatal(files, err)
	}
	for i, f := range files {
		switch i % 4 {
		case 0:
			err = os.Truncate(f, 0)
		case 1:
			err = os.Truncate(f, 5)
		case 2:
			err = os.Remove(f)
		case 3:
			err = os.WriteFile(f, make([]byte, 512), 0o600) // its blocks were never written
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s2 := openStore(t, late)
	if after := dump(t, s2, "alice"); after != before {
		t.Errorf("recovered store differs\n%s\n---\n%s", before, after)
	}
	mustVerify(t, s2)
}
