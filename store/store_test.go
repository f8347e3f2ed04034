package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// indexForTests keeps what tests can recognise.
func indexForTests(raw []byte) Derived {
	first, _, _ := bytes.Cut(raw, []byte("\r\n"))
	return Derived{Envelope: append([]byte("ENV "), first...), Structure: fmt.Appendf(nil, "%d", len(raw)), Subject: string(first), Sent: int64(len(raw))}
}

func testOptions(dir string) Options { return Options{Dir: dir, Index: indexForTests} }

func openStore(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), testOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newID() ID {
	var id ID
	ms := uint64(time.Now().UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	rand.Read(id[6:])
	return id
}

func deliver(t testing.TB, s *Store, content string, places ...Place) (ID, []Placed) {
	t.Helper()
	id, placed, err := tryDeliver(s, content, places...)
	if err != nil {
		t.Fatal(err)
	}
	return id, placed
}

func tryDeliver(s *Store, content string, places ...Place) (ID, []Placed, error) {
	id := newID()
	st := s.Stage()
	if _, err := io.WriteString(st, content); err != nil {
		st.Discard()
		return id, nil, err
	}
	placed, err := s.Deliver(context.Background(), st, Delivery{ID: id, Prefix: []byte("Return-Path: <>\r\n"), Annex: []byte(`[{"step":"test"}]`), Places: places})
	return id, placed, err
}

func inboxOf(owner string) Place { return Place{Owner: owner, Mailbox: "INBOX", Create: true} }

func mailboxOf(t testing.TB, s *Store, owner, name string) Mailbox {
	t.Helper()
	m, err := s.Mailbox(context.Background(), owner, name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// dump tells all that a client could see, to compare before and after.
func dump(t testing.TB, s *Store, owners ...string) string {
	t.Helper()
	ctx := context.Background()
	var b strings.Builder
	for _, owner := range owners {
		ms, err := s.Mailboxes(ctx, owner)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ms {
			fmt.Fprintf(&b, "%+v\n", m)
			l, err := s.Live(ctx, m.ID)
			if err != nil {
				t.Fatal(err)
			}
			entries := l.Entries(nil)
			l.Close()
			for _, e := range entries {
				raw, err := s.ReadMessage(ctx, e, nil)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "  %+v %q\n", e, raw[:min(len(raw), 200)])
			}
			err = s.Rows(ctx, m.ID, entries, ColEnvelope|ColStructure|ColSearch, func(e *Entry, r *Row) error {
				fmt.Fprintf(&b, "  %d %s %s %s %d\n", e.UID, r.Envelope, r.Structure, r.Subject, r.Sent)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		subs, err := s.Subscriptions(ctx, owner)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "subscribed %q\n", subs)
	}
	err := s.List(ctx, "person", func(key string, value []byte) error {
		fmt.Fprintf(&b, "person %s=%s\n", key, value)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Queue(ctx, QueueFilter{}, func(q *Queued) error {
		raw, err := s.ReadMessage(ctx, q.Entry(), nil)
		fmt.Fprintf(&b, "queued %+v %q\n", *q, raw[:min(len(raw), 200)])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func copyFolder(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	err := os.CopyFS(to, os.DirFS(from))
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func mustVerify(t testing.TB, s *Store) {
	t.Helper()
	r, err := s.Verify(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Problems) > 0 {
		t.Fatalf("verify: %+v", r.Problems)
	}
}

// fill makes a store with a bit of everything.
func fill(t testing.TB, s *Store) {
	t.Helper()
	ctx := context.Background()
	err := s.Update(ctx, func(tx *Tx) error {
		if err := tx.Put("person", "a", []byte("Alice")); err != nil {
			return err
		}
		if _, err := tx.CreateMailbox("alice", "INBOX", ""); err != nil {
			return err
		}
		_, err := tx.CreateMailbox("alice", "Junk", `\Junk`)
		return errors.Join(err, tx.Subscribe("alice", "Junk", true))
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		deliver(t, s, fmt.Sprintf("Subject: %d\r\n\r\nbody %d\r\n", i, i), inboxOf("alice"), Place{Owner: "bob", Mailbox: "Lists/Go", Create: true, Flags: []string{`\Seen`, "$Label"}})
	}
	deliver(t, s, "Subject: big\r\n\r\n"+strings.Repeat("0123456789abcdef", 60_000), inboxOf("alice"))
	deliver(t, s, "Subject: random\r\n\r\n"+rand.Text()+strings.Repeat(rand.Text()+"\r\n", 9_000), inboxOf("alice"))
	m := mailboxOf(t, s, "alice", "INBOX")
	if _, err := s.SetFlags(ctx, m.ID, []uint32{1, 2, 3, 5, 9, 10}, FlagsAdd, []string{`\Seen`, "work"}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetFlags(ctx, m.ID, []uint32{4, 5, 6}, FlagsReplace, []string{`\Deleted`}, 0); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Expunge(ctx, m.ID, nil); err != nil || !slices.Equal(gone, []uint32{4, 5, 6}) {
		t.Fatal(gone, err)
	}
	if _, err := s.Copy(ctx, m.ID, []uint32{1, 2}, "alice", "Junk"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Move(ctx, m.ID, []uint32{7, 8}, "alice", "Junk"); err != nil {
		t.Fatal(err)
	}
	if err := s.RenameMailbox(ctx, "bob", "Lists", "Old/Lists"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateMailbox(ctx, "alice", "Gone", ""); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, "Subject: gone\r\n\r\n", Place{Owner: "alice", Mailbox: "Gone"})
	if err := s.DeleteMailbox(ctx, "alice", "Gone"); err != nil {
		t.Fatal(err)
	}
	enqueue(t, s, "Subject: out\r\n\r\n", []Place{inboxOf("carol")}, "a.example", "b.example", "a.example")
	rows := enqueue(t, s, "Subject: sent\r\n\r\n", nil, "a.example", "b.example")
	err = s.Update(ctx, func(tx *Tx) error {
		rows[0].Due, rows[0].Note, rows[0].Value = 77, "greylisted", []byte(`{"attempts":1}`)
		return errors.Join(tx.Requeue(rows[0]), tx.Dequeue(rows[1].ID))
	})
	if err != nil {
		t.Fatal(err)
	}
	gone := enqueue(t, s, "Subject: delivered\r\n\r\n", nil, "c.example")
	if err := s.Update(ctx, func(tx *Tx) error { return tx.Dequeue(gone[0].ID) }); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsStoredIsReadBack(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	fill(t, s)
	m := mailboxOf(t, s, "alice", "INBOX")
	if m.Messages != 22-3-2 || m.Unseen != m.Messages-5 || m.MarkedDeleted != 0 || m.UIDNext != 23 {
		t.Fatalf("%+v", m)
	}
	if j := mailboxOf(t, s, "alice", "Junk"); j.Messages != 4 || !j.Subscribed || j.SpecialUse != `\Junk` {
		t.Fatalf("%+v", j)
	}
	if l := mailboxOf(t, s, "bob", "Old/Lists/Go"); l.Messages != 20 || l.Unseen != 0 || !slices.Equal(l.Keywords, []string{"$Label"}) {
		t.Fatalf("%+v", l)
	}
	waitReaped(t, s)
	mustVerify(t, s)
	for _, limit := range []int{0, 1, 255, 256, 257, rawLimit, rawLimit + 1, spillAt - 1, spillAt, spillAt + 1, 3 << 20} {
		content := strings.Repeat("x", limit)
		_, placed := deliver(t, s, content, inboxOf("carol"))
		l, err := s.Live(t.Context(), placed[0].MailboxID)
		if err != nil {
			t.Fatal(err)
		}
		e := l.Lookup(nil, []uint32{placed[0].UID})[0]
		l.Close()
		want := "Return-Path: <>\r\n" + content
		if got, err := s.ReadMessage(t.Context(), e, nil); err != nil || string(got) != want {
			t.Fatalf("%d octets: %d, %v", limit, len(got), err)
		}
		r, err := s.OpenMessage(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || string(got) != want || int(e.Size) != len(want) {
			t.Fatalf("%d octets by stream: %d, %v", limit, len(got), err)
		}
	}
}

func waitReaped(t testing.TB, s *Store) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var n int
		err := s.readers.QueryRow("SELECT (SELECT count(*) FROM tombstone WHERE msg IS NOT NULL) + (SELECT count(*) FROM mailbox WHERE dead = 1)").Scan(&n)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d messages still wait to be removed, %v", n, err)
		}
		if n == 0 {
			break
		}
	}
	if err := s.Update(context.Background(), func(*Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // the files go just after the commit
}

func TestReopenAndRebuildShowTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	fill(t, s)
	before := dump(t, s, "alice", "bob")
	crashed := copyFolder(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"closed": dir, "crashed": crashed} {
		s, err := Open(t.Context(), testOptions(dir))
		if err != nil {
			t.Fatal(name, err)
		}
		if after := dump(t, s, "alice", "bob"); after != before {
			t.Errorf("%s: reopened store differs\n%s\n---\n%s", name, before, after)
		}
		waitReaped(t, s)
		mustVerify(t, s)
		s.Close()

		for _, ext := range []string{"", "-wal", "-shm"} {
			os.Remove(filepath.Join(dir, "hauspost.db"+ext))
		}
		if _, err := Open(t.Context(), testOptions(dir)); !errors.Is(err, ErrIndexMissing) {
			t.Fatalf("%s: opening without an index: %v", name, err)
		}
		r, err := Rebuild(t.Context(), testOptions(dir))
		if err != nil || len(r.Problems) > 0 {
			t.Fatal(name, r, err)
		}
		if s, err = Open(t.Context(), testOptions(dir)); err != nil {
			t.Fatal(name, err)
		}
		if after := dump(t, s, "alice", "bob"); after != before {
			t.Errorf("%s: rebuilt store differs\n%s\n---\n%s", name, before, after)
		}
		mustVerify(t, s)
		if _, placed := deliver(t, s, "Subject: later\r\n\r\n", inboxOf("alice")); placed[0].UID != 23 {
			t.Errorf("%s: UID %d after the rebuild", name, placed[0].UID)
		}
		if blobs, err := s.Trace(t.Context(), entryOf(t, s, "alice", 1).ID); err != nil || string(blobs[0]) != `[{"step":"test"}]` {
			t.Errorf("%s: trace %q, %v", name, blobs, err)
		}
		s.Close()
	}
}

func entryOf(t testing.TB, s *Store, owner string, uid uint32) Entry {
	t.Helper()
	l, err := s.Live(context.Background(), mailboxOf(t, s, owner, "INBOX").ID)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Lookup(nil, []uint32{uid})[0]
}

// Each redo record that the index lost is applied again, wherever the index
// stopped: the index of an earlier moment with the redo log of a later one.
func TestRedoCatchesUpWithAnOldIndex(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	deliver(t, s, "Subject: first\r\n\r\n", inboxOf("alice"))
	early := copyFolder(t, dir)
	for i := range 30 {
		deliver(t, s, fmt.Sprintf("Subject: %d\r\n\r\n", i), inboxOf("alice"))
	}
	m := mailboxOf(t, s, "alice", "INBOX")
	if _, err := s.SetFlags(t.Context(), m.ID, []uint32{3, 4, 5}, FlagsAdd, []string{`\Deleted`}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Expunge(t.Context(), m.ID, []uint32{4}); err != nil {
		t.Fatal(err)
	}
	before := dump(t, s, "alice")
	late := copyFolder(t, dir)
	// The message files of the last commits were lost too, or torn.
	for _, ext := range []string{"", "-wal", "-shm"} {
		b, err := os.ReadFile(filepath.Join(early, "hauspost.db"+ext))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(late, "hauspost.db"+ext), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(late, "mail", "*", "*.zst"))
	for i, f := range files {
		switch i % 3 { // the first is older than the index
		case 2:
			os.Truncate(f, 5)
		case 1:
			os.Remove(f)
		}
	}
	if len(files) < 10 {
		t.Fatal(files)
	}
	s2 := openStore(t, late)
	if after := dump(t, s2, "alice"); after != before {
		t.Errorf("recovered store differs\n%s\n---\n%s", before, after)
	}
	waitReaped(t, s2)
	mustVerify(t, s2)
}

func TestRedoGoesRoundManyTimes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	noise := make([]byte, 30<<10)
	rand.Read(noise)
	for i := range 600 {
		deliver(t, s, fmt.Sprintf("Subject: %d\r\n\r\n%x", i, noise), inboxOf("alice"))
	}
	gens := s.redo.files[s.redo.cur].gen
	if gens < 4 {
		t.Fatalf("the redo log was changed %d times only", gens)
	}
	before := dump(t, s, "alice")
	s2 := openStore(t, copyFolder(t, dir))
	if after := dump(t, s2, "alice"); after != before {
		t.Error("recovered store differs")
	}
	mustVerify(t, s2)
}

func TestOneProcessAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openStore(t, dir)
	if _, err := Open(t.Context(), testOptions(dir)); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	if _, err := Rebuild(t.Context(), testOptions(dir)); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
}

func TestAnotherVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "version"), []byte("99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), testOptions(dir)); !errors.Is(err, ErrVersion) {
		t.Fatal(err)
	}
}

func TestSyncTellsWhatASessionMissed(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	for i := range 10 {
		deliver(t, s, fmt.Sprintf("Subject: %d\r\n\r\n", i), inboxOf("alice"))
	}
	m := mailboxOf(t, s, "alice", "INBOX")
	l, err := s.Live(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	told := make(chan struct{}, 100)
	defer l.Watch(func() { told <- struct{}{} })()
	uids := []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	d := l.Sync(uids, m.HighestModSeq)
	if len(d.Changed)+len(d.Gone)+len(d.New) != 0 {
		t.Fatalf("%+v", d)
	}
	if _, err := s.SetFlags(t.Context(), m.ID, []uint32{2, 3, 7}, FlagsAdd, []string{`\Deleted`}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Expunge(t.Context(), m.ID, []uint32{3}); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, "Subject: new\r\n\r\n", inboxOf("alice"))
	if len(told) != 3 {
		t.Errorf("watcher was told %d times", len(told))
	}
	for name, since := range map[string]uint64{"from the tail": m.HighestModSeq, "by comparing": 1} {
		d := l.Sync(uids, since)
		if !slices.Equal(d.Gone, []int{2}) || len(d.New) != 1 || d.New[0].UID != 11 {
			t.Errorf("%s: %+v", name, d)
		}
		changed := map[uint32]bool{}
		for _, e := range d.Changed {
			changed[e.UID] = true
		}
		if !changed[2] || !changed[7] || changed[3] || changed[11] {
			t.Errorf("%s: %+v", name, d.Changed)
		}
	}
	after := l.Sync([]uint32{1, 2, 4, 5, 6, 7, 8, 9, 10, 11}, d.ModSeq+3)
	if len(after.Gone)+len(after.New)+len(after.Changed) != 0 {
		t.Errorf("%+v", after)
	}
}

func TestUnchangedSince(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	deliver(t, s, "a\r\n", inboxOf("alice"))
	deliver(t, s, "b\r\n", inboxOf("alice"))
	m := mailboxOf(t, s, "alice", "INBOX")
	if _, err := s.SetFlags(t.Context(), m.ID, []uint32{1}, FlagsAdd, []string{`\Seen`}, 0); err != nil {
		t.Fatal(err)
	}
	r, err := s.SetFlags(t.Context(), m.ID, []uint32{1, 2, 77}, FlagsAdd, []string{`\Flagged`}, m.HighestModSeq)
	if err != nil || !slices.Equal(r.Modified, []uint32{1}) || len(r.Changed) != 1 || r.Changed[0].UID != 2 {
		t.Fatalf("%+v %v", r, err)
	}
}

func TestKeywordsAreLimited(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	deliver(t, s, "a\r\n", inboxOf("alice"))
	m := mailboxOf(t, s, "alice", "INBOX")
	var names []string
	for i := range MaxKeywords + 1 {
		names = append(names, fmt.Sprintf("k%d", i))
	}
	if _, err := s.SetFlags(t.Context(), m.ID, []uint32{1}, FlagsAdd, names, 0); !errors.Is(err, ErrTooManyKeywords) {
		t.Fatal(err)
	}
	if _, err := s.SetFlags(t.Context(), m.ID, []uint32{1}, FlagsAdd, names[1:], 0); err != nil {
		t.Fatal(err)
	}
	m = mailboxOf(t, s, "alice", "INBOX")
	if got := m.FlagNames(entryOf(t, s, "alice", 1).Flags); !slices.Equal(got, names[1:]) {
		t.Fatal(got)
	}
}

func TestFailedRequestsLeaveTheOthersAlone(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	var wg sync.WaitGroup
	boom := errors.New("boom")
	for i := range 200 {
		wg.Go(func() {
			err := s.Update(t.Context(), func(tx *Tx) error {
				if err := tx.Put("person", fmt.Sprint(i), []byte("x")); err != nil {
					return err
				}
				if i%7 == 0 {
					return boom
				}
				return nil
			})
			if (i%7 == 0) != errors.Is(err, boom) {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	n := 0
	s.List(t.Context(), "person", func(string, []byte) error { n++; return nil })
	if n != 200-29 {
		t.Fatalf("%d documents", n)
	}
}

func TestVerifyFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	for i := range 5 {
		deliver(t, s, fmt.Sprintf("Subject: %d\r\n\r\n%s", i, strings.Repeat("text ", i*1000)), inboxOf("alice"))
	}
	mustVerify(t, s)
	flipped := entryOf(t, s, "alice", 2)
	name := s.path(flipped.Msg, flipped.ID)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[30] ^= 4
	os.WriteFile(name, b, 0o600)
	missing := entryOf(t, s, "alice", 3)
	os.Remove(s.path(missing.Msg, missing.ID))
	os.WriteFile(filepath.Join(dir, "mail", "000000", "stray.zst"), []byte("?"), 0o600)
	if _, err := s.conn.ExecContext(t.Context(), "UPDATE mailbox SET messages = 4"); err != nil {
		t.Fatal(err)
	}
	if err := s.journal.sync(); err != nil {
		t.Fatal(err)
	}
	flip(t, s.journal.name(1, "log"), 60)
	r, err := s.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, p := range r.Problems {
		found[p.Kind] = p.Message
		if p.Remedy == "" || p.Text == "" {
			t.Errorf("%+v says too little", p)
		}
	}
	if found["damaged-file"] != flipped.ID.String() || found["missing-file"] != missing.ID.String() || len(found) != 5 {
		t.Fatalf("%+v", r.Problems)
	}
}

func TestDeletingGivesTheFilesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	for i := range 500 {
		deliver(t, s, fmt.Sprintf("Subject: %d\r\n\r\n", i), Place{Owner: "alice", Mailbox: "Big", Create: true}, inboxOf("bob"))
	}
	m := mailboxOf(t, s, "alice", "Big")
	if _, err := s.Copy(t.Context(), m.ID, []uint32{1, 2, 3}, "bob", "INBOX"); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMailbox(t.Context(), "alice", "Big"); err != nil {
		t.Fatal(err)
	}
	waitReaped(t, s)
	mustVerify(t, s)
	if files, _ := filepath.Glob(filepath.Join(dir, "mail", "*", "*.zst")); len(files) != 500 {
		t.Fatalf("%d files; bob still has 500 messages", len(files))
	}
	err := s.Update(t.Context(), func(tx *Tx) error { return tx.DeleteOwner("bob") })
	if err != nil {
		t.Fatal(err)
	}
	waitReaped(t, s)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		files, _ := filepath.Glob(filepath.Join(dir, "mail", "*", "*.zst"))
		if len(files) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d files are left", len(files))
		}
	}
	mustVerify(t, s)
}

// Mail that came while nobody had the mailbox open is recent to the first who
// looks, and only to them; what was there when the store was opened is not.
func TestRecentIsWhatNobodySaw(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	deliver(t, s, "Subject: 1\r\n\r\n", inboxOf("alice"))
	recent := func(s *Store, claim bool) uint32 {
		l, err := s.Live(t.Context(), mailboxOf(t, s, "alice", "INBOX").ID)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Recent(claim)
	}
	if first := recent(s, false); first != 1 {
		t.Errorf("recent begins at %d", first)
	}
	recent(s, true)
	deliver(t, s, "Subject: 2\r\n\r\n", inboxOf("alice"))
	if first, again := recent(s, true), recent(s, true); first != 2 || again != 3 {
		t.Errorf("recent begins at %d, then at %d", first, again)
	}
	deliver(t, s, "Subject: 3\r\n\r\n", inboxOf("alice"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if first := recent(openStore(t, dir), false); first != 4 {
		t.Errorf("after a start recent begins at %d", first)
	}
}

func TestPruneTraces(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	var ids []ID
	for i := range 2*pruneBatch + 5 {
		id := newID()
		s.AppendTrace(id, fmt.Appendf(nil, "%d", i))
		ids = append(ids, id)
	}
	if err := s.submit(&request{fn: func(*group) error { return nil }}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s.traceMu.Lock()
		waiting := len(s.traces)
		s.traceMu.Unlock()
		if waiting == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the traces are not written")
		}
	}
	if n, err := s.PruneTraces(t.Context(), time.Now().Add(-time.Hour)); err != nil || n != 0 {
		t.Fatal(n, err)
	}
	if b, err := s.Trace(t.Context(), ids[7]); err != nil || string(b[0]) != "7" {
		t.Fatalf("%q %v", b, err)
	}
	if n, err := s.PruneTraces(t.Context(), time.Now().Add(time.Hour)); err != nil || n != int64(len(ids)) {
		t.Fatal(n, err)
	}
	if _, err := s.Trace(t.Context(), ids[7]); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
}
