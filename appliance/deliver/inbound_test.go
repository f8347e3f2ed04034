package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/message"
	"hauspost/appliance/reply"
	"hauspost/store"
)

// people is a Directory: address → accounts.
type people map[string][]string

func (p people) Resolve(_ context.Context, a envelope.Address) ([]envelope.Target, error) {
	var ts []envelope.Target
	for _, account := range p[a.Key()] {
		ts = append(ts, envelope.Target{Account: account, Address: a})
	}
	if ts == nil {
		return nil, reply.UnknownRecipient
	}
	return ts, nil
}

// filter is a Scanner with one filter.
type fake struct {
	effects []envelope.Effect
	err     error
}

func (fake) Filters(bool) int { return 1 }
func (f fake) Scan(context.Context, *Message) (*Scan, error) {
	return &Scan{Runs: []envelope.Run{{Filter: "test", Stage: "on_message", Effects: f.effects}}}, f.err
}

var at = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func newBox(t *testing.T, sc Scanner) (*Inbound, *store.Store) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Index: func(raw []byte) store.Derived { return store.Derived{MessageID: message.Index(raw).MessageID} }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, owner := range []string{"a", "b"} {
		if _, err := s.CreateMailbox(t.Context(), owner, "INBOX", ""); err != nil {
			t.Fatal(err)
		}
	}
	dir := people{"gone@example.test": {"removed"}, "alice@example.test": {"a"}, "bob@example.test": {"b"}, "all@example.test": {"a", "b"}}
	return NewInbound(Options{Store: s, Directory: dir, Scanner: sc, Hostname: "mail.example.test", Now: func() time.Time { return at }}), s
}

func send(t *testing.T, in *Inbound, content string, to ...string) (envelope.ID, error) {
	t.Helper()
	env := &envelope.Envelope{
		ID: envelope.NewID(at), From: envelope.MustAddress("sender@remote.test"), Received: at,
		Client: envelope.Client{Addr: netip.MustParseAddrPort("192.0.2.7:4000"), HELO: "mx.remote.test", Hostname: "mx.remote.test", Protocol: "ESMTPS", TLS: "TLS1.3 TLS_AES_128_GCM_SHA256"},
	}
	for _, a := range to {
		env.To = append(env.To, envelope.Recipient{Address: envelope.MustAddress(a)})
	}
	st := in.Stage(t.Context(), env, maillog.Log{}.NewTrace(env.ID))
	if _, err := io.WriteString(st, content); err != nil {
		t.Fatal(err)
	}
	return env.ID, st.Commit(t.Context())
}

func read(t *testing.T, s *store.Store, owner, mailbox string) []string {
	t.Helper()
	m, err := s.Mailbox(t.Context(), owner, mailbox)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Live(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var all []string
	for _, e := range l.Entries(nil) {
		raw, err := s.ReadMessage(t.Context(), e, nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(raw))
	}
	return all
}

func TestDelivered(t *testing.T) {
	t.Parallel()
	in, s := newBox(t, nil)
	id, err := send(t, in, "Subject: x\r\n\r\nhello\r\n", "alice@example.test")
	if err != nil {
		t.Fatal(err)
	}
	want := "Return-Path: <sender@remote.test>\r\n" +
		"Received: from mx.remote.test (mx.remote.test [192.0.2.7])\r\n" +
		"\t(using TLS1.3 TLS_AES_128_GCM_SHA256)\r\n" +
		"\tby mail.example.test with ESMTPS id " + string(id) + "\r\n" +
		"\tfor <alice@example.test>;\r\n" +
		"\tSat, 21 Nov 2026 12:00:00 +0000\r\n" +
		"Subject: x\r\n\r\nhello\r\n"
	if got := read(t, s, "a", "INBOX"); len(got) != 1 || got[0] != want {
		t.Fatalf("%q", got)
	}
	sid, err := store.ParseID(string(id))
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := s.Trace(t.Context(), sid)
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, b := range blobs {
		var es []maillog.Entry
		if err := json.Unmarshal(b, &es); err != nil {
			t.Fatal(err)
		}
		for _, e := range es {
			steps = append(steps, e.Step)
		}
	}
	if got := strings.Join(steps, " "); got != "scanned decided stored" {
		t.Errorf("trace: %s", got)
	}
}

func TestOnePersonBehindSeveralRecipients(t *testing.T) {
	t.Parallel()
	in, s := newBox(t, nil)
	if _, err := send(t, in, "Subject: x\r\n\r\n", "alice@example.test", "all@example.test"); err != nil {
		t.Fatal(err)
	}
	a, b := read(t, s, "a", "INBOX"), read(t, s, "b", "INBOX")
	if len(a) != 1 || len(b) != 1 {
		t.Fatalf("alice has %d, bob %d", len(a), len(b))
	}
	if strings.Contains(a[0], "for <") {
		t.Errorf("with several recipients none is named: %s", a[0])
	}
}

func TestHops(t *testing.T) {
	t.Parallel()
	in, s := newBox(t, nil)
	for n, ok := range map[int]bool{DefaultMaxHops: true, DefaultMaxHops + 1: false} {
		_, err := send(t, in, strings.Repeat("received : by x\r\n", n)+"\r\nReceived: in the body\r\n", "alice@example.test")
		if (err == nil) != ok {
			t.Errorf("%d hops: %v", n, err)
		}
	}
	if n := len(read(t, s, "a", "INBOX")); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	effect := func(k envelope.EffectKind, arg string) []envelope.Effect {
		return []envelope.Effect{{Kind: k, By: "test", Symbol: "S", Detail: "because", Argument: arg}}
	}
	for _, tt := range []struct {
		name    string
		filter  fake
		code    int
		mailbox string
	}{
		{"keep", fake{}, 0, "INBOX"},
		{"score", fake{effects: effect(envelope.EffectScore, "")}, 0, "INBOX"},
		{"fileinto", fake{effects: effect(envelope.EffectFileInto, "Lists")}, 0, "Lists"},
		{"quarantine", fake{effects: effect(envelope.EffectQuarantine, "")}, 0, "Quarantine"},
		{"discard", fake{effects: effect(envelope.EffectDiscard, "")}, 0, ""},
		{"tempfail", fake{effects: effect(envelope.EffectTempfail, "")}, 451, ""},
		{"reject", fake{effects: append(effect(envelope.EffectQuarantine, ""), effect(envelope.EffectReject, "")...)}, 550, ""},
		{"broken filter", fake{err: errors.New("boom")}, 451, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in, s := newBox(t, tt.filter)
			_, err := send(t, in, "Subject: x\r\n\r\n", "alice@example.test")
			if code := codeOf(err); code != tt.code {
				t.Fatalf("%v", err)
			}
			for _, m := range []string{"INBOX", "Lists", "Quarantine"} {
				want := 0
				if m == tt.mailbox {
					want = 1
				}
				if n := len(read(t, s, "a", m)); n != want {
					t.Errorf("%s has %d messages", m, n)
				}
			}
		})
	}
}

