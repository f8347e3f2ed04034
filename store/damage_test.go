package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// messageFiles lists the message files of a data folder.
func messageFiles(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	for _, in := range []string{"mail", "swept"} {
		err := filepath.WalkDir(filepath.Join(dir, in), func(p string, d fs.DirEntry, err error) error {
			if strings.HasSuffix(p, ".zst") {
				files = append(files, p)
			}
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func flip(t *testing.T, name string, at int) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func removeIndex(t *testing.T, dir string) {
	t.Helper()
	if err := dropIndex(dir, "hauspost.db"); err != nil {
		t.Fatal(err)
	}
}

// Whatever part of the data folder is lost, old or damaged: the store does not
// take what is left for the whole, and no message file goes.
func TestPartialFoldersAreRefused(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s, err := Open(t.Context(), testOptions(base))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		deliver(t, s, fmt.Sprintf("X: %d\r\n", i), inboxOf("alice"))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	early := copyFolder(t, base)
	if s, err = Open(t.Context(), testOptions(base)); err != nil {
		t.Fatal(err)
	}
	for i := range 15 {
		deliver(t, s, fmt.Sprintf("X: later %d\r\n", i), inboxOf("alice"))
	}
	crashed := copyFolder(t, base)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	putEarlyIndex := func(t *testing.T, dir string) {
		removeIndex(t, dir)
		b, err := os.ReadFile(filepath.Join(early, "hauspost.db"))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "hauspost.db"), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		from   string
		damage func(t *testing.T, dir string)
		want   error
		// rebuilt is how many of the 20 messages a rebuild brings back.
		rebuilt int
	}{
		"empty index": {base, func(t *testing.T, dir string) {
			removeIndex(t, dir)
			os.WriteFile(filepath.Join(dir, "hauspost.db"), nil, 0o600)
		}, ErrIndexBehind, 20},
		"older index": {base, putEarlyIndex, ErrIndexBehind, 20},
		"no index, no redo log": {base, func(t *testing.T, dir string) {
			removeIndex(t, dir)
			os.RemoveAll(filepath.Join(dir, "redo"))
		}, ErrIndexMissing, 20},
		"no index, no redo log, no version": {base, func(t *testing.T, dir string) {
			removeIndex(t, dir)
			os.RemoveAll(filepath.Join(dir, "redo"))
			os.Remove(filepath.Join(dir, "version"))
		}, ErrIndexMissing, 20},
		"older index after a crash, damaged redo log": {crashed, func(t *testing.T, dir string) {
			putEarlyIndex(t, dir)
			for i := range redoFiles {
				flip(t, filepath.Join(dir, "redo", fmt.Sprintf("redo.%d", i)), redoHeader+recordHeader+40)
			}
		}, ErrDamaged, -1},
		"redo log of another size": {crashed, func(t *testing.T, dir string) {
			for i := range redoFiles {
				os.Truncate(filepath.Join(dir, "redo", fmt.Sprintf("redo.%d", i)), redoSize+4096)
			}
		}, ErrDamaged, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copyFolder(t, tt.from)
			tt.damage(t, dir)
			before := len(messageFiles(t, dir))
			if s, err := Open(t.Context(), testOptions(dir)); !errors.Is(err, tt.want) {
				if err == nil {
					s.Close()
				}
				t.Errorf("opened with %v", err)
			}
			if n := len(messageFiles(t, dir)); n != before {
				t.Fatalf("%d of %d message files are left", n, before)
			}
			r, err := Rebuild(t.Context(), testOptions(dir))
			if err != nil {
				t.Fatal(err)
			}
			if n := len(messageFiles(t, dir)); n != before {
				t.Fatalf("%d of %d message files are left by the rebuild", n, before)
			}
			if tt.rebuilt < 0 {
				if r.Messages < 20 && len(r.Problems) == 0 {
					t.Errorf("%d messages, and nothing said", r.Messages)
				}
				return
			}
			s := openStore(t, dir)
			if m := mailboxOf(t, s, "alice", "INBOX"); int(m.Messages) != tt.rebuilt || len(r.Problems) > 0 {
				t.Errorf("%d messages, %+v", m.Messages, r.Problems)
			}
			mustVerify(t, s)
		})
	}
}

// A damaged journal is noticed: a start replaces it, a rebuild reads over the
// damage and says so, and files that it no longer knows stay.
func TestDamagedJournal(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s, err := Open(t.Context(), testOptions(base))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		deliver(t, s, fmt.Sprintf("X: %d\r\n", i), inboxOf("alice"))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(base, "journal", "*.log"))
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	info, err := os.Stat(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	flip(t, logs[0], int(info.Size()/2))
	mended := copyFolder(t, base)
	if s, err = Open(t.Context(), testOptions(mended)); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, "X: later\r\n", inboxOf("alice"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	removeIndex(t, mended)
	if r, err := Rebuild(t.Context(), testOptions(mended)); err != nil || r.Messages != 41 || len(r.Problems) > 0 {
		t.Errorf("after a start: %+v, %v", r, err)
	}

	removeIndex(t, base)
	r, err := Rebuild(t.Context(), testOptions(base))
	if err != nil || r.Messages < 30 || len(r.Problems) == 0 || len(messageFiles(t, base)) != 40 {
		t.Errorf("without a start: %+v, %v, %d files", r, err, len(messageFiles(t, base)))
	}

	os.RemoveAll(filepath.Join(base, "journal"))
	removeIndex(t, base)
	if r, err := Rebuild(t.Context(), testOptions(base)); !errors.Is(err, ErrDamaged) || len(messageFiles(t, base)) != 40 {
		t.Errorf("without a journal: %+v, %v", r, err)
	}
}

// A rebuild that fails leaves the index that was there.
func TestFailedRebuildChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(t.Context(), testOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, s, "X: 1\r\n", inboxOf("alice"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	os.Rename(filepath.Join(dir, "journal"), filepath.Join(dir, "elsewhere"))
	if _, err := Rebuild(t.Context(), testOptions(dir)); err == nil {
		t.Fatal("rebuilt from nothing")
	}
	s = openStore(t, dir)
	if m := mailboxOf(t, s, "alice", "INBOX"); m.Messages != 1 {
		t.Errorf("%+v", m)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "hauspost.db.*")); len(left) > 0 {
		for _, name := range left {
			if strings.Contains(name, ".new") || strings.Contains(name, ".old") {
				t.Errorf("%s is left", name)
			}
		}
	}
}

// COMMIT fails several times in a row, so that the redo log changes files to
// and fro at one sequence number: nothing that was refused comes back.
func TestRefusedCommitsStayRefused(t *testing.T) {
	t.Parallel()
	for refused := 1; refused <= 6; refused++ {
		t.Run(fmt.Sprint(refused), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, _ := openFaulty(t, dir)
			l := ledger{}
			l.send(s, "X: first\r\n")
			// A deferred constraint that cannot hold fails at COMMIT alone.
			for _, q := range []string{
				"PRAGMA foreign_keys = ON",
				"CREATE TABLE broken (x INTEGER REFERENCES message (id) DEFERRABLE INITIALLY DEFERRED)",
				"CREATE TRIGGER fail AFTER INSERT ON placement BEGIN INSERT INTO broken VALUES (-1); END",
			} {
				if err := sqlNow(s, q); err != nil {
					t.Fatal(err)
				}
			}
			for i := range refused {
				if l.send(s, fmt.Sprintf("X: refused %d\r\n", i)) == nil {
					t.Fatal("accepted")
				}
			}
			l.check(t, s, "live")
			cut := copyFolder(t, dir)
			if err := sqlNow(s, "DROP TRIGGER fail"); err != nil {
				t.Fatal(err)
			}
			if err := l.send(s, "X: after\r\n"); err != nil {
				t.Fatal(err)
			}
			s2 := openStore(t, copyFolder(t, dir))
			l.check(t, s2, "after a crash")
			delete(l, "X: after\r\n")
			s3, err := Open(t.Context(), testOptions(cut))
			if err != nil {
				t.Fatal(err)
			}
			defer s3.Close()
			l.check(t, s3, "after a crash during the fault")
		})
	}
}

// sqlNow changes the index behind the store's back.
func sqlNow(s *Store, q string) error {
	done := make(chan error, 1)
	err := s.submit(&request{fn: func(g *group) error {
		// Pragmas need a connection outside a transaction.
		s.exec(s.stmts.rollback)
		_, err := s.conn.ExecContext(g.ctx, q)
		done <- err
		s.exec(s.stmts.begin)
		return nil
	}})
	return errors.Join(err, <-done)
}

// The other redo file cannot be begun while the old one still has room: small
// records that come later must not land where they would not count.
func TestFailedChangeOfRedoFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, disk := openFaulty(t, dir)
	l := ledger{}
	l.send(s, "X: first\r\n")
	index := copyFolder(t, dir)
	cur := s.redo.files[s.redo.cur]
	err := s.submit(&request{fn: func(*group) error { cur.pos = redoSize - 40<<10; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	disk.arm("fsync", 1, true, syscall.EIO)
	l.send(s, "X: large\r\n"+strings.Repeat(fmt.Sprintf("%x", newID()), 1500))
	disk.arm("", 0, false, nil)
	for i := range 3 {
		if err := l.send(s, fmt.Sprintf("X: small %d\r\n", i)); err != nil {
			t.Fatal(err)
		}
	}
	cut := copyFolder(t, dir)
	for _, ext := range []string{"", "-wal", "-shm"} {
		b, err := os.ReadFile(filepath.Join(index, "hauspost.db"+ext))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(cut, "hauspost.db"+ext), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s2, err := Open(t.Context(), testOptions(cut))
	if err != nil {
		t.Fatal(err)
	}
	defer s2.Close()
	l.check(t, s2, "after a power cut")
}

// lossyFS loses what was written when syncfs fails, and says so only once, as
// Linux does.
type lossyFS struct {
	filesystem
	fail int
	dir  string
}

func (f *lossyFS) SyncFS(name string) error {
	if f.fail == 0 {
		return f.filesystem.SyncFS(name)
	}
	f.fail--
	files, err := filepath.Glob(filepath.Join(f.dir, "mail", "*", "*.zst"))
	for _, name := range files {
		os.Truncate(name, 0)
	}
	return errors.Join(syscall.EIO, err)
}

func TestFailedSyncIsNotBelievedTheSecondTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk := &lossyFS{filesystem: osFS{}, dir: dir}
	s, err := open(t.Context(), testOptions(dir), disk, false)
	if err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(func() { s.Close() })
	l := ledger{}
	for i := range 20 {
		l.send(s, fmt.Sprintf("X: %d\r\n", i))
	}
	disk.fail = 1
	for i := range 6 {
		fillRedo(t, s)
		l.send(s, fmt.Sprintf("X: later %d\r\n", i))
	}
	if disk.fail != 0 {
		t.Fatal("no sync failed")
	}
	l.check(t, s, "live")
	l.check(t, openStore(t, copyFolder(t, dir)), "after a crash")
}

// Every single bit of a message file counts.
func TestVerifySeesEveryBit(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	deliver(t, s, "Subject: x\r\n\r\nhello\r\n", inboxOf("alice"))
	e := entryOf(t, s, "alice", 1)
	name := s.path(e.Msg, e.ID)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	missed := 0
	for at := range b {
		flip(t, name, at)
		r, err := s.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Problems) == 0 {
			// A bit may mean nothing to zstd; then the content is the same.
			got, err := s.ReadMessage(t.Context(), e, nil)
			if err != nil || string(got) != "Return-Path: <>\r\nSubject: x\r\n\r\nhello\r\n" {
				t.Errorf("octet %d: changed, and nothing found: %q %v", at, got, err)
			}
			missed++
		}
		flip(t, name, at)
	}
	if missed > 2 {
		t.Errorf("%d flipped bits of %d were not found", missed, len(b))
	}
}

// More messages than one record of the redo log could hold.
func TestCopyInBatches(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	_, placed := deliver(t, s, "X: 1\r\n", inboxOf("alice"))
	id := placed[0].MailboxID
	if _, err := s.CreateMailbox(t.Context(), "alice", "Copy", ""); err != nil {
		t.Fatal(err)
	}
	n := 1
	for n < 2*copyBatch {
		uids := make([]uint32, n)
		for i := range uids {
			uids[i] = uint32(i + 1)
		}
		if _, err := s.Copy(t.Context(), id, uids, "alice", "INBOX"); err != nil {
			t.Fatal(err)
		}
		n *= 2
	}
	if err := s.RenameMailbox(t.Context(), "alice", "INBOX", "Old"); err != nil {
		t.Fatal(err)
	}
	if m, in := mailboxOf(t, s, "alice", "Old"), mailboxOf(t, s, "alice", "INBOX"); int(m.Messages) != n || in.Messages != 0 {
		t.Errorf("%d messages in the new mailbox, %d in INBOX, of %d", m.Messages, in.Messages, n)
	}
	mustVerify(t, s)
}
