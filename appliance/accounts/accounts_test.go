package accounts

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/reply"
	"hauspost/store"
)

// cheap is a cost at which tests can hash often.
var cheap = HashCost{Memory: 64, Passes: 1, Threads: 1}

var home = netip.MustParseAddr("192.0.2.7")

const secret = "correct horse battery"

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// tester is a test, or one run of a model test.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// box is an Accounts on a store of its own.
type box struct {
	*Accounts
	t     tester
	store *store.Store
	clock *clock
}

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{
		Dir:   t.TempDir(),
		Index: func([]byte) store.Derived { return store.Derived{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newBox(t *testing.T, adjust func(o *Options)) *box {
	t.Helper()
	c := newClock()
	o := Options{Store: openStore(t), Now: c.Now, Hash: cheap}
	if adjust != nil {
		adjust(&o)
	}
	return &box{Accounts: New(o), t: t, store: o.Store, clock: c}
}

// again gives another Accounts on the same store, as after a restart.
func (b *box) again(adjust func(o *Options)) *box {
	o := Options{Store: b.store, Now: b.clock.Now, Hash: cheap}
	if adjust != nil {
		adjust(&o)
	}
	return &box{Accounts: New(o), t: b.t, store: b.store, clock: b.clock}
}

// must do what it says; each person's password is secret.
func (b *box) must(steps ...string) *box {
	b.t.Helper()
	for _, step := range steps {
		if err := b.do(step); err != nil {
			b.t.Fatalf("%s: %v", step, err)
		}
		b.clock.Add(time.Second)
	}
	return b
}

// do runs "domain D [of D]", "account A", "alias A to A A …", and the same
// with "remove " before it.
func (b *box) do(step string) error {
	ctx := context.Background()
	f := strings.Fields(step)
	switch {
	case f[0] == "domain" && len(f) == 4:
		return b.AddDomain(ctx, f[1], f[3])
	case f[0] == "domain":
		return b.AddDomain(ctx, f[1], "")
	case f[0] == "account":
		_, err := b.Add(ctx, f[1], secret)
		return err
	case f[0] == "alias":
		return b.AddAlias(ctx, f[1], f[3:])
	case f[0] == "remove" && f[1] == "domain":
		return b.RemoveDomain(ctx, f[2])
	case f[0] == "remove" && f[1] == "account":
		return b.Remove(ctx, f[2])
	case f[0] == "remove" && f[1] == "alias":
		return b.RemoveAlias(ctx, f[2])
	}
	panic("no such step: " + step)
}

// ends gives where mail for an address ends: the accounts' addresses, with
// detail and via where there is one, or the name of the refusal.
func (b *box) ends(address string) string {
	b.t.Helper()
	addr := envelope.Address{Local: address}
	if strings.Contains(address, "@") {
		addr = envelope.MustAddress(address)
	}
	targets, err := b.Resolve(context.Background(), addr)
	var refusal *reply.Reply
	if errors.As(err, &refusal) {
		return refusal.Name
	} else if err != nil {
		b.t.Fatalf("resolving %s: %v is no reply", address, err)
	}
	var ends []string
	for _, t := range targets {
		s := t.Address.String()
		if t.Detail != "" {
			s += " detail " + t.Detail
		}
		if t.Via != "" {
			s += " via " + t.Via
		}
		ends = append(ends, s)
	}
	return strings.Join(ends, "; ")
}

func TestResolve(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil).must(
		"domain example.test",
		"domain müller.test",
		"domain example.org of example.test",
		"domain empty.test",
		"account Anna@example.test",
		"account bob@example.test",
		"account jörg@müller.test",
		"alias sales@example.test to anna@example.test bob@example.test",
		"alias all@example.test to sales@example.test bob+all@example.test jörg@müller.test",
		"alias lists@example.test to anna+lists@example.org",
		"alias @xn--mller-kva.test to bob@example.test",
	)
	for _, c := range []struct{ address, want string }{
		{"anna@example.test", "Anna@example.test"},
		{"ANNA@EXAMPLE.TEST", "Anna@example.test"},
		{"Anna+News.Letters@example.test", "Anna@example.test detail News.Letters"},
		{"anna+a+b@example.test", "Anna@example.test detail a+b"},
		{"anna+@example.test", "Anna@example.test"},
		{`"anna"@example.test`, "Anna@example.test"},
		{"+anna@example.test", "unknown-recipient"},
		{"ann@example.test", "unknown-recipient"},
		{"anna-x@example.test", "unknown-recipient"},
		{"anna%example.com@example.test", "unknown-recipient"},
		{`"anna@example.com"@example.test`, "unknown-recipient"},
		{"anna@example.org", "Anna@example.test"},
		{"anna@example.com", "relay-denied"},
		{"anna@sub.example.test", "relay-denied"},
		{"anna@[192.0.2.1]", "relay-denied"},
		{"sales@example.test", "Anna@example.test via alias sales@example.test; bob@example.test via alias sales@example.test"},
		{"Sales+x@example.org", "Anna@example.test detail x via alias sales@example.test; bob@example.test detail x via alias sales@example.test"},
		{"all@example.test", "Anna@example.test via alias all@example.test, alias sales@example.test; " +
			"bob@example.test via alias all@example.test, alias sales@example.test; jörg@xn--mller-kva.test via alias all@example.test"},
		{"lists@example.test", "Anna@example.test detail lists via alias lists@example.test"},
		{"jörg@MÜLLER.test", "jörg@xn--mller-kva.test"},
		{"JÖRG+x@xn--mller-kva.test", "jörg@xn--mller-kva.test detail x"},
		{"jo\u0308rg@müller.test", "jörg@xn--mller-kva.test"},
		{"whoever@müller.test", "bob@example.test via catch-all xn--mller-kva.test"},
		{"postmaster@müller.test", "bob@example.test via catch-all xn--mller-kva.test"},
		{"postmaster@example.test", "Anna@example.test via oldest account"},
		{"Abuse@example.org", "Anna@example.test via oldest account"},
		{"postmaster@empty.test", "Anna@example.test via oldest account"},
		{"Postmaster", "Anna@example.test via oldest account"},
		{"anna", "unknown-recipient"},
	} {
		if got := b.ends(c.address); got != c.want {
			t.Errorf("%s ends at\n\t%s, want\n\t%s", c.address, got, c.want)
		}
	}
	b.must("alias postmaster@example.test to bob@example.test")
	for _, address := range []string{"postmaster@example.test", "abuse@example.test", "Postmaster"} {
		if got := b.ends(address); got != "bob@example.test via alias postmaster@example.test" {
			t.Errorf("%s ends at %s once postmaster is taken", address, got)
		}
	}
	if got := b.again(nil).ends("all@example.test"); got != b.ends("all@example.test") {
		t.Errorf("after a restart all@ ends at %s", got)
	}
}

func TestSeparator(t *testing.T) {
	t.Parallel()
	dash := newBox(t, func(o *Options) { o.Separator = "--" }).must("domain a.test", "account x@a.test")
	if got := dash.ends("x--y@a.test"); got != "x@a.test detail y" {
		t.Errorf("with a separator of its own x--y ends at %s", got)
	}
	off := dash.again(func(o *Options) { o.Separator = SeparatorOff })
	for _, address := range []string{"x+y@a.test", "x--y@a.test"} {
		if got := off.ends(address); got != "unknown-recipient" {
			t.Errorf("without a separator %s ends at %s", address, got)
		}
	}
}

func TestNobodyYet(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil).must("domain example.test")
	for _, address := range []string{"postmaster@example.test", "abuse@example.test", "postmaster"} {
		if got := b.ends(address); got != "nobody-yet" {
			t.Errorf("%s on an empty box: %s", address, got)
		}
	}
	if !nobodyYet.Temporary() {
		t.Error("the refusal of postmaster is for good")
	}
}

// A register that cannot be read must never refuse mail for good.
func TestResolveWithoutRegister(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := b.Resolve(ctx, envelope.MustAddress("anna@example.test"))
	if r := reply.Of(err); err == nil || !r.Temporary() {
		t.Errorf("an unreadable register answers %v", err)
	}
	if got := b.must("domain example.test", "account anna@example.test").ends("anna@example.test"); got != "anna@example.test" {
		t.Errorf("after the fault anna@ ends at %s", got)
	}
}

func TestAddMakesMailboxes(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil).must("domain example.test", "account anna@example.test")
	acc, err := b.Find(t.Context(), "ANNA@example.test")
	if err != nil {
		t.Fatal(err)
	}
	list, err := b.store.Mailboxes(t.Context(), acc.ID)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range list {
		if !m.Subscribed {
			t.Errorf("%s is not subscribed", m.Name)
		}
		got = append(got, m.Name+m.SpecialUse)
	}
	want := `INBOX Archive\Archive Drafts\Drafts Junk\Junk Sent\Sent Trash\Trash`
	if s := strings.Join(got, " "); s != want {
		t.Errorf("mailboxes are %s, want %s", s, want)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil).must(
		"domain example.test",
		"account anna@example.test", "account bob@example.test",
		"alias both@example.test to anna@example.test bob@example.test",
		"alias only@example.test to anna+x@example.test",
		"alias nested@example.test to only@example.test",
		"alias @example.test to bob@example.test",
	)
	acc, err := b.Find(t.Context(), "anna@example.test")
	if err != nil {
		t.Fatal(err)
	}
	b.must("remove account anna@example.test")
	if list, err := b.store.Mailboxes(t.Context(), acc.ID); err != nil || len(list) != 0 {
		t.Errorf("mailboxes left: %v, %v", list, err)
	}
	if _, err := b.Password(t.Context(), "anna@example.test", secret, home); !errors.Is(err, ErrCredentials) {
		t.Errorf("the removed account logs in: %v", err)
	}
	check := func(b *box) {
		t.Helper()
		var left []string
		list, err := b.ListAliases(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, al := range list {
			left = append(left, al.Address+" to "+strings.Join(al.To, " "))
		}
		want := "@example.test to bob@example.test, both@example.test to bob@example.test"
		if got := strings.Join(left, ", "); got != want {
			t.Errorf("aliases left: %s, want %s", got, want)
		}
	}
	check(b)
	check(b.again(nil))
	b.must("account anna@example.test")
	if again, err := b.Find(t.Context(), "anna@example.test"); err != nil || again.ID == acc.ID {
		t.Errorf("the new account has the ID of the old one: %v %v", again, err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil).must(
		"domain example.test", "domain example.org of example.test", "domain other.test",
		"account anna@example.test",
		"alias sales@example.test to anna@example.test",
		"alias @example.test to anna@example.test",
		"alias far@other.test to anna@example.test",
	)
	for _, c := range []struct {
		step string
		kind error
		says string
	}{
		{"domain EXAMPLE.test.", ErrExists, "already"},
		{"domain [192.0.2.1]", ErrAddress, "domain name"},
		{"domain ex_ample..test", ErrAddress, "not a domain"},
		{"domain third.test of example.com", ErrNotFound, "domain add example.com"},
		{"domain third.test of example.org", ErrAddress, "example.test"},
		{"remove domain example.test", ErrInUse, "anna@example.test"},
		{"remove domain other.test", ErrInUse, "far@other.test"},
		{"remove domain example.com", ErrNotFound, "domain list"},
		{"account anna", ErrAddress, "not a mail address"},
		{"account anna@[192.0.2.1]", ErrAddress, "domain name"},
		{"account ANNA@example.test", ErrExists, "already"},
		{"account Sales@example.test", ErrExists, "alias remove"},
		{"account x@example.com", ErrNotFound, "domain add example.com"},
		{"account x@example.org", ErrAddress, "example.test"},
		{"remove account bob@example.test", ErrNotFound, "account list"},
		{"alias anna@example.test to anna@example.test", ErrExists, "already"},
		{"alias sales@example.test to anna@example.test", ErrExists, "alias remove"},
		{"alias @example.test to anna@example.test", ErrExists, "alias remove @example.test"},
		{"alias @example.org to anna@example.test", ErrAddress, "example.test"},
		{"alias a@example.test to", ErrAddress, "which address"},
		{"alias a@example.test to x@localhost", ErrAddress, "neither"},
		{"alias a@example.test to x@[192.0.2.1]", ErrAddress, "domain name"},
		{"alias a@other.test to nobody@other.test", ErrNotLocal, "nobody here"},
		{"alias a@other.test to a@other.test", ErrLoop, "back"},
		{"alias @other.test to b@other.test", ErrLoop, "back"},
		{"remove alias x@example.test", ErrNotFound, "alias list"},
		{"remove alias @other.test", ErrNotFound, "alias list"},
	} {
		err := b.do(c.step)
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v saying %q", c.step, err, c.kind, c.says)
		}
	}
	if _, err := b.ByID(t.Context(), "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown ID: %v", err)
	}
	domains, err := b.again(nil).Domains(t.Context())
	if err != nil || len(domains) != 3 || domains[1].AliasOf != "example.test" {
		t.Errorf("domains after the refusals: %v, %v", domains, err)
	}
	b.must("remove alias far@other.test", "remove domain other.test", "remove domain example.org")
	if got := b.ends("anna@example.org"); got != "relay-denied" {
		t.Errorf("mail for a removed domain: %s", got)
	}
}

