package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// faultFS fails the n-th call of the armed kind, and with sticky all after it.
type faultFS struct {
	filesystem
	mu     sync.Mutex
	kind   string
	after  int
	sticky bool
	err    error
	fired  int
}

func (f *faultFS) arm(kind string, after int, sticky bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kind, f.after, f.sticky, f.err, f.fired = kind, after, sticky, err, 0
}

func (f *faultFS) hits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired
}

func (f *faultFS) check(kind string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kind != kind {
		return nil
	}
	f.after--
	if f.after == 0 || f.sticky && f.after < 0 {
		f.fired++
		return f.err
	}
	return nil
}

func (f *faultFS) OpenFile(name string, flag int, perm fs.FileMode) (file, error) {
	if flag != os.O_RDONLY {
		if err := f.check("open"); err != nil {
			return nil, err
		}
	}
	x, err := f.filesystem.OpenFile(name, flag, perm)
	return &faultFile{x, f}, err
}

func (f *faultFS) Rename(from, to string) error {
	if err := f.check("rename"); err != nil {
		return err
	}
	return f.filesystem.Rename(from, to)
}

func (f *faultFS) Remove(name string) error {
	if err := f.check("remove"); err != nil {
		return err
	}
	return f.filesystem.Remove(name)
}

func (f *faultFS) Mkdir(name string, perm fs.FileMode) error {
	if err := f.check("mkdir"); err != nil {
		return err
	}
	return f.filesystem.Mkdir(name, perm)
}

func (f *faultFS) SyncDir(name string) error {
	if err := f.check("fsync"); err != nil {
		return err
	}
	return f.filesystem.SyncDir(name)
}

func (f *faultFS) SyncFS(name string) error {
	if err := f.check("fsync"); err != nil {
		return err
	}
	return f.filesystem.SyncFS(name)
}

type faultFile struct {
	file
	fs *faultFS
}

// Write fails as a full disk does: half is written.
func (f *faultFile) Write(p []byte) (int, error) {
	if err := f.fs.check("write"); err != nil {
		n, _ := f.file.Write(p[:len(p)/2])
		return n, err
	}
	return f.file.Write(p)
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.check("write"); err != nil {
		n, _ := f.file.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.file.WriteAt(p, off)
}

func (f *faultFile) Sync() error {
	if err := f.fs.check("fsync"); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f *faultFile) Datasync() error {
	if err := f.fs.check("fsync"); err != nil {
		return err
	}
	return f.file.Datasync()
}

func openFaulty(t *testing.T, dir string) (*Store, *faultFS) {
	t.Helper()
	f := &faultFS{filesystem: osFS{}}
	s, err := open(context.Background(), testOptions(dir), f, false)
	if err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(func() { s.Close() })
	return s, f
}

// ledger knows what was acknowledged.
type ledger map[string]bool

// check compares every mailbox content with the ledger: each acknowledged
// message once and whole, nothing that was refused.
func (l ledger) check(t *testing.T, s *Store, when string) {
	t.Helper()
	seen := map[string]int{}
	m, err := s.Mailbox(context.Background(), "alice", "INBOX")
	if err == nil {
		lv, err := s.Live(context.Background(), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		defer lv.Close()
		for _, e := range lv.Entries(nil) {
			raw, err := s.ReadMessage(context.Background(), e, nil)
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			seen[strings.TrimPrefix(string(raw), "Return-Path: <>\r\n")]++
		}
	}
	for content, acked := range l {
		want := 0
		if acked {
			want = 1
		}
		if seen[content] != want {
			t.Errorf("%s: message %.40q acknowledged %v, found %d times", when, content, acked, seen[content])
		}
		delete(seen, content)
	}
	if len(seen) > 0 {
		t.Errorf("%s: %d messages that nobody sent", when, len(seen))
	}
}

func (l ledger) send(s *Store, content string) error {
	_, _, err := tryDeliver(s, content, inboxOf("alice"))
	l[content] = err == nil
	return err
}

// Every single open, write, fsync, rename and mkdir of the delivery path fails
// once, and from there on for a while; before, during and after a change of the
// redo file. What was refused is never there, what was acknowledged always,
// also after a crash at the end; and the store recovers by itself.
func TestEveryDiskFault(t *testing.T) {
	t.Parallel()
	shapes := map[string]string{
		"small": "Subject: small\r\n\r\nhello\r\n",
		"large": "Subject: large\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 30_000),
	}
	for _, kind := range []string{"open", "write", "fsync", "rename", "mkdir"} {
		for _, sticky := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s sticky=%v", kind, sticky), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				s, disk := openFaulty(t, dir)
				l := ledger{}
				n, fired := 0, 0
				for _, room := range []bool{true, false} {
					for shape, text := range shapes {
						for after := 1; after < 40; after++ {
							if !room {
								fillRedo(t, s)
							}
							if kind == "mkdir" {
								s.nextMsg.Store((s.nextMsg.Load() | 1023) + 1)
							}
							disk.arm(kind, after, sticky, syscall.EIO)
							n++
							err := l.send(s, fmt.Sprintf("X: %d\r\n%s", n, text))
							hits := disk.hits()
							fired += hits
							if hits > 0 && sticky {
								n++
								l.send(s, fmt.Sprintf("X: %d\r\n%s", n, text))
							}
							disk.arm("", 0, false, nil)
							n++
							if err := l.send(s, fmt.Sprintf("X: %d\r\n%s", n, text)); err != nil {
								t.Fatalf("%s, %s %d: no recovery: %v", shape, kind, after, err)
							}
							if hits == 0 && err != nil {
								t.Fatalf("refused without a fault: %v", err)
							}
							if hits == 0 {
								break
							}
						}
					}
				}
				if fired == 0 && !(kind == "rename") {
					t.Fatal("no fault ever fired: the test tests nothing")
				}
				l.check(t, s, "live")
				crashed := copyFolder(t, dir)
				s2 := openStore(t, crashed)
				l.check(t, s2, "after a crash")
				mustVerify(t, s2)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s3 := openStore(t, dir)
				l.check(t, s3, "after closing")
			})
		}
	}
}

