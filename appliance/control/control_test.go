package control

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// box is an Admin with fixed answers that remembers what it was asked.
type box struct {
	asked []any
	err   error
	ring  *Ring
	rows  []ReplayRow
}

func (b *box) note(what ...any) error {
	b.asked = append(b.asked, what...)
	return b.err
}

var day = time.Date(2026, 5, 17, 8, 30, 0, 0, time.UTC)

func (b *box) Status(context.Context) (Status, error) {
	return Status{Running: true, Hostname: "mail.example.test", Since: day, SMTP: map[string]int64{"active": 3},
		Listeners: []Listener{{"smtp", "127.0.0.1:25"}}}, b.note("status")
}
func (b *box) Domains(context.Context) ([]Domain, error) {
	return []Domain{{Name: "example.test", Created: day}}, b.note("domains")
}
func (b *box) AddDomain(_ context.Context, name, aliasOf string) (Domain, error) {
	return Domain{Name: name, AliasOf: aliasOf, Created: day}, b.note("domain-add", name, aliasOf)
}
func (b *box) RemoveDomain(_ context.Context, name string) error {
	return b.note("domain-remove", name)
}
func (b *box) Accounts(context.Context) ([]Account, error) {
	return []Account{{ID: "1", Address: "a@example.test", Created: day, Disabled: true}}, b.note("accounts")
}
func (b *box) AddAccount(_ context.Context, address, password string) (Account, error) {
	return Account{Address: address}, b.note("account-add", address, password)
}
func (b *box) RemoveAccount(_ context.Context, address string) error {
	return b.note("account-remove", address)
}
func (b *box) SetPassword(_ context.Context, address, password string) error {
	return b.note("account-password", address, password)
}
func (b *box) SetDisabled(_ context.Context, address string, disabled bool) error {
	return b.note("account-disabled", address, disabled)
}
func (b *box) SetSentCopy(_ context.Context, address string, on bool) error {
	return b.note("account-sent", address, on)
}
func (b *box) Queue(_ context.Context, q QueueQuery) (QueueList, error) {
	return QueueList{Rows: []QueueEntry{{Number: 7, State: QueueHeld, Added: day}}, Total: 9}, b.note("queue", q)
}
func (b *box) QueueShow(_ context.Context, ref string) (QueueItem, error) {
	return QueueItem{Rows: []QueueEntry{{Number: 7, Added: day, Next: day}}}, b.note("queue-show", ref)
}
func (b *box) QueueDo(_ context.Context, d QueueDeed) (QueueDone, error) {
	return QueueDone{Changed: 2, Undone: QueueDrop}, b.note("queue-do", d)
}
func (b *box) DKIMKeys(_ context.Context, domain string) ([]DKIMKey, error) {
	return []DKIMKey{{Domain: "example.test", Selector: "s", Record: DNSRecord{Type: "TXT"}}}, b.note("dkim", domain)
}
func (b *box) Aliases(context.Context) ([]Alias, error) {
	return []Alias{{Address: "@example.test", To: []string{"a@example.test"}, Created: day}}, b.note("aliases")
}
func (b *box) AddAlias(_ context.Context, address string, to []string) (Alias, error) {
	return Alias{Address: address, To: to}, b.note("alias-add", address, strings.Join(to, " "))
}
func (b *box) RemoveAlias(_ context.Context, address string) error {
	return b.note("alias-remove", address)
}
func (b *box) Trace(_ context.Context, id string) (Trace, error) {
	return Trace{ID: id, Entries: []TraceStep{{At: day, Step: "sender", Say: "said", Event: []byte(`{"from":"x"}`)}}}, b.note("trace", id)
}
func (b *box) Log(ctx context.Context, q LogQuery, fn func(LogEntry) error) error {
	return b.ring.Read(ctx, q, fn)
}
func (b *box) Config(context.Context) (Settings, error) {
	return Settings{Running: true, File: "f", Keys: map[string]any{"version": 1.0}, Text: "version = 1\n"}, b.note("config")
}
func (b *box) Verify(context.Context) (VerifyReport, error) {
	return VerifyReport{Messages: 2, Problems: []Problem{{Kind: "damaged", Text: "t", Remedy: "r"}}}, b.note("verify")
}
func (b *box) Close() error { return nil }

// serve runs a server for admin in a data folder and gives a client.
func serve(t *testing.T, admin Admin) (client *Client, server *Server, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hp") // short: the path of a socket is limited
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	server = NewServer(admin)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	if client, err = Dial(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Shutdown(context.Background())
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		os.RemoveAll(dir)
	})
	return client, server, dir
}