func codeOf(err error) int {
	if err == nil {
		return 0
	}
	return reply.Of(err).Code
}

func TestRecipientThatWentAwayIsAskedAgain(t *testing.T) {
	t.Parallel()
	in, s := newBox(t, nil)
	_, err := send(t, in, "Subject: x\r\n\r\n", "alice@example.test", "nobody@example.test")
	if codeOf(err) != 451 || len(read(t, s, "a", "INBOX")) != 0 {
		t.Fatal(err)
	}
}

func TestTraceHeaderHoldsNoLineBreaks(t *testing.T) {
	t.Parallel()
	env := &envelope.Envelope{
		From:   envelope.Address{Local: "a\r\nX-Evil: 1", Domain: "x"},
		To:     []envelope.Recipient{{Address: envelope.Address{Local: "b\nX", Domain: "y"}}},
		Client: envelope.Client{HELO: "h\r\nX: 1", Hostname: "n\rX", Addr: netip.MustParseAddrPort("[2001:db8::1]:9")},
	}
	h := string(traceHeader(env, "mail.example.test", at))
	for line := range strings.SplitSeq(strings.TrimSuffix(h, "\r\n"), "\r\n") {
		if !strings.HasPrefix(line, "Return-Path:") && !strings.HasPrefix(line, "Received:") && !strings.HasPrefix(line, "\t") {
			t.Errorf("line %q", line)
		}
	}
	if !strings.Contains(h, "[IPv6:2001:db8::1]") {
		t.Error(h)
	}
}

func TestNobodysMailboxIsNotMade(t *testing.T) {
	t.Parallel()
	in, s := newBox(t, nil)
	_, err := send(t, in, "Subject: x\r\n\r\n", "gone@example.test")
	if codeOf(err)/100 != 4 || len(read(t, s, "removed", "INBOX")) != 0 {
		t.Fatal(err)
	}
}

func TestLongTraceIsCut(t *testing.T) {
	t.Parallel()
	in, s := newBox(t, nil)
	env := &envelope.Envelope{ID: envelope.NewID(at), From: envelope.MustAddress("s@remote.test"), To: []envelope.Recipient{{Address: envelope.MustAddress("alice@example.test")}}}
	tr := maillog.Log{}.NewTrace(env.ID)
	for range 2000 {
		tr.Add(maillog.Refused{Verb: "RCPT", Argument: "nobody-with-a-long-name@example.test", Code: 452, Enhanced: "4.5.3", Text: "Too many recipients"})
	}
	st := in.Stage(t.Context(), env, tr)
	io.WriteString(st, "Subject: x\r\n\r\n")
	if err := st.Commit(t.Context()); err != nil || len(read(t, s, "a", "INBOX")) != 1 {
		t.Fatal(err)
	}
}