// A change that the store refuses leaves no trace in memory.
func TestChangeFails(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil).must("domain example.test")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.AddDomain(ctx, "other.test", ""); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled change: %v", err)
	}
	if got := b.ends("postmaster@other.test"); got != "relay-denied" {
		t.Errorf("the domain of a failed change answers %s", got)
	}
	b.must("domain other.test")
}

func BenchmarkResolve(b *testing.B) {
	d, err := read(func(string, func(string, []byte) error) error { return nil })
	if err != nil {
		b.Fatal(err)
	}
	d.separator = "+"
	d.domains["example.test"] = Domain{Name: "example.test"}
	for _, name := range []string{"anna", "bob"} {
		addr := envelope.Address{Local: name, Domain: "example.test"}
		d.logins[fold(addr)] = &person{Account: Account{ID: name, Address: addr.String()}, addr: addr}
	}
	al, err := newAlias(Alias{Address: "sales@example.test", To: []string{"anna@example.test", "bob@example.test"}})
	if err != nil {
		b.Fatal(err)
	}
	d.aliases["sales@example.test"] = al
	for _, address := range []string{"anna@example.test", "Anna+x@example.test", "sales@example.test", "x@example.test"} {
		addr := envelope.MustAddress(address)
		b.Run(address, func(b *testing.B) {
			for b.Loop() {
				d.resolve(addr)
			}
		})
	}
}