// fillRedo leaves no room in the current redo file, so that the next commit
// changes files.
func fillRedo(t *testing.T, s *Store) {
	t.Helper()
	err := s.submit(&request{fn: func(g *group) error {
		s.redo.files[s.redo.cur].pos = redoSize
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// SQLite itself runs out of space, at a row or at COMMIT.
func TestIndexFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := openFaulty(t, dir)
	l := ledger{}
	limit := func(pages int) {
		t.Helper()
		err := s.submit(&request{fn: func(g *group) error {
			_, err := s.conn.ExecContext(g.ctx, fmt.Sprintf("PRAGMA max_page_count = %d", pages))
			return err
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.send(s, "X: 0\r\n"); err != nil {
		t.Fatal(err)
	}
	limit(1) // the least it can be is what the file has now
	refused := 0
	for i := range 60 {
		if err := l.send(s, fmt.Sprintf("X: %d\r\nX-Fill: %s\r\n", i+1, strings.Repeat("y", 900))); err != nil {
			refused++
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("the disk is full, and the error is %v", err)
			}
		}
	}
	if refused == 0 {
		t.Fatal("the index was never full")
	}
	if st, err := s.Stats(t.Context()); err != nil || st.Fault == "" {
		t.Errorf("status does not tell: %+v %v", st, err)
	}
	limit(1 << 30)
	if err := l.send(s, "X: after\r\n"); err != nil {
		t.Fatal(err)
	}
	if st, err := s.Stats(t.Context()); err != nil || st.Fault != "" {
		t.Errorf("status still tells of a fault: %+v %v", st, err)
	}
	l.check(t, s, "live")
	s2 := openStore(t, copyFolder(t, dir))
	l.check(t, s2, "after a crash")
	mustVerify(t, s2)
}

// Bytes at the end of the redo log are torn in every way; all records before
// them count.
func TestTornRedo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	deliver(t, s, "X: first\r\n", inboxOf("alice"))
	base := copyFolder(t, dir)
	start := s.redo.files[s.redo.cur].pos
	deliver(t, s, "X: second\r\n", inboxOf("alice"))
	end := s.redo.files[s.redo.cur].pos
	redo := filepath.Base(s.redo.files[s.redo.cur].name)
	whole, err := os.ReadFile(filepath.Join(dir, "redo", redo))
	if err != nil {
		t.Fatal(err)
	}
	for cut := start; cut <= end; cut += 61 {
		torn := append([]byte(nil), whole[:cut]...)
		torn = append(torn, make([]byte, redoSize-len(torn))...)
		d := copyFolder(t, base)
		if err := os.WriteFile(filepath.Join(d, "redo", redo), torn, 0o600); err != nil {
			t.Fatal(err)
		}
		s2, err := Open(t.Context(), testOptions(d))
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if n := mailboxOf(t, s2, "alice", "INBOX").Messages; n != 1 && n != 2 || n == 2 && cut < start+200 {
			t.Errorf("cut at %d: %d messages", cut, n)
		}
		deliver(t, s2, "X: third\r\n", inboxOf("alice"))
		mustVerify(t, s2)
		s2.Close()
	}
}

func FuzzRecords(f *testing.F) {
	var e encoder
	(&op{kind: opPlace, mailbox: 1, uid: 2}).encode(&e, true)
	(&op{kind: opExpunge, mailbox: 1, uids: ranges{1, 5, 9, 9}}).encode(&e, true)
	(&op{kind: opMessage, image: []byte("image")}).encode(&e, true)
	f.Add(appendRecord(nil, 7, 3, e.b, redoAlign))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, body, _, ok := readRecord(b, 3, redoAlign); ok {
			b = body
		}
		ops, err := decodeOps(b)
		if err != nil {
			return
		}
		var again encoder
		for _, o := range ops {
			o.encode(&again, true)
		}
		if _, err := decodeOps(again.b); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzMessageFile(f *testing.F) {
	img := (&trailer{prefix: []byte("P: 1\r\n"), annex: []byte("[]"), size: 5}).append(appendFrames(nil, []byte("hello")))
	f.Add(img)
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, tr, err := splitFile(b)
		if err != nil || tr.size > 1<<20 {
			return
		}
		if raw, err := appendContent(nil, frames, tr); err == nil && int64(len(raw)) != tr.size {
			t.Fatalf("%d octets instead of %d", len(raw), tr.size)
		}
	})
}
