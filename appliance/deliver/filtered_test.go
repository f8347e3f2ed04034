package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/queue"
	"hauspost/store"
)

// script is a Scanner that is one function.
type script func(m *Message) (*Scan, error)

func (script) Filters(bool) int                                    { return 1 }
func (f script) Scan(_ context.Context, m *Message) (*Scan, error) { return f(m) }
func proposing(effects ...envelope.Effect) script {
	return func(*Message) (*Scan, error) { return scanOf(effects...), nil }
}
func scanOf(effects ...envelope.Effect) *Scan {
	return &Scan{Runs: []envelope.Run{run("f", effects...)}}
}
func propose(k envelope.EffectKind, argument, rcpt string) envelope.Effect {
	return envelope.Effect{Kind: k, Argument: argument, Recipient: rcpt}
}

// gate is an inbound path into the town, with what it brought about.
type gate struct {
	in    *Inbound
	store *store.Store
	rows  []store.Queued
	trace *maillog.Trace
}

func newGate(t *testing.T, sc Scanner, p Policy) *gate {
	t.Helper()
	g := &gate{}
	g.in, g.store = newBox(t, sc)
	g.in.o.Directory, g.in.o.Wake = town{}, func(r []store.Queued) { g.rows = append(g.rows, r...) }
	g.in.o.Policy = func() Policy { return p }
	return g
}

// take sends a message through the gate, with what filters did before.
func (g *gate) take(t *testing.T, content string, early []envelope.Run, to ...string) error {
	t.Helper()
	env := submission(to...)
	env.From, env.Runs = envelope.MustAddress("sender@remote.test"), early
	g.trace = maillog.Log{}.NewTrace(env.ID)
	st := g.in.Stage(t.Context(), env, g.trace)
	defer st.Discard()
	if _, err := io.WriteString(st, content); err != nil {
		t.Fatal(err)
	}
	return st.Commit(t.Context())
}

// said is the trace in words.
func said(trace *maillog.Trace) string {
	var b strings.Builder
	for _, e := range trace.Entries() {
		fmt.Fprintf(&b, "%s %s\n", e.Step, e.Say)
	}
	return b.String()
}

const note = "Subject: x\r\n\r\nhello\r\n"

