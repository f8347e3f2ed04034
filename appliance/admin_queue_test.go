package appliance

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/config"
	"hauspost/appliance/control"
	"hauspost/appliance/envelope"
	"hauspost/appliance/queue"
	"hauspost/store"
)

// waiting makes a data folder at rest with one message for each list of
// recipients in its queue, and gives the interface to it and the messages' IDs.
func waiting(t testing.TB, messages ...[]string) (a *admin, ids []string) {
	t.Helper()
	dir, c := t.TempDir(), config.Default("mail.example.test")
	core, err := openCore(t.Context(), dir, c, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	a = &admin{dir: dir, version: "test", config: c, core: core}
	t.Cleanup(func() { a.Close() })
	for i, recipients := range messages {
		added := time.Now().Add(-time.Duration(len(messages)-i) * time.Hour)
		id := envelope.NewID(added)
		sid, err := store.ParseID(string(id))
		if err != nil {
			t.Fatal(err)
		}
		d := store.Delivery{ID: sid}
		for _, to := range recipients {
			row, err := queue.Row(&queue.Item{Sender: envelope.MustAddress("anna@example.test"), Kind: queue.KindSubmission,
				Recipient: envelope.Recipient{Address: envelope.MustAddress(to)}, Added: added, Due: added})
			if err != nil {
				t.Fatal(err)
			}
			d.Queue = append(d.Queue, row)
		}
		staged := core.store.Stage()
		if _, err := staged.Write([]byte("Subject: x\r\n\r\nx\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := core.store.Deliver(t.Context(), staged, d); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, string(id))
	}
	return a, ids
}

func recipients(list control.QueueList) string {
	var words []string
	for _, r := range list.Rows {
		local, _, _ := strings.Cut(r.Recipient, "@")
		words = append(words, local)
	}
	return strings.Join(words, " ")
}

func TestQueueIsChosen(t *testing.T) {
	t.Parallel()
	a, ids := waiting(t, []string{"ben@example.org", "carol@example.org"}, []string{"dora@other.example"}, []string{"emil@example.org"})
	all, err := a.Queue(t.Context(), control.QueueQuery{})
	if err != nil || recipients(all) != "ben carol dora emil" || all.Total != 4 {
		t.Fatalf("all: %v, %v", all, err)
	}
	number := func(i int) string { return fmt.Sprint(all.Rows[i].Number) }
	if _, err := a.QueueDo(t.Context(), control.QueueDeed{Deed: control.QueueHold, Query: control.QueueQuery{Recipient: "carol"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.QueueDo(t.Context(), control.QueueDeed{Deed: control.QueueDrop, Query: control.QueueQuery{Recipient: "dora"}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		query control.QueueQuery
		want  string
		total int
	}{
		{control.QueueQuery{}, "ben carol emil", 3},
		{control.QueueQuery{Limit: 1}, "ben", 3},
		{control.QueueQuery{State: control.QueueWaiting}, "ben emil", 2},
		{control.QueueQuery{State: control.QueueHeld}, "carol", 1},
		{control.QueueQuery{State: control.QueueDropped}, "dora", 1},
		{control.QueueQuery{State: control.QueueActive}, "", 0},
		{control.QueueQuery{Destination: "Example.ORG", OlderThan: 150 * time.Minute}, "ben carol", 2},
		{control.QueueQuery{Destination: "nowhere.example"}, "", 0},
		{control.QueueQuery{Sender: "ANNA@"}, "ben carol emil", 3},
		{control.QueueQuery{Refs: []string{number(3), ids[0]}}, "ben carol emil", 3},
		{control.QueueQuery{Refs: []string{strings.ToUpper(ids[0]), number(0)}, Recipient: "ben"}, "ben", 1},
	} {
		got, err := a.Queue(t.Context(), c.query)
		if err != nil || recipients(got) != c.want || got.Total != c.total {
			t.Errorf("%+v: %q of %d, %v; want %q of %d", c.query, recipients(got), got.Total, err, c.want, c.total)
		}
	}
	item, err := a.QueueShow(t.Context(), ids[0])
	if err != nil || len(item.Rows) != 2 || item.Rows[1].State != control.QueueHeld || item.Rows[0].Expires.Before(time.Now()) {
		t.Errorf("showing a message: %+v, %v", item, err)
	}
	if item, err = a.QueueShow(t.Context(), number(2)); err != nil || len(item.Rows) != 1 || item.Rows[0].State != control.QueueDropped ||
		item.Rows[0].Expires.IsZero() || !item.Rows[0].Next.IsZero() {
		t.Errorf("showing a dropped row: %+v, %v", item, err)
	}
}

func TestQueueRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	a, _ := waiting(t, []string{"ben@example.org"})
	do := func(d control.QueueDeed) error {
		done, err := a.QueueDo(t.Context(), d)
		if err == nil {
			err = fmt.Errorf("done: %+v", done)
		}
		return err
	}
	query := control.QueueQuery{Recipient: "ben"}
	show := func(ref string) error { _, err := a.QueueShow(t.Context(), ref); return err }
	list := func(q control.QueueQuery) error { _, err := a.Queue(t.Context(), q); return err }
	for name, c := range map[string]struct {
		err  error
		kind control.Kind
	}{
		"no query":         {do(control.QueueDeed{Deed: control.QueueDrop}), control.KindInvalid},
		"a limit alone":    {do(control.QueueDeed{Deed: control.QueueDrop, Query: control.QueueQuery{Limit: 5}}), control.KindInvalid},
		"no deed":          {do(control.QueueDeed{Deed: "burn", Query: query}), control.KindInvalid},
		"no way":           {do(control.QueueDeed{Deed: control.QueueReroute, Query: query, Via: "over there"}), control.KindInvalid},
		"nothing to undo":  {do(control.QueueDeed{Deed: control.QueueUndo}), control.KindNotFound},
		"no such number":   {do(control.QueueDeed{Deed: control.QueueHold, Query: control.QueueQuery{Refs: []string{"77"}}}), control.KindNotFound},
		"no ref":           {list(control.QueueQuery{Refs: []string{"x"}}), control.KindInvalid},
		"no state":         {list(control.QueueQuery{State: "lost"}), control.KindInvalid},
		"no domain":        {list(control.QueueQuery{Destination: "not a domain"}), control.KindInvalid},
		"nothing to show":  {show("77"), control.KindNotFound},
		"nothing to parse": {show("-1"), control.KindInvalid},
	} {
		if !control.IsKind(c.err, c.kind) {
			t.Errorf("%s: %v, want the kind %s", name, c.err, c.kind)
		}
	}
	if list, err := a.Queue(t.Context(), control.QueueQuery{State: control.QueueWaiting}); err != nil || len(list.Rows) != 1 {
		t.Errorf("what was refused changed something: %+v, %v", list, err)
	}
}

// BenchmarkQueueList lists, counts and shows the status of a long queue.
func BenchmarkQueueList(b *testing.B) {
	const rows = 100_000
	a, _ := waiting(b)
	fill(b, a.core, rows)
	for name, fn := range map[string]func(ctx context.Context) error{
		"list": func(ctx context.Context) error { _, err := a.Queue(ctx, control.QueueQuery{Limit: 100}); return err },
		"to": func(ctx context.Context) error {
			_, err := a.Queue(ctx, control.QueueQuery{Limit: 100, Recipient: "r9999"})
			return err
		},
		"status": func(ctx context.Context) error { _, err := a.Status(ctx); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := fn(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// fill puts rows for 500 destinations into the queue, 100 a message.
func fill(b *testing.B, k *core, rows int) {
	b.Helper()
	all := make([]int, rows)
	for i := range all {
		all[i] = i
	}
	for chunk := range slices.Chunk(all, 100) {
		now := time.Now()
		id, err := store.ParseID(string(envelope.NewID(now)))
		if err != nil {
			b.Fatal(err)
		}
		d := store.Delivery{ID: id}
		for _, i := range chunk {
			row, err := queue.Row(&queue.Item{Sender: envelope.MustAddress("anna@example.test"), Kind: queue.KindSubmission, Added: now, Due: now.Add(time.Hour),
				Recipient: envelope.Recipient{Address: envelope.MustAddress(fmt.Sprintf("r%d@d%d.example", i, i%500))}})
			if err != nil {
				b.Fatal(err)
			}
			d.Queue = append(d.Queue, row)
		}
		staged := k.store.Stage()
		if _, err := staged.Write([]byte("Subject: x\r\n\r\nx\r\n")); err != nil {
			b.Fatal(err)
		}
		if _, err := k.store.Deliver(b.Context(), staged, d); err != nil {
			b.Fatal(err)
		}
	}
}
