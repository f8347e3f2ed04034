package imapd_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hauspost/appliance/imapd"
	"hauspost/appliance/maillog"
	"hauspost/store"
)

// mirror is a mailbox as a client knows it: UIDs by sequence number, 0 where it
// was not told the UID yet.
type mirror struct {
	*wireClient
	tag     int
	uids    []uint32
	deleted int // EXPUNGE responses seen
}

var (
	numbered = regexp.MustCompile(`^\* (\d+) (EXISTS|EXPUNGE|FETCH)`)
	uidItem  = regexp.MustCompile(`UID (\d+)`)
)

// hear takes one line from the server, and fails where it cannot be true.
func (m *mirror) hear(line string) error {
	match := numbered.FindStringSubmatch(line)
	if match == nil {
		return nil
	}
	n, _ := strconv.Atoi(match[1])
	switch match[2] {
	case "EXISTS":
		if n < len(m.uids) {
			return fmt.Errorf("EXISTS %d takes messages away from %d", n, len(m.uids))
		}
		m.uids = append(m.uids, make([]uint32, n-len(m.uids))...)
	case "EXPUNGE":
		if n < 1 || n > len(m.uids) {
			return fmt.Errorf("EXPUNGE %d of %d", n, len(m.uids))
		}
		m.uids = slices.Delete(m.uids, n-1, n)
		m.deleted++
	case "FETCH":
		if n < 1 || n > len(m.uids) {
			return fmt.Errorf("FETCH %d of %d", n, len(m.uids))
		}
		if u := uidItem.FindStringSubmatch(line); u != nil {
			uid, _ := strconv.ParseUint(u[1], 10, 32)
			if m.uids[n-1] != 0 && m.uids[n-1] != uint32(uid) {
				return fmt.Errorf("message %d had UID %d and has now %d", n, m.uids[n-1], uid)
			}
			m.uids[n-1] = uint32(uid)
		}
	}
	return nil
}

// run sends a command and takes all that the server says up to its end.
func (m *mirror) run(format string, args ...any) (status string, err error) {
	m.tag++
	tag := "t" + strconv.Itoa(m.tag)
	for _, line := range m.command(tag, fmt.Sprintf(format, args...)) {
		if err := m.hear(line); err != nil {
			return "", fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
		}
		status = strings.TrimPrefix(line, tag+" ")
	}
	return status, nil
}

// must is run for what has to succeed.
func (m *mirror) must(t *rapid.T, format string, args ...any) {
	t.Helper()
	status, err := m.run(format, args...)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(status, "OK") {
		t.Fatalf("%s: %s", fmt.Sprintf(format, args...), status)
	}
}

// TestSequenceNumbers lets three sessions change one mailbox in any order and
// compares what they were told with the truth.
func TestSequenceNumbers(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	var conns [3]*wireClient
	for i := range conns {
		conns[i] = b.login(t)
	}
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		name := fmt.Sprintf("m%d", run)
		var sessions [3]*mirror
		for i := range sessions {
			sessions[i] = &mirror{wireClient: conns[i], tag: run * 1000}
		}
		sessions[0].must(t, "CREATE %s", name)
		for _, s := range sessions {
			s.must(t, "SELECT %s", name)
		}
		some := rapid.Custom(func(t *rapid.T) string {
			return fmt.Sprintf("%d:%d", rapid.IntRange(1, 12).Draw(t, "from"), rapid.IntRange(1, 12).Draw(t, "to"))
		})
		pick := func(t *rapid.T) *mirror { return sessions[rapid.IntRange(0, 2).Draw(t, "session")] }
		quiet := func(s *mirror, format string, args ...any) {
			before := s.deleted
			s.must(t, format, args...)
			if s.deleted != before {
				t.Fatalf("EXPUNGE during %s", fmt.Sprintf(format, args...))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"deliver": func(t *rapid.T) {
				for range rapid.IntRange(1, 3).Draw(t, "n") {
					b.deliverTo(t, name)
				}
			},
			"delete": func(t *rapid.T) { pick(t).must(t, `UID STORE %s +FLAGS.SILENT (\Deleted)`, some.Draw(t, "set")) },
			"flag": func(t *rapid.T) {
				if s := pick(t); len(s.uids) > 0 {
					quiet(s, `STORE 1:* %sFLAGS (\Flagged)`, rapid.SampledFrom([]string{"+", "-"}).Draw(t, "op"))
				}
			},
			"expunge":     func(t *rapid.T) { pick(t).must(t, "EXPUNGE") },
			"uid expunge": func(t *rapid.T) { pick(t).must(t, "UID EXPUNGE %s", some.Draw(t, "set")) },
			"move away":   func(t *rapid.T) { pick(t).must(t, "UID MOVE %s Trash", some.Draw(t, "set")) },
			"copy here":   func(t *rapid.T) { pick(t).must(t, "UID COPY %s %s", some.Draw(t, "set"), name) },
			"move here":   func(t *rapid.T) { pick(t).must(t, "UID MOVE %s %s", some.Draw(t, "set"), name) },
			"noop":        func(t *rapid.T) { pick(t).must(t, "NOOP") },
			"fetch":       func(t *rapid.T) { quiet(pick(t), "FETCH 1:* (UID FLAGS)") },
			"search":      func(t *rapid.T) { quiet(pick(t), "SEARCH ALL") },
			"uid fetch":   func(t *rapid.T) { pick(t).must(t, "UID FETCH 1:* (FLAGS)") },
			"": func(t *rapid.T) {
				s := pick(t)
				s.must(t, "NOOP")
				s.must(t, "FETCH 1:* (UID)")
				if truth := b.uids(t, name); !slices.Equal(truth, s.uids) {
					t.Fatalf("the client knows %v, there are %v", s.uids, truth)
				}
			},
		})
		for _, s := range sessions {
			s.must(t, "UNSELECT")
		}
	})
}