// counts tells how many messages are where, as "a INBOX".
func counts(t *testing.T, s *store.Store, want map[string]int) {
	t.Helper()
	for _, owner := range []string{"a", "b"} {
		boxes, err := s.Mailboxes(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range boxes {
			if int(b.Messages) != want[owner+" "+b.Name] {
				t.Errorf("%s has %d messages in %s", owner, b.Messages, b.Name)
			}
			delete(want, owner+" "+b.Name)
		}
	}
	for place, n := range want {
		if n > 0 {
			t.Errorf("there is no mailbox %s", place)
		}
	}
}

// A filter that files by what strangers write does not make mailboxes for ever.
func TestMailboxesAreBounded(t *testing.T) {
	t.Parallel()
	g := newGate(t, script(func(m *Message) (*Scan, error) {
		return scanOf(propose(envelope.EffectFileInto, string(bytes.TrimSpace(m.Head[len("Subject: "):bytes.IndexByte(m.Head, '\r')])), "")), nil
	}), Policy{})
	if err := g.store.Update(t.Context(), func(tx *store.Tx) error {
		for i := range maxMailboxes - 2 {
			if _, err := tx.CreateMailbox("b", fmt.Sprintf("M%d", i), ""); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"the last", "one more", "the last", "M7"} {
		if err := g.take(t, "Subject: "+name+"\r\n\r\nhello\r\n", nil, "bob@example.test"); err != nil {
			t.Fatal(err)
		}
		if full := strings.Contains(said(g.trace), "not done: file into one more for bob@example.test"); full != (name == "one more") {
			t.Errorf("%s:\n%s", name, said(g.trace))
		}
	}
	counts(t, g.store, map[string]int{"b the last": 2, "b INBOX": 1, "b M7": 1})
}

func TestJunkIsFiled(t *testing.T) {
	t.Parallel()
	g := newGate(t, proposing(points("A", 6)), Policy{JunkAt: 5})
	if _, err := g.store.CreateMailbox(t.Context(), "b", "Spam", `\Junk`); err != nil {
		t.Fatal(err)
	}
	if err := g.take(t, note, nil, "alice@example.test", "bob@example.test"); err != nil {
		t.Fatal(err)
	}
	counts(t, g.store, map[string]int{"a Junk": 1, "b Spam": 1})
	if m, err := g.store.Mailbox(t.Context(), "a", "Junk"); err != nil || m.SpecialUse != `\Junk` {
		t.Errorf("%+v %v", m, err)
	}
	if s := said(g.trace); !strings.Contains(s, "filtered filter f (0 ms): +6 points A (a sign)") || !strings.Contains(s, "decided keep: 6 points: f 6 for A (a sign); 5 points are enough to file it as junk; into the junk mailbox") {
		t.Error(s)
	}
	// A filter that names it means the same.
	g.in.o.Scanner = proposing(propose(envelope.EffectFileInto, "junk", ""))
	if err := g.take(t, note, nil, "alice@example.test", "bob@example.test"); err != nil {
		t.Fatal(err)
	}
	counts(t, g.store, map[string]int{"a Junk": 2, "b Spam": 2})
}

// What filters did before the content counts with what they do on it.
func TestEarlyRunsCount(t *testing.T) {
	t.Parallel()
	early := run("dns", points("LISTED", 3))
	early.Stage = "on_connect"
	quiet := envelope.Run{Filter: "dns", Stage: "on_rcpt"}
	g := newGate(t, proposing(points("A", 3)), Policy{RejectAt: 6})
	if err := g.take(t, note, []envelope.Run{early, quiet}, "alice@example.test"); codeOf(err) != 550 {
		t.Fatal(err)
	}
	if s := said(g.trace); !strings.Contains(s, "filter dns at the beginning") || strings.Contains(s, "at RCPT") {
		t.Error(s)
	}
	if err := g.take(t, note, nil, "alice@example.test"); err != nil {
		t.Fatal(err)
	}
}

func TestTagsAndFieldsReachTheMailbox(t *testing.T) {
	t.Parallel()
	g := newGate(t, proposing(
		propose(envelope.EffectTag, "$News", ""), propose(envelope.EffectTag, "Mine", "bob@example.test"),
		envelope.Effect{Kind: envelope.EffectAddHeader, Name: "X-Note", Argument: "read me"},
	), Policy{})
	if err := g.take(t, note, nil, "alice@example.test", "bob@example.test"); err != nil {
		t.Fatal(err)
	}
	for owner, want := range map[string][]string{"a": {"$News"}, "b": {"$News", "Mine"}} {
		m, err := g.store.Mailbox(t.Context(), owner, inbox)
		if err != nil || !slices.Equal(m.Keywords, want) {
			t.Errorf("%s: %v %v", owner, m.Keywords, err)
		}
		if got := read(t, g.store, owner, inbox); len(got) != 1 || !strings.HasPrefix(got[0], "Return-Path: <sender@remote.test>\r\nReceived: ") || !strings.HasSuffix(got[0], "\r\nX-Note: read me\r\n"+note) {
			t.Errorf("%q", got)
		}
	}
	// A mailbox that can hold no more tags gets the message without.
	var full []string
	for i := range store.MaxKeywords - 1 {
		full = append(full, fmt.Sprintf("k%d", i))
	}
	st := g.store.Stage()
	io.WriteString(st, note)
	id, err := store.ParseID(string(envelope.NewID(at)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.store.Deliver(t.Context(), st, store.Delivery{ID: id, Places: []store.Place{{Owner: "a", Mailbox: inbox, Flags: full}}}); err != nil {
		t.Fatal(err)
	}
	g.in.o.Scanner = proposing(propose(envelope.EffectTag, "$news", ""), propose(envelope.EffectTag, "another", ""))
	if err := g.take(t, note, nil, "alice@example.test"); err != nil {
		t.Fatal(err)
	}
	if s := said(g.trace); !strings.Contains(s, "waived not done: tag another for alice@example.test: the mailbox INBOX has as many different tags as it can") || strings.Contains(s, "not done: tag $news") {
		t.Error(s)
	}
	counts(t, g.store, map[string]int{"a INBOX": 3, "b INBOX": 1})
}

func TestEachRecipientApart(t *testing.T) {
	t.Parallel()
	discard, away := propose(envelope.EffectDiscard, "", "bob@example.test"), propose(envelope.EffectQuarantine, "", "alice@example.test")
	g := newGate(t, proposing(discard, away), Policy{})
	if err := g.take(t, note, nil, "alice@example.test", "bob@example.test"); err != nil {
		t.Fatal(err)
	}
	counts(t, g.store, map[string]int{"a Quarantine": 1})
	if err := g.take(t, note, nil, "bob@example.test"); err != nil {
		t.Fatal(err)
	}
	// What is thrown away for all can be kept for one.
	g.in.o.Scanner = proposing(propose(envelope.EffectDiscard, "", ""), away)
	if err := g.take(t, note, nil, "alice@example.test", "bob@example.test"); err != nil {
		t.Fatal(err)
	}
	counts(t, g.store, map[string]int{"a Quarantine": 2})
}

// What filters want to remember is kept with the message that is taken, also
// where it is thrown away, and with no other.
func TestScanWith(t *testing.T) {
	t.Parallel()
	for kind, kept := range map[envelope.EffectKind]bool{
		envelope.EffectTag: true, envelope.EffectDiscard: true, envelope.EffectQuarantine: true, envelope.EffectReject: false, envelope.EffectTempfail: false,
	} {
		sc := func(m *Message) (*Scan, error) {
			s := scanOf(propose(kind, "tag", ""))
			s.With = func(tx *store.Tx) error { return tx.Put("filter", fmt.Sprint(m.Outgoing), nil) }
			return s, nil
		}
		has := func(s *store.Store, kind, key string) bool {
			_, err := s.Get(t.Context(), kind, key)
			return err == nil
		}
		g := newGate(t, script(sc), Policy{})
		g.take(t, note, nil, "bob@example.test")
		if has(g.store, "filter", "false") != kept {
			t.Errorf("%s: kept where it should not be, or not where it should", kind)
		}
		f := newOffice(t, func(o *OutboundOptions) { o.Scanner = script(sc) })
		by := alice
		by.With = func(tx *store.Tx) error { return tx.Put("spool", "file", nil) }
		f.submit(t, by, submission("bob@example.test", "eve@away.example"), letter, 1000)
		if has(f.store, "filter", "true") != kept || has(f.store, "spool", "file") != kept || has(f.store, "filter", "false") != (kept && kind != envelope.EffectDiscard) {
			t.Errorf("%s: of what belongs to the commit of a submission something is missing or too much", kind)
		}
	}
	g := newGate(t, script(func(*Message) (*Scan, error) {
		return &Scan{With: func(*store.Tx) error { return errors.New("no") }}, nil
	}), Policy{})
	if err := g.take(t, note, nil, "bob@example.test"); codeOf(err)/100 != 4 {
		t.Error(err)
	}
	counts(t, g.store, map[string]int{})
}

// Filters see the whole message, as often as they like, and what is signed is
// what they saw.
func TestScannersSeeTheContent(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 200 << 10, 2 << 20} {
		var seen [][]byte
		look := script(func(m *Message) (*Scan, error) {
			for range 2 {
				var b bytes.Buffer
				if err := m.Content(&b); err != nil || int64(b.Len()) != m.Size || !bytes.HasPrefix(b.Bytes(), m.Head) {
					t.Errorf("%d of %d octets, %v", b.Len(), m.Size, err)
				}
				seen = append(seen, b.Bytes())
			}
			if m.Outgoing != (m.Account == "alice@example.test") {
				t.Errorf("outgoing %v of %q", m.Outgoing, m.Account)
			}
			return &Scan{}, nil
		})
		content := note + strings.Repeat("0123456789abcdef\r\n", size/18)
		g := newGate(t, look, Policy{})
		if err := g.take(t, content, nil, "bob@example.test"); err != nil {
			t.Fatal(err)
		}
		if got := read(t, g.store, "b", inbox); len(got) != 1 || !strings.HasSuffix(got[0], string(seen[0])) || string(seen[0]) != content || string(seen[1]) != content {
			t.Error("the filters saw another message than was stored")
		}
		seen = nil
		f := newOffice(t, func(o *OutboundOptions) { o.Scanner = look })
		if err := f.submit(t, alice, submission("bob@example.test", "eve@away.example"), "From: alice@example.test\r\n"+content, 1000); err != nil {
			t.Fatal(err)
		}
		if raw := f.outgoing(t, f.rows[0]); len(seen) != 4 || !strings.HasSuffix(raw, string(seen[0])) || !bytes.Equal(seen[0], seen[3]) {
			t.Errorf("looked at %d times, or at another message than leaves", len(seen))
		}
	}
}

func TestWhatFiltersWantOfWhatLeaves(t *testing.T) {
	t.Parallel()
	f := newOffice(t, func(o *OutboundOptions) {
		o.Policy = func() Policy { return Policy{JunkAt: 1} }
		o.Scanner = script(func(m *Message) (*Scan, error) {
			if !m.Outgoing {
				return scanOf(envelope.Effect{Kind: envelope.EffectAddHeader, Name: "X-Here", Argument: "secret"}), nil
			}
			return scanOf(envelope.Effect{Kind: envelope.EffectRequireTLS}, points("A", 2), propose(envelope.EffectFileInto, "Nowhere", ""),
				envelope.Effect{Kind: envelope.EffectAddHeader, Name: "X-House", Argument: "ours"},
				propose(envelope.EffectCopy, "archive@away.example", ""),
				propose(envelope.EffectRedirect, "new@away.example", "old@away.example"),
				propose(envelope.EffectQuarantine, "", "slow@away.example"),
				propose(envelope.EffectDiscard, "", "gone@away.example")), nil
		})
	})
	env := submission("bob@example.test", "eve@away.example", "old@away.example", "slow@away.example", "gone@away.example")
	if err := f.submit(t, alice, env, "TLS-Required: No\r\n"+letter, 1000); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, q := range f.rows {
		item, err := queue.ItemOf(&q)
		if err != nil || !item.RequireTLS || item.TLSOptional || item.Account != "a" {
			t.Errorf("%+v %v", item, err)
		}
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", q.Recipient, item.Kind, item.State, item.Header)))
	}
	if want := []string{
		"eve@away.example submission waiting", "new@away.example forward waiting Delivered-To: old@away.example",
		"slow@away.example submission held", "archive@away.example forward waiting Delivered-To: alice@example.test",
	}; !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	raw := f.outgoing(t, f.rows[0])
	if !strings.Contains(raw, "\r\nX-House: ours\r\nTLS-Required") || strings.Contains(raw, "X-Here") {
		t.Error(raw)
	}
	counts(t, f.store, map[string]int{"b INBOX": 1})
	if err := f.submit(t, alice, submission("bob@example.test"), letter, 1000); err != nil {
		t.Fatal(err)
	}
	// Here a copy leaves the house as well.
	if got := read(t, f.store, "b", inbox); len(got) != 2 || strings.Contains(got[1], "X-Here") {
		t.Errorf("%q", got)
	}
}

// What must not leave is kept away here too, whatever the filters of what
// arrives say; and where mail is filed is for them alone to say.
func TestWhatLeavesAndArrives(t *testing.T) {
	t.Parallel()
	leaving, arriving := []envelope.Effect{}, []envelope.Effect{}
	f := newOffice(t, func(o *OutboundOptions) {
		o.Policy = func() Policy { return Policy{JunkAt: 1} }
		o.SentAfter = func(context.Context, string) time.Duration { return time.Minute }
		o.Scanner = script(func(m *Message) (*Scan, error) {
			if m.Outgoing {
				return scanOf(leaving...), nil
			}
			return scanOf(arriving...), nil
		})
	})
	send := func() string {
		t.Helper()
		env := submission("bob@example.test")
		trace := maillog.Log{}.NewTrace(env.ID)
		m := f.out.Stage(t.Context(), env, trace, alice)
		defer m.Discard()
		io.WriteString(m, letter)
		if err := m.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		return said(trace)
	}
	leaving = []envelope.Effect{propose(envelope.EffectQuarantine, "", "")}
	arriving = []envelope.Effect{propose(envelope.EffectRedirect, "x@away.example", ""), propose(envelope.EffectFileInto, "Lists", "")}
	send()
	counts(t, f.store, map[string]int{"b Quarantine": 1})

	leaving = []envelope.Effect{points("A", 5), propose(envelope.EffectFileInto, "Nowhere", ""), propose(envelope.EffectTag, "t", "bob@example.test")}
	arriving = nil
	if s := send(); strings.Contains(s, "junk mailbox") || !strings.Contains(s, "left out: mailboxes and tags are for mail that arrives") {
		t.Error(s)
	}
	counts(t, f.store, map[string]int{"b Quarantine": 1, "b INBOX": 1})

	// Of what is thrown away nobody wants a copy.
	before := len(f.rows)
	leaving = []envelope.Effect{propose(envelope.EffectDiscard, "", "")}
	send()
	if len(f.rows) != before {
		t.Errorf("%+v", f.rows[before:])
	}
}

// A mailbox that a filter names brings nobody back.
func TestNobodysMailboxIsNotMadeByFilters(t *testing.T) {
	t.Parallel()
	for _, e := range []envelope.Effect{propose(envelope.EffectFileInto, "Lists", ""), propose(envelope.EffectFileInto, "Junk", ""), propose(envelope.EffectQuarantine, "", "")} {
		in, s := newBox(t, proposing(e))
		_, err := send(t, in, note, "gone@example.test")
		boxes, listed := s.Mailboxes(t.Context(), "removed")
		if codeOf(err) != 451 || listed != nil || len(boxes) > 0 {
			t.Errorf("%s: %v, %v %v", e.Kind, err, boxes, listed)
		}
	}
}

// What arrives at people here has the fields of its filters where no stranger
// sees them.
func TestFieldsOfWhatStaysHere(t *testing.T) {
	t.Parallel()
	f := newOffice(t, func(o *OutboundOptions) {
		o.Scanner = script(func(m *Message) (*Scan, error) {
			if m.Outgoing {
				return &Scan{}, nil
			}
			return scanOf(envelope.Effect{Kind: envelope.EffectAddHeader, Name: "X-Here", Argument: "yes"},
				propose(envelope.EffectRedirect, "alice@example.test", "bob@example.test"), propose(envelope.EffectTag, "t", "")), nil
		})
	})
	if err := f.submit(t, alice, submission("bob@example.test"), letter, 1000); err != nil {
		t.Fatal(err)
	}
	counts(t, f.store, map[string]int{"a INBOX": 1})
	if got := read(t, f.store, "a", inbox); len(got) != 1 || !strings.Contains(got[0], "\r\nX-Here: yes\r\n") {
		t.Errorf("%q", got)
	}
}

// A box without filters asks none, and says so.
func TestNoFiltersCostNothing(t *testing.T) {
	t.Parallel()
	g := newGate(t, none{t}, Policy{RejectAt: 1})
	if err := g.take(t, note, nil, "bob@example.test"); err != nil {
		t.Fatal(err)
	}
	if s := said(g.trace); !strings.Contains(s, "scanned no filters are installed") {
		t.Error(s)
	}
	f := newOffice(t, func(o *OutboundOptions) { o.Scanner = none{t} })
	if err := f.submit(t, alice, submission("bob@example.test"), letter, 1000); err != nil {
		t.Fatal(err)
	}
	counts(t, f.store, map[string]int{"b INBOX": 1})
}

// none has no filters and must not be asked.
type none struct{ t *testing.T }

func (none) Filters(bool) int { return 0 }
func (n none) Scan(context.Context, *Message) (*Scan, error) {
	n.t.Error("asked")
	return nil, errors.New("asked")
}