// TestEveryOperationCrossesTheSocket asks the same of an Admin directly and
// through the socket: arguments and answers must be the same.
func TestEveryOperationCrossesTheSocket(t *testing.T) {
	t.Parallel()
	rows := []ReplayRow{sampleRow, {ID: "y"}}
	direct, behind := &box{rows: rows}, &box{rows: rows}
	client, _, _ := serve(t, behind)
	ctx := t.Context()
	type result struct {
		value any
		err   error
	}
	one := func(value any, err error) result { return result{value, err} }
	query := QueueQuery{Refs: []string{"7", "x"}, Destination: "d", Sender: "s", Recipient: "r", Error: "e", State: QueueHeld,
		OlderThan: time.Hour, Limit: 3}
	request := PluginRequest{PluginSource{ID: "hello", Package: []byte("\nPK\x00{}"), From: "f"}, PluginChoice{Only: []string{"body"}, Deny: []string{"dns"}}}
	operations := map[string]func(a Admin) result{
		"status":           func(a Admin) result { return one(a.Status(ctx)) },
		"domains":          func(a Admin) result { return one(a.Domains(ctx)) },
		"domain-add":       func(a Admin) result { return one(a.AddDomain(ctx, "x.test", "y.test")) },
		"domain-remove":    func(a Admin) result { return result{err: a.RemoveDomain(ctx, "x.test")} },
		"accounts":         func(a Admin) result { return one(a.Accounts(ctx)) },
		"account-add":      func(a Admin) result { return one(a.AddAccount(ctx, "b@x.test", "secret \x00ü")) },
		"account-remove":   func(a Admin) result { return result{err: a.RemoveAccount(ctx, "b@x.test")} },
		"account-password": func(a Admin) result { return result{err: a.SetPassword(ctx, "b@x.test", "p")} },
		"account-disabled": func(a Admin) result { return result{err: a.SetDisabled(ctx, "b@x.test", true)} },
		"account-sent":     func(a Admin) result { return result{err: a.SetSentCopy(ctx, "b@x.test", true)} },
		"queue":            func(a Admin) result { return one(a.Queue(ctx, query)) },
		"queue-show":       func(a Admin) result { return one(a.QueueShow(ctx, "7")) },
		"queue-do": func(a Admin) result {
			return one(a.QueueDo(ctx, QueueDeed{Deed: QueueReroute, Query: query, All: true, Via: "direct"}))
		},
		"dkim":          func(a Admin) result { return one(a.DKIMKeys(ctx, "x.test")) },
		"aliases":       func(a Admin) result { return one(a.Aliases(ctx)) },
		"alias-add":     func(a Admin) result { return one(a.AddAlias(ctx, "i@x.test", []string{"a", "b"})) },
		"alias-remove":  func(a Admin) result { return result{err: a.RemoveAlias(ctx, "i@x.test")} },
		"plugins":       func(a Admin) result { return one(a.Plugins(ctx)) },
		"plugin-review": func(a Admin) result { return one(a.PluginReview(ctx, request)) },
		"plugin-install": func(a Admin) result {
			return one(a.PluginInstall(ctx, PluginRequest{PluginSource: PluginSource{ID: "hello"}}))
		},
		"plugin-update": func(a Admin) result { return one(a.PluginUpdate(ctx, request)) },
		"plugin-back":   func(a Admin) result { return one(a.PluginBack(ctx, "hello")) },
		"plugin-remove": func(a Admin) result { return result{err: a.PluginRemove(ctx, "hello", true)} },
		"plugin-enable": func(a Admin) result { return one(a.PluginEnable(ctx, "hello", true)) },
		"plugin-order":  func(a Admin) result { return one(a.PluginOrder(ctx, []string{"b", "a"})) },
		"plugin-grant": func(a Admin) result {
			return one(a.PluginGrant(ctx, PluginGrants{ID: "hello", Allow: []string{"body"}, Deny: []string{"keys"}, All: true}))
		},
		"plugin-replay": func(a Admin) result {
			type answer struct {
				rows   []ReplayRow
				totals ReplayTotals
			}
			var got answer
			var err error
			got.totals, err = a.PluginReplay(ctx, ReplayQuery{PluginSource: PluginSource{Package: []byte("PK")}, Override: true,
				Settings: "x = 1", Account: "a", Mailbox: "m", Limit: 7},
				func(r ReplayRow) error { got.rows = append(got.rows, r); return nil })
			return result{got, err}
		},
		"trace":  func(a Admin) result { return one(a.Trace(ctx, "id")) },
		"config": func(a Admin) result { return one(a.Config(ctx)) },
		"verify": func(a Admin) result { return one(a.Verify(ctx)) },
	}
	// Close and Log are the only methods without an operation here.
	if n := reflect.TypeFor[Admin]().NumMethod(); n != len(operations)+2 {
		t.Errorf("Admin has %d methods, and %d are tested", n, len(operations)+2)
	}
	for name, op := range operations {
		for _, err := range []error{nil, &Error{KindNotFound, "it is not there"}} {
			direct.asked, behind.asked, direct.err, behind.err = nil, nil, err, err
			want, got := op(direct), op(client)
			if !reflect.DeepEqual(behind.asked, direct.asked) || len(behind.asked) == 0 {
				t.Errorf("%s: asked %v, want %v", name, behind.asked, direct.asked)
			}
			if err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %+v, want %+v", name, got, want)
			}
			if err != nil && (!IsKind(got.err, KindNotFound) || got.err.Error() != "it is not there") {
				t.Errorf("%s: got the error %v, want %v", name, got.err, err)
			}
		}
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	t.Parallel()
	b := &box{}
	client, _, _ := serve(t, b)
	for _, kind := range []Kind{KindNotFound, KindExists, KindInvalid, KindNotRunning, KindInternal} {
		b.err = &Error{kind, "text"}
		if _, err := client.Domains(t.Context()); !IsKind(err, kind) {
			t.Errorf("%s came back as %v", kind, err)
		}
	}
	b.err = errors.New("plain")
	if _, err := client.Domains(t.Context()); !IsKind(err, KindInternal) || err.Error() != "plain" {
		t.Errorf("a plain error came back as %#v", err)
	}
}