func (b *box) deliverTo(t *rapid.T, mailbox string) {
	t.Helper()
	if err := b.put(mailbox); err != nil {
		t.Fatal(err)
	}
}

// uids gives the truth about a mailbox.
func (b *box) uids(t interface{ Fatal(...any) }, mailbox string) []uint32 {
	ctx := context.Background()
	mb, err := b.store.Mailbox(ctx, b.account.ID, mailbox)
	if err != nil {
		t.Fatal(err)
	}
	live, err := b.store.Live(ctx, mb.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	var uids []uint32
	for _, e := range live.Entries(nil) {
		uids = append(uids, e.UID)
	}
	return uids
}

// TestIdleSeesEverything delivers and expunges while a client is on IDLE: in the
// end it knows exactly what is there, and was told of each message.
func TestIdleSeesEverything(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	idler := &mirror{wireClient: b.login(t)}
	if _, err := idler.run("SELECT INBOX"); err != nil {
		t.Fatal(err)
	}
	idler.send("i IDLE\r\n")
	idler.until("+ ")
	const writers, each = 4, 25
	var wg sync.WaitGroup
	for range writers {
		c := b.login(t)
		wg.Go(func() {
			c.command("s", "SELECT INBOX")
			for range each {
				if err := b.put("INBOX"); err != nil {
					t.Error(err)
				}
				c.command("x", `UID STORE 1:* +FLAGS (\Seen)`)
			}
			c.command("x", `UID STORE 1:20 +FLAGS.SILENT (\Deleted)`)
			c.command("x", "EXPUNGE")
		})
	}
	told := 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		for told < writers*each || idler.deleted < 20 {
			line, err := idler.line()
			if err == nil {
				before := len(idler.uids)
				err = idler.hear(line)
				if strings.HasSuffix(line, "EXISTS") {
					told += len(idler.uids) - before
				}
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	wg.Wait()
	<-done
	idler.send("DONE\r\n")
	for _, line := range idler.until("i ") {
		check(t, idler.hear(line))
	}
	idler.run("FETCH 1:* (UID)")
	if truth := b.uids(t, "INBOX"); !slices.Equal(truth, idler.uids) {
		t.Errorf("the client knows %v, there are %v", idler.uids, truth)
	}
}

func (b *box) put(mailbox string) error {
	staged := b.store.Stage()
	if _, err := staged.Write([]byte("Subject: x\r\n\r\nx\r\n")); err != nil {
		return err
	}
	var id store.ID
	n := serial.Add(1)
	for i := range 8 {
		id[i] = byte(n >> (8 * i))
	}
	_, err := b.store.Deliver(context.Background(), staged, store.Delivery{ID: id, Places: []store.Place{{Owner: b.account.ID, Mailbox: mailbox}}})
	return err
}

var serial atomic.Uint64

// TestMovesKeepEachMessageOnce moves messages to and fro by several clients at
// the same time.
func TestMovesKeepEachMessageOnce(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	const n = 40
	for i := range n {
		b.deliver(t, "INBOX", fmt.Appendf(nil, "Subject: number %d\r\n\r\nx\r\n", i))
	}
	var wg sync.WaitGroup
	for w := range 4 {
		c := b.login(t)
		from, to := "INBOX", "Archive"
		if w%2 == 1 {
			from, to = to, from
		}
		wg.Go(func() {
			for range 15 {
				c.command("s", "SELECT "+from)
				lines := c.command("x", "UID MOVE 1:* "+to)
				if last := lines[len(lines)-1]; !strings.HasPrefix(last, "x OK") {
					t.Error(last)
				}
			}
		})
	}
	wg.Wait()
	c := b.login(t)
	seen := map[string]int{}
	for _, name := range []string{"INBOX", "Archive"} {
		c.command("s", "SELECT "+name)
		for _, line := range c.command("f", "UID FETCH 1:* (ENVELOPE)") {
			if i := strings.Index(line, "number "); i >= 0 {
				seen[strings.SplitN(line[i:], `"`, 2)[0]]++
			}
		}
	}
	if len(seen) != n {
		t.Errorf("%d of %d messages are there", len(seen), n)
	}
	for subject, times := range seen {
		if times != 1 {
			t.Errorf("%s is there %d times", subject, times)
		}
	}
}

// TestPushTrace: the trace of a message tells who was told of it.
func TestPushTrace(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	c := b.login(t)
	// What a client calls itself must not break lines.
	c.send("a ID (\"name\" {13}\r\n")
	c.until("+ ")
	c.send("Phone\r\n* BYE! \"version\" \"3\")\r\n")
	c.until("a OK")
	c.command("s", "SELECT INBOX")
	c.send("i IDLE\r\n")
	c.until("+ ")
	placed := b.deliver(t, "INBOX", testMessage(t, "short"))
	c.until("* 1 EXISTS")
	if st := b.server.Stats(); st.Idle != 1 || st.LoggedIn != 1 || st.Clients[0].Name != "Phone* BYE! 3" || st.Clients[0].Mailbox != "INBOX" || !st.Clients[0].Idle {
		t.Errorf("%+v", st)
	}
	mb, err := b.store.Mailbox(context.Background(), b.account.ID, "INBOX")
	check(t, err)
	live, err := b.store.Live(context.Background(), mb.ID)
	check(t, err)
	defer live.Close()
	id := live.Entries(nil)[0].ID
	eventually(t, "the push is in the trace", func() bool {
		blobs, err := b.store.Trace(context.Background(), id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		for _, blob := range blobs {
			entries, err := maillog.Decode(blob)
			if err == nil && len(entries) == 1 && entries[0].Step == "pushed" {
				return strings.Contains(entries[0].Say, fmt.Sprintf("Phone* BYE! 3 [127.0.0.1] was told of UID %d in INBOX", placed.UID))
			}
		}
		return false
	})
}

// TestManyIdlers: every client on IDLE hears of every message, also when there
// are more of them than pushers.
func TestManyIdlers(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(o *imapd.Options) { o.Limits.Pushers = 2 })
	const n = 30
	var clients []*wireClient
	for range n {
		c := b.login(t)
		c.command("s", "SELECT INBOX")
		c.send("i IDLE\r\n")
		c.until("+ ")
		clients = append(clients, c)
	}
	for i := 1; i <= 5; i++ {
		b.deliver(t, "INBOX", testMessage(t, "short"))
	}
	for _, c := range clients {
		c.until("* 5 EXISTS")
	}
}

// TestAppendTrace: a message that came by APPEND has a trace too.
func TestAppendTrace(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	c := b.login(t)
	c.send("a APPEND INBOX {14+}\r\nSubject: z\r\n\r\n\r\n")
	c.until("a OK")
	mb, err := b.store.Mailbox(context.Background(), b.account.ID, "INBOX")
	check(t, err)
	live, err := b.store.Live(context.Background(), mb.ID)
	check(t, err)
	defer live.Close()
	e := live.Entries(nil)[0]
	if d := time.Since(e.InternalDate()); d < 0 || d > time.Hour {
		t.Error("internal date", e.InternalDate())
	}
	eventually(t, "the trace is whole", func() bool {
		blobs, err := b.store.Trace(context.Background(), e.ID)
		check(t, err)
		var steps []string
		for _, blob := range blobs {
			entries, err := maillog.Decode(blob)
			check(t, err)
			for _, e := range entries {
				steps = append(steps, e.Step)
			}
		}
		return slices.Equal(steps, []string{"received", "stored"})
	})
}
