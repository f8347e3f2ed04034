package submit

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp"
	"hauspost/appliance/esmtp/dialogue"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
	"hauspost/appliance/resolver"
)

// password is everybody's.
const password = "s3cret"

// household is a People: anna and ben of example.test, which is example.org
// too; info@ leads to anna.
type household struct {
	// accounts are stored keys by address.
	accounts map[string]scram.StoredCredentials
}

var theHousehold = sync.OnceValue(func() *household {
	h := &household{accounts: map[string]scram.StoredCredentials{}}
	for _, address := range []string{"anna@example.test", "ben@example.test"} {
		c, err := scram.SHA256.NewClient(address, password, "")
		if err != nil {
			panic(err)
		}
		keys, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt of " + address, Iters: 4096})
		if err != nil {
			panic(err)
		}
		h.accounts[address] = keys
	}
	return h
})

// home gives the account to which an address leads.
func home(a envelope.Address) string {
	local, _, _ := strings.Cut(strings.ToLower(a.Local), "+")
	if a.Domain != "example.test" && a.Domain != "example.org" {
		return ""
	}
	switch local {
	case "anna", "info":
		return "anna@example.test"
	case "ben", "bärbel":
		return "ben@example.test"
	}
	return ""
}

func person(address string) Person {
	return Person{ID: "id-of-" + address, Address: address}
}

func (h *household) check(user, given string) (Person, error) {
	switch user {
	case "locked@example.test":
		return Person{}, &TooManyGuesses{Until: testNow.Add(90 * time.Second)}
	case "broken@example.test":
		return Person{}, errors.New("the database is on fire at /var/lib/" + "secret-place")
	}
	address := strings.ToLower(user)
	if _, ok := h.accounts[address]; !ok || given != password {
		return Person{}, ErrCredentials
	}
	return person(address), nil
}

func (h *household) SASL(mechanism string, _ netip.Addr) (Exchange, error) {
	switch mechanism {
	case "PLAIN", "LOGIN":
		return &clear{h: h, login: mechanism == "LOGIN"}, nil
	case "SCRAM-SHA-256":
		server, err := scram.SHA256.NewServer(func(user string) (scram.StoredCredentials, error) {
			if keys, ok := h.accounts[user]; ok {
				return keys, nil
			}
			return scram.StoredCredentials{}, ErrCredentials
		})
		if err != nil {
			return nil, err
		}
		return &scrambled{conv: server.NewConversation()}, nil
	}
	return nil, errors.New("unknown mechanism")
}

// clear is PLAIN and LOGIN.
type clear struct {
	h      *household
	login  bool
	user   *string
	person Person
}

func (x *clear) Person() Person { return x.person }

func (x *clear) Next(_ context.Context, response []byte) (challenge []byte, done bool, err error) {
	switch {
	case response == nil && !x.login:
		return []byte{}, false, nil
	case response == nil:
		return []byte("Username:"), false, nil
	case x.login && x.user == nil:
		user := string(response)
		x.user = &user
		return []byte("Password:"), false, nil
	case x.login:
		x.person, err = x.h.check(*x.user, string(response))
		return nil, err == nil, err
	}
	parts := strings.Split(string(response), "\x00")
	if len(parts) != 3 {
		return nil, false, ErrCredentials
	}
	x.person, err = x.h.check(parts[1], parts[2])
	return nil, err == nil, err
}

// scrambled is SCRAM-SHA-256.
type scrambled struct {
	conv  *scram.ServerConversation
	valid bool
}

func (x *scrambled) Person() Person { return person(x.conv.Username()) }

func (x *scrambled) Next(_ context.Context, response []byte) (challenge []byte, done bool, err error) {
	if x.valid {
		return nil, true, nil
	}
	if response == nil {
		return []byte{}, false, nil
	}
	answer, err := x.conv.Step(string(response))
	if err != nil {
		return nil, false, ErrCredentials
	}
	x.valid = x.conv.Valid()
	return []byte(answer), false, nil
}

func (h *household) External(_ context.Context, addresses []string) (Person, error) {
	for _, address := range addresses {
		if _, ok := h.accounts[address]; ok {
			return person(address), nil
		}
	}
	return Person{}, ErrCredentials
}

