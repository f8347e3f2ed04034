package deliver

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/queue"
	"hauspost/appliance/reply"
	"hauspost/appliance/senderauth"
	"hauspost/store"
)

// town is a Directory of a box for example.test: alice, bob, and the alias
// "both" to bob and to an address elsewhere.
type town struct{}

func (town) Resolve(_ context.Context, a envelope.Address) ([]envelope.Target, error) {
	bob := envelope.Target{Account: "b", Address: envelope.MustAddress("bob@example.test")}
	switch {
	case a.Domain != "example.test" && a.Domain != "":
		return nil, reply.RelayDenied
	case a.Local == "alice" || a.Local == "postmaster":
		return []envelope.Target{{Account: "a", Address: a}}, nil
	case a.Local == "bob":
		return []envelope.Target{bob}, nil
	case a.Local == "both":
		return []envelope.Target{bob, {Address: envelope.MustAddress("bob@away.example"), Alias: a, Via: "alias both@example.test"}}, nil
	}
	return nil, reply.UnknownRecipient
}

// office is an outbound path with what it brought about.
type office struct {
	out   *Outbound
	store *store.Store
	rows  []store.Queued
}

func newOffice(t *testing.T, change func(*OutboundOptions)) *office {
	t.Helper()
	_, s := newBox(t, nil)
	f := &office{store: s}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	o := OutboundOptions{
		Store: s, Directory: town{}, Hostname: "mail.example.test", Now: func() time.Time { return at },
		Wake: func(rows []store.Queued) { f.rows = append(f.rows, rows...) },
		Owns: func(_ context.Context, account string, addr envelope.Address) (bool, error) {
			return account == "a" && strings.HasPrefix(addr.String(), "alice") && addr.Domain == "example.test", nil
		},
		Keys: func(_ context.Context, domain string) ([]senderauth.Key, error) {
			if domain != "example.test" {
				return nil, nil
			}
			return []senderauth.Key{{Domain: domain, Selector: "e1", Private: private}}, nil
		},
	}
	if change != nil {
		change(&o)
	}
	f.out = NewOutbound(o)
	return f
}

func submission(to ...string) *envelope.Envelope {
	env := &envelope.Envelope{
		ID: envelope.NewID(at), From: envelope.MustAddress("alice@example.test"), Received: at,
		Client: envelope.Client{Addr: netip.MustParseAddrPort("192.0.2.9:5000"), HELO: "phone", Protocol: "ESMTPSA", TLS: "TLS1.3"},
	}
	for _, a := range to {
		env.To = append(env.To, envelope.Recipient{Address: envelope.MustAddress(a)})
	}
	return env
}

var alice = Author{Account: "a", Name: "alice@example.test"}

// submit hands a message in, in pieces of n octets.
func (f *office) submit(t *testing.T, by Author, env *envelope.Envelope, content string, n int) error {
	t.Helper()
	m := f.out.Stage(t.Context(), env, maillog.Log{}.NewTrace(env.ID), by)
	defer m.Discard()
	for len(content) > 0 {
		k := min(n, len(content))
		if _, err := io.WriteString(m, content[:k]); err != nil {
			return err
		}
		content = content[k:]
	}
	return m.Commit(t.Context())
}

