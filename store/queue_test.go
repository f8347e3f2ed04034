package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// enqueue stores a message for a recipient at each destination.
func enqueue(t testing.TB, s *Store, content string, places []Place, destinations ...string) []Queued {
	t.Helper()
	d := Delivery{ID: newID(), Prefix: []byte("Return-Path: <>\r\n"), Places: places}
	for i, to := range destinations {
		d.Queue = append(d.Queue, Queued{Due: int64(i), Added: 5, Destination: to, Sender: "a_b@x", Recipient: "r@" + to, Value: []byte("{}")})
	}
	st := s.Stage()
	if _, err := st.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Deliver(context.Background(), st, d); err != nil {
		t.Fatal(err)
	}
	return d.Queue
}

func queued(t testing.TB, s *Store, f QueueFilter) (ids []int64) {
	t.Helper()
	n := 0
	err := s.Queue(context.Background(), f, func(q *Queued) error {
		ids = append(ids, q.ID)
		return nil
	})
	if f.Limit == 0 && f.After == 0 && err == nil {
		n, err = s.CountQueue(context.Background(), f)
		if n != len(ids) {
			t.Errorf("%+v chooses %d rows and counts %d", f, len(ids), n)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestQueueHoldsItsMessages(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	ctx := t.Context()
	rows := enqueue(t, s, "Subject: x\r\n\r\n", nil, "a.example", "b.example")
	if rows[0].ID >= rows[1].ID || rows[0].Msg != rows[1].Msg || rows[0].Size != int64(len("Return-Path: <>\r\nSubject: x\r\n\r\n")) {
		t.Fatalf("%+v", rows)
	}
	file := s.path(rows[0].Msg, rows[0].File)
	dequeue := func(id int64) error {
		return s.Update(ctx, func(tx *Tx) error { return tx.Dequeue(id) })
	}
	if err := dequeue(rows[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := dequeue(rows[0].ID); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	waitReaped(t, s)
	if raw, err := s.ReadMessage(ctx, rows[1].Entry(), nil); err != nil || string(raw) != "Return-Path: <>\r\nSubject: x\r\n\r\n" {
		t.Fatalf("%q, %v", raw, err)
	}
	// A mailbox takes it over in the commit in which the queue lets it go.
	var placed Placed
	err := s.Update(ctx, func(tx *Tx) (err error) {
		if placed, err = tx.Place(rows[1], Place{Owner: "alice", Mailbox: "Sent", Create: true, Flags: []string{`\Seen`}}); err != nil {
			return err
		}
		return tx.Dequeue(rows[1].ID)
	})
	if err != nil || placed.UID != 1 {
		t.Fatal(placed, err)
	}
	waitReaped(t, s)
	mustVerify(t, s)
	if m := mailboxOf(t, s, "alice", "Sent"); m.Messages != 1 || m.Unseen != 0 {
		t.Fatalf("%+v", m)
	}
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	last := enqueue(t, s, "Subject: y\r\n\r\n", nil, "a.example")[0]
	if err := dequeue(last.ID); err != nil {
		t.Fatal(err)
	}
	waitReaped(t, s)
	if _, err := os.Stat(s.path(last.Msg, last.File)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a message that nobody holds is still there: %v", err)
	}
	if err := s.Update(ctx, func(tx *Tx) error { return tx.Requeue(last) }); !errors.Is(err, ErrNotFound) {
		t.Errorf("requeueing a row that is gone: %v", err)
	}
}

func TestQueueNumbersNeverComeAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	first := enqueue(t, s, "Subject: x\r\n\r\n", nil, "a.example")[0].ID
	err := s.Update(t.Context(), func(tx *Tx) error {
		// A mailbox changes in the same commit: its mod-sequence alone does not
		// tell of the number.
		if _, err := tx.CreateMailbox("alice", "INBOX", ""); err != nil {
			return err
		}
		return tx.Dequeue(first)
	})
	if err != nil {
		t.Fatal(err)
	}
	waitReaped(t, s)
	crashed := copyFolder(t, dir)
	s.Close()
	rebuilt := copyFolder(t, dir)
	if _, err := Rebuild(t.Context(), testOptions(rebuilt)); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"closed": dir, "crashed": crashed, "rebuilt": rebuilt} {
		s := openStore(t, dir)
		if id := enqueue(t, s, "Subject: y\r\n\r\n", nil, "a.example")[0].ID; id <= first {
			t.Errorf("%s: row %d comes after row %d", name, id, first)
		}
	}
}

func TestQueueFilter(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	rows := enqueue(t, s, "Subject: x\r\n\r\n", nil, "a.example", "b.example", "a.example", "c.example")
	other := enqueue(t, s, "Subject: y\r\n\r\n", nil, "c.example")[0]
	err := s.Update(t.Context(), func(tx *Tx) error {
		rows[2].State, rows[2].Note, rows[2].Sender, rows[2].Added = 1, "Their 100% server", "axb@x", 9
		return tx.Requeue(rows[2])
	})
	if err != nil {
		t.Fatal(err)
	}
	ids := func(list ...Queued) (ids []int64) {
		for _, q := range list {
			ids = append(ids, q.ID)
		}
		return ids
	}
	for _, c := range []struct {
		name string
		f    QueueFilter
		want []int64
	}{
		{"all", QueueFilter{}, ids(append(slices.Clone(rows), other)...)},
		{"destination", QueueFilter{Destination: "a.example"}, ids(rows[0], rows[2])},
		{"not a part of it", QueueFilter{Destination: "a"}, nil},
		{"state", QueueFilter{States: []uint8{1, 2}}, ids(rows[2])},
		{"note, any case, signs of LIKE", QueueFilter{Note: "100% SERVER"}, ids(rows[2])},
		{"sender", QueueFilter{Sender: "a_b"}, ids(rows[0], rows[1], rows[3], other)},
		{"recipient", QueueFilter{Recipient: "@C"}, ids(rows[3], other)},
		{"file", QueueFilter{File: &other.File}, ids(other)},
		{"numbers", QueueFilter{IDs: ids(rows[1], other)}, ids(rows[1], other)},
		{"no numbers", QueueFilter{IDs: []int64{}}, nil},
		{"due", QueueFilter{DueBy: 1}, ids(rows[0], rows[1], other)},
		{"due later", QueueFilter{DueAfter: 1}, ids(rows[2], rows[3])},
		{"old", QueueFilter{AddedBy: 5}, ids(rows[0], rows[1], rows[3], other)},
		{"limit", QueueFilter{Limit: 2}, ids(rows[0], rows[1])},
		{"after", QueueFilter{After: rows[2].ID, Limit: 1}, ids(rows[3])},
		{"several", QueueFilter{Destination: "c.example", Sender: "B@"}, ids(rows[3], other)},
	} {
		if got := queued(t, s, c.f); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got, err := s.QueueDestinations(t.Context(), QueueFilter{States: []uint8{0}, Sender: "a_b"}); err != nil || !slices.Equal(got, []string{"a.example", "b.example", "c.example"}) {
		t.Errorf("%q, %v", got, err)
	}
	totals, err := s.QueueTotals(t.Context())
	want := []QueueTotal{{"a.example", 1, 1, 0, 0, 5}, {"b.example", 1, 0, 0, 1, 5}, {"c.example", 2, 0, 0, 0, 5}}
	if err != nil || !slices.Equal(totals, want) {
		t.Errorf("%+v, %v", totals, err)
	}
}

func TestQueueIsReadInBatches(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	to := slices.Repeat([]string{"a.example"}, rowBatch)
	enqueue(t, s, "Subject: x\r\n\r\n", nil, append(to, to...)...)
	enqueue(t, s, "Subject: x\r\n\r\n", nil, to[:7]...)
	for _, limit := range []int{0, 1, rowBatch - 1, rowBatch, rowBatch + 1, 2 * rowBatch, 2*rowBatch + 6, 5000} {
		want := 2*rowBatch + 7
		if limit > 0 {
			want = min(want, limit)
		}
		ids := queued(t, s, QueueFilter{Limit: limit})
		if len(ids) != want || !slices.IsSorted(ids) || len(slices.Compact(ids)) != want {
			t.Errorf("limit %d gives %d rows", limit, len(ids))
		}
	}
}

// What is done with a delivery is done whole or not at all.
func TestDeliverWith(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	row := enqueue(t, s, "Subject: x\r\n\r\n", nil, "a.example")[0]
	bounce := func(with func(tx *Tx) error) error {
		st := s.Stage()
		if _, err := st.Write([]byte("Subject: failed\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		_, err := s.Deliver(t.Context(), st, Delivery{ID: newID(), Places: []Place{inboxOf("alice")}, With: with})
		return err
	}
	refused := errors.New("no")
	err := bounce(func(tx *Tx) error { return errors.Join(tx.Dequeue(row.ID), refused) })
	if !errors.Is(err, refused) {
		t.Fatal(err)
	}
	if _, err := s.Queued(t.Context(), row.ID); err != nil {
		t.Errorf("the row went though the delivery failed: %v", err)
	}
	if _, err := s.Mailbox(t.Context(), "alice", "INBOX"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the delivery came though its row stayed: %v", err)
	}
	if err := bounce(func(tx *Tx) error { return tx.Dequeue(row.ID) }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Queued(t.Context(), row.ID); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if m := mailboxOf(t, s, "alice", "INBOX"); m.Messages != 1 {
		t.Errorf("%+v", m)
	}
	waitReaped(t, s)
	mustVerify(t, s)
}

// A row whose message file is lost goes with a problem in the report.
func TestRebuildTellsOfLostQueuedMessages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	lost := enqueue(t, s, "Subject: lost\r\n\r\n", nil, "a.example", "b.example")[0]
	kept := enqueue(t, s, "Subject: kept\r\n\r\n", nil, "c.example")[0]
	file := s.path(lost.Msg, lost.File)
	s.Close()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	removeIndex(t, dir)
	r, err := Rebuild(t.Context(), testOptions(dir))
	if err != nil || len(r.Problems) != 1 || r.Problems[0].Kind != "missing-file" || r.Problems[0].Message != lost.File.String() {
		t.Fatalf("%+v, %v", r, err)
	}
	s = openStore(t, dir)
	if got := queued(t, s, QueueFilter{}); !slices.Equal(got, []int64{kept.ID}) {
		t.Errorf("rows %v", got)
	}
	mustVerify(t, s)
}

// A box of the version before goes on with its mail and gets a queue.
func TestIndexOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	deliver(t, s, "Subject: old\r\n\r\n", inboxOf("alice"))
	s.Close()
	db, err := sql.Open("sqlite", filepath.Join(dir, "hauspost.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("DROP TABLE kept; DROP TABLE queue; ALTER TABLE state DROP COLUMN next_queued; PRAGMA user_version = 2")
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	if m := mailboxOf(t, s, "alice", "INBOX"); m.Messages != 1 {
		t.Errorf("%+v", m)
	}
	if id := enqueue(t, s, "Subject: new\r\n\r\n", nil, "a.example")[0].ID; id != 1 {
		t.Errorf("the first row has the ID %d", id)
	}
	mustVerify(t, s)
}

// Verify compares what holds messages with what they count.
func TestVerifyCountsHolders(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	fill(t, s)
	waitReaped(t, s)
	mustVerify(t, s)
	for _, q := range []string{
		"UPDATE message SET refs = refs + 1 WHERE id = (SELECT min(msg) FROM queue)",
		"DELETE FROM message WHERE id = (SELECT max(msg) FROM queue)",
	} {
		if err := sqlNow(s, q); err != nil {
			t.Fatal(err)
		}
		r, err := s.Verify(t.Context())
		if err != nil || len(r.Problems) == 0 {
			t.Errorf("%s: %+v, %v", q, r, err)
		}
	}
}

// A power cut can leave rows of messages whose files the reaper had removed:
// that is no problem where nothing but tombstones holds them.
func TestVerifyLeavesTheDeadAlone(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	rows := enqueue(t, s, "Subject: gone\r\n\r\n", nil, "a.example", "b.example")
	if err := os.Remove(s.path(rows[0].Msg, rows[0].File)); err != nil {
		t.Fatal(err)
	}
	for i, problems := range []int{1, 0} { // one of two rows holds it still
		for _, q := range []string{
			fmt.Sprintf("INSERT INTO tombstone SELECT 0, id, 0, msg FROM queue WHERE id = %d", rows[i].ID),
			fmt.Sprintf("DELETE FROM queue WHERE id = %d", rows[i].ID),
		} {
			if err := sqlNow(s, q); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := s.Verify(t.Context()); err != nil || len(r.Problems) != problems {
			t.Errorf("%+v, %v, want %d problems", r, err, problems)
		}
	}
}

// A crash, or a failing disk, between the end of a message and the removal of
// its file leaves no file behind that nobody knows, however old the message is.
func TestNoFileOutlivesItsMessage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, f := openFaulty(t, dir)
	row := enqueue(t, s, "Subject: gone\r\n\r\n", nil, "a.example")[0]
	f.arm("remove", 1, true, syscall.EIO)
	if err := s.Update(t.Context(), func(tx *Tx) error { return tx.Dequeue(row.ID) }); err != nil {
		t.Fatal(err)
	}
	for f.hits() == 0 {
		time.Sleep(time.Millisecond)
	}
	// Many messages later:
	if err := sqlNow(s, "UPDATE state SET next_msg = 5000"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = openStore(t, dir)
	waitReaped(t, s)
	mustVerify(t, s)
	if left, err := filepath.Glob(filepath.Join(dir, "*", "*", "*.zst")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

// benchQueue makes a queue of n rows for some hundred destinations.
func benchQueue(b *testing.B, n int) *Store {
	b.Helper()
	s := openStore(b, benchDir(b))
	value := make([]byte, 400)
	for at := 0; at < n; at += 1000 {
		st := s.Stage()
		if _, err := st.Write([]byte("Subject: x\r\n\r\n")); err != nil {
			b.Fatal(err)
		}
		d := Delivery{ID: newID()}
		for i := range 1000 {
			d.Queue = append(d.Queue, Queued{Destination: fmt.Sprintf("d%d.example", (at+i)%500), Sender: "alice@example.test",
				Recipient: fmt.Sprintf("r%d@example.test", i), Due: int64(at + i), Added: time.Now().UnixMilli(), Note: "their server does not answer", Value: value})
		}
		if _, err := s.Deliver(b.Context(), st, d); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func BenchmarkQueue100k(b *testing.B) {
	s := benchQueue(b, 100_000)
	read := func(f QueueFilter) func(b *testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				if err := s.Queue(b.Context(), f, func(*Queued) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("list", read(QueueFilter{Limit: 1000}))
	b.Run("due", read(QueueFilter{Destination: "d77.example", States: []uint8{0}, DueBy: 50_000, Limit: 64}))
	b.Run("note", read(QueueFilter{Note: "no such", Limit: 1000}))
	b.Run("totals", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.QueueTotals(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.CountQueue(b.Context(), QueueFilter{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