func (h *household) Owns(_ context.Context, p Person, addr envelope.Address) (bool, error) {
	if addr.Local == "broken" {
		return false, errors.New("the database is on fire")
	}
	return home(addr) == p.Address, nil
}

func (h *household) Local(_ context.Context, addr envelope.Address) (bool, error) {
	if addr.Local == "broken" {
		return false, errors.New("the database is on fire")
	}
	return home(addr) != "" || addr.Domain == "", nil
}

func (h *household) Recipient(_ context.Context, addr envelope.Address) error {
	switch {
	case addr.Domain == "" || home(addr) != "":
		return nil
	case addr.Domain == "example.test" || addr.Domain == "example.org":
		return reply.UnknownRecipient
	case addr.IsLiteral() || !strings.Contains(addr.Domain, "."):
		return reply.New(550, "5.1.2", "no-such-domain", "That is no domain that mail could go to")
	}
	return nil
}

// zone is a Domains.
type zone struct{}

func (zone) LookupMX(_ context.Context, domain string) (a resolver.Answer[resolver.MX], err error) {
	kinds := map[string]error{
		"null.test": resolver.ErrNullMX, "only-a.test": resolver.ErrNoData, "web.test": resolver.ErrNoData,
		"down.test": resolver.ErrTemporary, "friend.test": nil,
	}
	kind, ok := kinds[domain]
	if !ok {
		kind = resolver.ErrNotFound
	}
	if kind != nil {
		return a, &resolver.Error{Kind: kind, Name: domain, Type: "MX"}
	}
	a.Records = []resolver.MX{{Host: "mx.friend.test"}}
	return a, nil
}

func (zone) LookupIP(_ context.Context, host string) (a resolver.Answer[netip.Addr], err error) {
	if host != "only-a.test" {
		return a, &resolver.Error{Kind: resolver.ErrNoData, Name: host, Type: "A"}
	}
	a.Records = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	return a, nil
}

// submitted is one committed message.
type submitted struct {
	env     *envelope.Envelope
	author  Author
	content string
	trace   *maillog.Trace
}

// depot is an Intake that keeps messages in memory.
type depot struct {
	mu        sync.Mutex
	messages  []submitted
	open      int // stagings neither committed nor discarded
	commitErr error
}

type parcel struct {
	d *depot
	submitted
	buf strings.Builder
}

func (d *depot) Stage(_ context.Context, env *envelope.Envelope, trace *maillog.Trace, author Author) Staging {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open++
	return &parcel{d: d, submitted: submitted{env: env, author: author, trace: trace}}
}

func (p *parcel) Write(b []byte) (int, error) { return p.buf.Write(b) }

func (p *parcel) Commit(context.Context) error {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	p.d.open--
	if p.d.commitErr != nil {
		return p.d.commitErr
	}
	p.content = p.buf.String()
	p.d.messages = append(p.d.messages, p.submitted)
	return nil
}

func (p *parcel) Discard() {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	p.d.open--
}

func (d *depot) stored() []submitted {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.messages)
}

// testNow is the time of all servers.
var testNow = time.Date(2026, 11, 21, 12, 0, 30, 0, time.UTC)

type harness struct {
	*Server
	depot *depot
	addr  string
}

// start runs a server with test options on a loopback socket.
func start(t testing.TB, implicitTLS bool, change func(*Options)) *harness {
	t.Helper()
	h := &harness{depot: &depot{}}
	o := Options{
		Hostname: "mail.example.test", People: theHousehold(), Intake: h.depot,
		Limits: Limits{Limits: esmtp.Limits{ConnectionRate: -1, ConnectionsPerAddress: -1}},
		Now:    func() time.Time { return testNow },
		Pause:  func(context.Context, time.Duration) {},
	}
	o.TLS, _ = dialogue.TLS()
	if change != nil {
		change(&o)
	}
	h.Server = New(o)
	h.addr = dialogue.Serve(t, h, implicitTLS, func() {
		h.depot.mu.Lock()
		defer h.depot.mu.Unlock()
		if h.depot.open != 0 {
			t.Errorf("%d stagings were neither committed nor discarded", h.depot.open)
		}
	})
	return h
}