func TestSocketIsPrivate(t *testing.T) {
	t.Parallel()
	_, _, dir := serve(t, &box{})
	for path, want := range map[string]os.FileMode{SocketPath(dir): 0o600, filepath.Dir(SocketPath(dir)): 0o700} {
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", path, st.Mode().Perm(), err, want)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Dial(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: %v, want ErrNotRunning", err)
	}
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	// A process that was killed leaves its socket behind.
	l.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	l.Close()
	if _, err := Dial(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a dead socket: %v, want ErrNotRunning", err)
	}
	if l, err = Listen(dir); err != nil {
		t.Errorf("listening over a dead socket: %v", err)
	} else {
		l.Close()
	}
}

func TestLongPathsAreRefusedInPlainWords(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	for name, try := range map[string]func() error{
		"Listen": func() error { _, err := Listen(dir); return err },
		"Dial":   func() error { _, err := Dial(t.Context(), dir); return err },
	} {
		if err := try(); !errors.Is(err, ErrPathTooLong) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnotherVersionIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.NotFoundHandler()}
	go s.Serve(l)
	defer s.Close()
	client, err := Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("got %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	client, _, _ := serve(t, &box{ring: NewRing(1)})
	for _, c := range []struct{ name, body string }{
		{"domain-add", `{`}, {"domain-add", `{"surprise":1}`}, {"domain-add", `{"name":"` + strings.Repeat("x", maxRequest) + `"}`},
		{"log", `{"level":"loud"}`}, {"log", `[]`},
	} {
		resp, err := client.http.Post("http://hauspost/v1/"+c.name, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s %.20s: %s", c.name, c.body, resp.Status)
		}
	}
}

func TestLogFollowsAndEndsWithTheServer(t *testing.T) {
	t.Parallel()
	ring := NewRing(10)
	log := slog.New(ring.Handler(slog.LevelInfo))
	client, server, _ := serve(t, &box{ring: ring})
	log.Info("old")
	got := make(chan LogEntry)
	ended := make(chan error, 1)
	go func() {
		ended <- client.Log(context.Background(), LogQuery{Follow: true}, func(e LogEntry) error { got <- e; return nil })
	}()
	if e := <-got; e.Text != "old" || e.Level != "info" {
		t.Errorf("got %+v", e)
	}
	log.Warn("new", "id", "m1", "n", 7)
	if e := <-got; e.Text != "new" || e.ID != "m1" || e.Level != "warn" || e.Fields["n"] != 7.0 {
		t.Errorf("got %+v", e)
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("following ended with %v", err)
	}
}