// outgoing reads a row's message as it is stored.
func (f *office) outgoing(t *testing.T, q store.Queued) string {
	t.Helper()
	raw, err := f.store.ReadMessage(t.Context(), q.Entry(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const letter = "From: Alice <alice@example.test>\r\nTo: bob@example.test, eve@away.example\r\nBcc: secret@away.example,\r\n\thidden@away.example\r\nSubject: x\r\n\r\nhello\r\n"

func TestOutbound(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 7, 1000} {
		f := newOffice(t, nil)
		env := submission("bob@example.test", "eve@away.example", "secret@away.example", "eve@away.example")
		if err := f.submit(t, alice, env, letter, n); err != nil {
			t.Fatal(err)
		}
		inbox := read(t, f.store, "b", "INBOX")
		if len(inbox) != 1 || len(f.rows) != 2 {
			t.Fatalf("bob has %d, the queue %+v", len(inbox), f.rows)
		}
		raw := f.outgoing(t, f.rows[0])
		if raw != inbox[0] {
			t.Errorf("bob got another message than leaves:\n%s\n%s", inbox[0], raw)
		}
		prefix, rest, ok := strings.Cut(raw, "From: Alice")
		if !ok || strings.Contains(strings.ToLower(raw), "secret@") || strings.Contains(raw, "hidden@") || strings.Contains(raw, "Bcc") {
			t.Errorf("blind copies show:\n%s", raw)
		}
		for _, want := range []string{"Return-Path: <alice@example.test>\r\nDKIM-Signature: ", "d=example.test", "s=e1", "Received: from phone ([192.0.2.9])\r\n\tby mail.example.test with ESMTPSA id " + string(env.ID)} {
			if !strings.Contains(prefix, want) {
				t.Errorf("%q is not in\n%s", want, prefix)
			}
		}
		if strings.Contains(prefix, "for <") {
			t.Errorf("one of several recipients is named:\n%s", prefix)
		}
		want := " <alice@example.test>\r\nTo: bob@example.test, eve@away.example\r\nSubject: x\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <" + string(env.ID) + "@mail.example.test>\r\n\r\nhello\r\n"
		if rest != want {
			t.Errorf("%q\nwant %q", rest, want)
		}
		item, err := queue.ItemOf(&f.rows[1])
		if err != nil || item.Kind != queue.KindSubmission || item.Account != "a" || item.Destination != "away.example" || item.Recipient.Address.Local != "secret" || !item.Due.Equal(at) {
			t.Errorf("%+v, %v", item, err)
		}
	}
}

func TestOutboundRefuses(t *testing.T) {
	t.Parallel()
	f := newOffice(t, nil)
	for name, c := range map[string]struct {
		content string
		code    int
	}{
		"somebody else":       {"From: bob@example.test\r\n\r\n", 553},
		"one of two":          {"From: alice@example.test, bob@example.test\r\nSender: alice@example.test\r\n\r\n", 553},
		"sender":              {"From: alice@example.test\r\nSender: bob@example.test\r\n\r\n", 553},
		"outside":             {"From: alice@away.example\r\n\r\n", 553},
		"two fields":          {"From: alice@example.test\r\nFrom: alice@example.test\r\n\r\n", 554},
		"obsolete spacing":    {"From: alice@example.test\r\nFrom : bob@example.test\r\n\r\n", 554},
		"folded":              {"From:\r\n bob@example.test\r\n\r\n", 553},
		"comment":             {"From: alice@example.test (\r\n) <bob@example.test>\r\n\r\n", 554},
		"nobody":              {"From: \r\n\r\n", 554},
		"group":               {"From: x: bob@example.test;\r\n\r\n", 553},
		"empty group":         {"From: \"Bob <bob@example.test>\":;\r\n\r\n", 554},
		"second sender":       {"From: alice@example.test\r\nSender: alice@example.test\r\nSender: bob@example.test\r\n\r\n", 554},
		"goes round":          {strings.Repeat("Received: x\r\n", 51) + "From: alice@example.test\r\n\r\n", 554},
		"endless header":      {"From: alice@example.test\r\n" + strings.Repeat("X: y\r\n", 50_000) + "\r\n", 552},
		"endless header line": {strings.Repeat("x", maxHeader+1), 552},
	} {
		err := f.submit(t, alice, submission("eve@away.example"), c.content, 1000)
		if err == nil || reply.Of(err).Code != c.code {
			t.Errorf("%s: %v, want %d", name, err, c.code)
		}
	}
	if len(f.rows) > 0 {
		t.Errorf("something was queued: %+v", f.rows)
	}
}

// Who may write for the whole house writes for people of the house alone.
func TestOutboundOfTheHouse(t *testing.T) {
	t.Parallel()
	f := newOffice(t, nil)
	house := Author{Name: "192.0.2.9"}
	if err := f.submit(t, house, submission("eve@away.example"), "From: bob@example.test\r\n\r\n", 100); err != nil {
		t.Error(err)
	}
	for _, from := range []string{"nobody@example.test", "eve@away.example"} {
		if err := f.submit(t, house, submission("eve@away.example"), "From: "+from+"\r\n\r\n", 100); err == nil || reply.Of(err).Code != 553 {
			t.Errorf("From: %s: %v", from, err)
		}
	}
}

// Programs of the house write as anybody there, also as nobody.
func TestOutboundOfPrograms(t *testing.T) {
	t.Parallel()
	f := newOffice(t, nil)
	for from, ok := range map[string]bool{"noreply@example.test": true, "bob@example.test": true, "eve@away.example": false} {
		err := f.submit(t, Author{Name: "www-data", House: true}, submission("eve@away.example"), "From: "+from+"\r\n\r\n", 100)
		if (err == nil) != ok {
			t.Errorf("%s: %v", from, err)
		}
	}
}

// What has no header, no empty line or nothing at all leaves as a message.
func TestOutboundCompletes(t *testing.T) {
	t.Parallel()
	for content, body := range map[string]string{
		"":                               "",
		"\r\n":                           "",
		"just words\r\n":                 "just words\r\n",
		"Subject: x":                     "",
		"Subject: x\r\n":                 "",
		"Subject: x\r\nno field\r\nb":    "no field\r\nb",
		"\r\nbody\r\n\r\nmore\r\n":       "body\r\n\r\nmore\r\n",
		"words\r\n\r\nbut no header\r\n": "words\r\n\r\nbut no header\r\n",
	} {
		for _, n := range []int{1, 1000} {
			f := newOffice(t, nil)
			if err := f.submit(t, alice, submission("eve@away.example"), content, n); err != nil {
				t.Errorf("%q: %v", content, err)
				continue
			}
			raw := f.outgoing(t, f.rows[0])
			header, rest, _ := strings.Cut(raw, "\r\n\r\n")
			for _, want := range []string{"\r\nFrom: <alice@example.test>\r\n", "\r\nDate: ", "\r\nMessage-ID: <"} {
				if !strings.Contains(header, want) {
					t.Errorf("%q: no %q in %q", content, want, header)
				}
			}
			if rest != body {
				t.Errorf("%q: the body became %q", content, rest)
			}
		}
	}
}

func TestOutboundHidesTheClient(t *testing.T) {
	t.Parallel()
	f := newOffice(t, func(o *OutboundOptions) { o.HideClient, o.Keys = true, nil })
	if err := f.submit(t, alice, submission("eve@away.example"), letter, 1000); err != nil {
		t.Fatal(err)
	}
	raw := f.outgoing(t, f.rows[0])
	if strings.Contains(raw, "192.0.2.9") || strings.Contains(raw, "phone") || strings.Contains(raw, "DKIM") || !strings.Contains(raw, "Received: by mail.example.test with ESMTPSA") {
		t.Error(raw)
	}
}

func TestOutboundFilters(t *testing.T) {
	t.Parallel()
	for kind, code := range map[envelope.EffectKind]int{envelope.EffectReject: 550, envelope.EffectTempfail: 451, envelope.EffectDiscard: 0, envelope.EffectQuarantine: 0} {
		f := newOffice(t, func(o *OutboundOptions) {
			o.Scanner = fake{effects: []envelope.Effect{{Kind: kind, By: "f", Detail: "d"}}}
		})
		err := f.submit(t, alice, submission("eve@away.example"), letter, 1000)
		if code == 0 && err != nil || code != 0 && (err == nil || reply.Of(err).Code != code) {
			t.Errorf("%s: %v", kind, err)
		}
		switch {
		case kind != envelope.EffectQuarantine && len(f.rows) > 0:
			t.Errorf("%s: queued", kind)
		case kind == envelope.EffectQuarantine && (len(f.rows) != 1 || f.rows[0].State != uint8(queue.Held)):
			t.Errorf("%s: %+v", kind, f.rows)
		}
	}
	f := newOffice(t, func(o *OutboundOptions) { o.Scanner = fake{err: errors.New("broken")} })
	if err := f.submit(t, alice, submission("eve@away.example"), letter, 1000); err == nil || !reply.Of(err).Temporary() {
		t.Error(err)
	}
}

// arriving is a Scanner whose effects are for mail that arrives alone.
type arriving struct{ fake }

func (f arriving) Scan(ctx context.Context, m *Message) (*Scan, error) {
	if m.Outgoing {
		return &Scan{}, nil
	}
	return f.fake.Scan(ctx, m)
}

// Mail of one of the house to another takes the path of mail from outside.
func TestOutboundArrives(t *testing.T) {
	t.Parallel()
	for kind, mailbox := range map[envelope.EffectKind]string{
		envelope.EffectFileInto: "Lists", envelope.EffectQuarantine: quarantine, envelope.EffectDiscard: "", envelope.EffectReject: "",
	} {
		f := newOffice(t, func(o *OutboundOptions) {
			o.Scanner = arriving{fake{effects: []envelope.Effect{{Kind: kind, By: "f", Detail: "d", Argument: "Lists"}}}}
		})
		err := f.submit(t, alice, submission("bob@example.test", "eve@away.example"), letter, 1000)
		if kind == envelope.EffectReject {
			if err == nil || reply.Of(err).Code != 550 || len(f.rows) > 0 {
				t.Errorf("%s: %v, %+v", kind, err, f.rows)
			}
			continue
		}
		if err != nil || len(f.rows) != 1 || f.rows[0].State != uint8(queue.Waiting) {
			t.Errorf("%s: %v, %+v", kind, err, f.rows)
		}
		for _, m := range []string{"INBOX", "Lists", quarantine} {
			if got := read(t, f.store, "b", m); (len(got) == 1) != (m == mailbox) {
				t.Errorf("%s: %s has %d", kind, m, len(got))
			}
		}
		by := alice
		by.With = func(tx *store.Tx) error { return tx.Put("spool", "file", nil) }
		if err := f.submit(t, by, submission("bob@example.test"), letter, 1000); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := f.store.Get(t.Context(), "spool", "file"); err != nil {
			t.Errorf("%s: what belongs to the commit is missing: %v", kind, err)
		}
	}
}

// An alias leads in and out of the house in one message.
func TestOutboundThroughAnAlias(t *testing.T) {
	t.Parallel()
	f := newOffice(t, nil)
	if err := f.submit(t, alice, submission("both@example.test"), letter, 1000); err != nil {
		t.Fatal(err)
	}
	if len(f.rows) != 1 || len(read(t, f.store, "b", "INBOX")) != 1 {
		t.Fatalf("%+v", f.rows)
	}
	item, err := queue.ItemOf(&f.rows[0])
	if err != nil || item.Header != "Delivered-To: both@example.test\r\n" || item.Recipient.Address.String() != "bob@away.example" || item.Sender.String() != "alice@example.test" {
		t.Errorf("%+v, %v", item, err)
	}
}

// The commit of a message may carry something else, and fails with it.
func TestOutboundWith(t *testing.T) {
	t.Parallel()
	f := newOffice(t, nil)
	by := alice
	by.With = func(tx *store.Tx) error { return tx.Put("spool", "file", nil) }
	if err := f.submit(t, by, submission("eve@away.example"), letter, 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Get(t.Context(), "spool", "file"); err != nil {
		t.Error(err)
	}
	by.With = func(*store.Tx) error { return errors.New("no") }
	if err := f.submit(t, by, submission("eve@away.example"), letter, 1000); err == nil || len(f.rows) != 1 {
		t.Errorf("%v, %d rows", err, len(f.rows))
	}
}

func TestForwarding(t *testing.T) {
	t.Parallel()
	var rows []store.Queued
	in, s := newBox(t, nil)
	in.o.Directory, in.o.Wake = town{}, func(r []store.Queued) { rows = append(rows, r...) }
	id, err := send(t, in, "Subject: x\r\n\r\nhello\r\n", "both@example.test")
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || len(read(t, s, "b", "INBOX")) != 1 {
		t.Fatalf("%+v", rows)
	}
	item, err := queue.ItemOf(&rows[0])
	if err != nil || item.Kind != queue.KindForward || string(item.Message) != string(id) || item.Sender.String() != "sender@remote.test" || item.Account != "" ||
		item.Alias.String() != "both@example.test" || item.Header != "Delivered-To: both@example.test\r\n" {
		t.Errorf("%+v, %v", item, err)
	}
	// It comes back, however its field is spelled.
	for _, again := range []string{item.Header, "delivered-to:  <Both@EXAMPLE.test>\r\n", "X: y\r\nDelivered-To:\r\n\tboth@example.test\r\n"} {
		if _, err := send(t, in, again+"Subject: x\r\n\r\nhello\r\n", "both@example.test"); err == nil || reply.Of(err).Enhanced != "5.4.6" {
			t.Errorf("%q: %v", again, err)
		}
	}
	// Other recipients get it all the same.
	if _, err := send(t, in, item.Header+"Subject: x\r\n\r\nagain\r\n", "both@example.test", "alice@example.test"); err != nil {
		t.Error(err)
	}
	if len(rows) != 1 || len(read(t, s, "b", "INBOX")) != 1 || len(read(t, s, "a", "INBOX")) != 1 {
		t.Errorf("%d rows, bob has %d, alice %d", len(rows), len(read(t, s, "b", "INBOX")), len(read(t, s, "a", "INBOX")))
	}
	if _, err := send(t, in, "Delivered-To: other@example.test\r\n\r\n", "both@example.test"); err != nil {
		t.Error(err)
	}
}

func TestReports(t *testing.T) {
	t.Parallel()
	f := newOffice(t, nil)
	r := &Reports{Store: f.store, Directory: town{}, Wake: f.out.o.Wake, Hostname: "mail.example.test", Now: func() time.Time { return at }}
	var did int
	with := func(tx *store.Tx) error { did++; return tx.Put("row", "gone", nil) }
	const content = "Subject: Not delivered\r\n\r\nsorry\r\n"
	if _, err := r.Report(t.Context(), envelope.MustAddress("alice@example.test"), []byte(content), with); err != nil || did != 1 {
		t.Fatal(err, did)
	}
	if got := read(t, f.store, "a", "INBOX"); len(got) != 1 || !strings.HasPrefix(got[0], "Return-Path: <>\r\nReceived: by mail.example.test id ") || !strings.HasSuffix(got[0], content) {
		t.Errorf("%q", got)
	}
	if _, err := r.Report(t.Context(), envelope.MustAddress("eve@away.example"), []byte(content), with); err != nil || len(f.rows) != 1 {
		t.Fatal(err)
	}
	if item, err := queue.ItemOf(&f.rows[0]); err != nil || !item.Sender.IsNull() || item.Kind != queue.KindReport || item.Recipient.Notify != "NEVER" {
		t.Errorf("%+v, %v", item, err)
	}
	if _, err := r.Report(t.Context(), envelope.MustAddress("noreply@example.test"), []byte(content), with); err != nil || did != 3 {
		t.Errorf("%v, %d", err, did)
	}
	if got := read(t, f.store, "a", "INBOX"); len(got) != 2 {
		t.Errorf("postmaster has %d", len(got))
	}
	r.Directory = people{}
	if _, err := r.Report(t.Context(), envelope.MustAddress("nobody@example.test"), []byte(content), with); !errors.Is(err, queue.ErrNobody) || did != 3 {
		t.Errorf("%v, %d", err, did)
	}
}

func TestSentCopies(t *testing.T) {
	t.Parallel()
	saves := func(o *OutboundOptions) {
		o.SentAfter = func(_ context.Context, account string) time.Duration {
			if account == "a" {
				return time.Minute
			}
			return 0
		}
	}
	noBcc := strings.Replace(letter, "Bcc: secret@away.example,\r\n\thidden@away.example\r\n", "Message-ID: <m1@phone>\r\n", 1)
	for name, c := range map[string]struct {
		content string
		saved   string
		want    string
	}{
		"none saved":        {content: noBcc, want: "Subject: x\r\n"},
		"none saved, Bcc":   {content: letter, want: "Bcc: secret@away.example,\r\n\thidden@away.example\r\n\r\nhello"},
		"saved":             {content: noBcc, saved: "Message-Id: <M1@phone>\r\n\r\n"},
		"another one saved": {content: noBcc, saved: "Message-Id: <m2@phone>\r\n\r\n", want: "Subject: x\r\n"},
	} {
		f := newOffice(t, saves)
		if c.saved != "" {
			appendTo(t, f.store, "Sent", c.saved)
		}
		if err := f.submit(t, alice, submission("eve@away.example"), c.content, 1000); err != nil {
			t.Fatal(err)
		}
		if len(f.rows) != 2 || f.rows[1].Destination != queue.SentDestination || f.rows[1].Due != at.Add(time.Minute).UnixMilli() {
			t.Fatalf("%s: %+v", name, f.rows)
		}
		item, err := queue.ItemOf(&f.rows[1])
		if err != nil {
			t.Fatal(err)
		}
		sent := &Sent{Store: f.store, Now: func() time.Time { return at }}
		if err := sent.File(t.Context(), item); err != nil {
			t.Fatal(name, err)
		}
		got := slices.DeleteFunc(read(t, f.store, "a", "Sent"), func(m string) bool { return c.saved != "" && strings.HasSuffix(m, c.saved) })
		if (c.want == "") != (len(got) == 0) || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%s: %q", name, got)
		}
		if _, err := f.store.Queued(t.Context(), item.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: the row is still there: %v", name, err)
		}
		if err := sent.File(t.Context(), item); err == nil {
			t.Errorf("%s: filed a second time", name)
		}
	}
}

func appendTo(t *testing.T, s *store.Store, mailbox, content string) {
	t.Helper()
	st := s.Stage()
	if _, err := io.WriteString(st, content); err != nil {
		t.Fatal(err)
	}
	id, err := store.ParseID(string(envelope.NewID(time.Now())))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Deliver(t.Context(), st, store.Delivery{ID: id, Places: []store.Place{{Owner: "a", Mailbox: mailbox, Create: true}}}); err != nil {
		t.Fatal(err)
	}
}
