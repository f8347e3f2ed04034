package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"
)

var keyTime = time.Unix(1_800_000_000, 0)

// keysOf reads keys as text: "name=bytes/number".
func keysOf(t *testing.T, s *Store, space string, now time.Time, names ...string) map[string]string {
	t.Helper()
	var list [][]byte
	for _, n := range names {
		list = append(list, []byte(n))
	}
	found, err := s.Keys(t.Context(), space, list, now)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, k := range found {
		m[string(k.Name)] = fmt.Sprintf("%s/%d", k.Bytes, k.Number)
	}
	return m
}

// countKeys counts the keys of a space, expired ones as well.
func countKeys(t *testing.T, s *Store, space string) (n int) {
	t.Helper()
	if err := s.readers.QueryRowContext(t.Context(), "SELECT count(*) FROM kept WHERE space = ?", space).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func update(t *testing.T, s *Store, fn func(tx *Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	soon := keyTime.Add(time.Minute).Unix()
	update(t, s, func(tx *Tx) error {
		return errors.Join(
			tx.PutKey("a", Key{Name: []byte("k"), Bytes: []byte("v")}),
			tx.PutKey("a", Key{Name: []byte{0, 255}, Bytes: []byte{0}}),
			tx.PutKey("b", Key{Name: []byte("k"), Bytes: []byte("other")}),
			tx.PutKey("a", Key{Name: []byte("n"), Number: 3, Expires: soon}),
			tx.PutKey("a", Key{Name: []byte("n"), Number: 7, Expires: soon}),
			tx.PutKey("a", Key{Name: []byte("gone"), Bytes: []byte("x")}),
			tx.DeleteKey("a", []byte("gone")),
			tx.DeleteKey("a", []byte("never")),
		)
	})
	check := func(s *Store) {
		t.Helper()
		got := keysOf(t, s, "a", keyTime, "k", "\x00\xff", "n", "gone", "never")
		want := map[string]string{"k": "v/0", "\x00\xff": "\x00/0", "n": "/7"}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("keys are %q, want %q", got, want)
		}
		if got := keysOf(t, s, "b", keyTime, "k", "n"); len(got) != 1 || got["k"] != "other/0" {
			t.Errorf("the other space has %q", got)
		}
	}
	check(s)
	s.Close()
	s = openStore(t, dir)
	check(s)
	s.Close()
	if _, err := Rebuild(context.Background(), testOptions(dir)); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	check(s)

	// What expired is not read, and prune takes it.
	later := keyTime.Add(2 * time.Minute)
	if got := keysOf(t, s, "a", later, "n"); len(got) != 0 {
		t.Errorf("an expired key is read: %q", got)
	}
	if err := s.PruneKeys(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if n := countKeys(t, s, "a"); n != 2 {
		t.Errorf("%d keys are left, want 2", n)
	}
	update(t, s, func(tx *Tx) error { return tx.DropKeys("a") })
	if n := countKeys(t, s, "a"); n != 0 {
		t.Errorf("%d keys are left in a dropped space", n)
	}
	if got := keysOf(t, s, "b", later, "k"); got["k"] != "other/0" {
		t.Errorf("dropping a space changed another: %q", got)
	}
}

func TestKeysAreReadInBatches(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	const n = 2*readBatch + 7
	var names [][]byte
	update(t, s, func(tx *Tx) error {
		names = names[:0]
		for i := range n {
			name := fmt.Appendf(nil, "key %d", i)
			names = append(names, name)
			if err := tx.PutKey("a", Key{Name: name, Number: int64(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	found, err := s.Keys(t.Context(), "a", names, keyTime)
	if err != nil || len(found) != n {
		t.Fatalf("%d keys, %v; want %d", len(found), err, n)
	}
}

func TestIndexWithoutKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openStore(t, dir).Close()
	db, err := sql.Open("sqlite", filepath.Join(dir, "hauspost.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("DROP TABLE kept; PRAGMA user_version = 3")
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir)
	update(t, s, func(tx *Tx) error { return tx.PutKey("a", Key{Name: []byte("k")}) })
	if got := keysOf(t, s, "a", keyTime, "k"); len(got) != 1 {
		t.Errorf("keys: %q", got)
	}
}

// TestStagedContent reads staged content back before it is delivered, small and
// large, compressed and not, and holds that the message is the same after.
func TestStagedContent(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	for _, size := range []int{0, 100, spillAt, spillAt + 1, 3 << 20} {
		content := append([]byte("Subject: content\r\n\r\n"), bytes.Repeat([]byte("some text, "), size/11)...)
		st := s.Stage()
		for part := content; len(part) > 0; {
			n, err := st.Write(part[:min(len(part), 10_000)])
			if err != nil {
				t.Fatal(err)
			}
			part = part[n:]
		}
		for range 2 {
			r, err := st.Content()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, content) {
				t.Fatalf("%d octets read of %d (%v)", len(got), len(content), err)
			}
			r.Close()
		}
		const prefix = "Received: here\r\n"
		placed, err := s.Deliver(t.Context(), st, Delivery{ID: newID(), Prefix: []byte(prefix), Places: []Place{inboxOf("alice")}})
		if err != nil {
			t.Fatal(err)
		}
		entry := entryOf(t, s, "alice", placed[0].UID)
		got, err := s.ReadMessage(t.Context(), entry, nil)
		if err != nil || string(got) != prefix+string(content) {
			t.Fatalf("%d octets stored of %d (%v)", len(got), len(content), err)
		}
		r, err := s.OpenContent(t.Context(), entry)
		if err != nil {
			t.Fatal(err)
		}
		if got, err = io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d octets of the content read of %d (%v)", len(got), len(content), err)
		}
		r.Close()
	}
	mustVerify(t, s)
}
