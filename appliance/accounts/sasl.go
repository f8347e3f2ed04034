package accounts

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/xdg-go/scram"
)

// maxResponse bounds what one SASL message may hold, in octets.
const maxResponse = 4096

// Exchange is one authentication exchange (RFC 4422) with one client. It is
// not safe for concurrent use, and of no use after done or an error.
type Exchange interface {
	// Next takes the client's response and gives what to send: a challenge,
	// or done without one. response is nil, not empty, where the client gave
	// no initial response. Errors are those of Accounts.Password.
	Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error)
	// Account is who logged in, once done.
	Account() Account
}

// Mechanisms are the names that SASL knows, the strongest first.
func Mechanisms() []string { return []string{"SCRAM-SHA-256", "PLAIN", "LOGIN"} }

// SASL starts an exchange by the name of the mechanism, in any case:
// SCRAM-SHA-256 (RFC 7677), PLAIN (RFC 4616) or LOGIN. PLAIN and LOGIN show
// the password: the caller offers them under TLS only. ErrMechanism.
func (a *Accounts) SASL(mech string, from netip.Addr) (Exchange, error) {
	switch strings.ToUpper(mech) {
	case "PLAIN":
		return &plain{clear: clear{a: a, from: from}}, nil
	case "LOGIN":
		return &login{clear: clear{a: a, from: from}}, nil
	case "SCRAM-SHA-256":
		return newScram(a, from, nil)
	}
	return nil, fmt.Errorf("%w: %q", ErrMechanism, mech)
}

func malformed(what string) error {
	return fmt.Errorf("%w: malformed %s", ErrCredentials, what)
}

// clear is what the mechanisms share that show the password.
type clear struct {
	a       *Accounts
	from    netip.Addr
	account Account
}

func (c *clear) Account() Account { return c.account }

func (c *clear) check(ctx context.Context, user, password string) (challenge []byte, done bool, err error) {
	c.account, err = c.a.Password(ctx, user, password, c.from)
	return nil, err == nil, err
}

type plain struct{ clear }

func (p *plain) Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error) {
	if response == nil {
		return []byte{}, false, nil
	}
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 || len(response) > maxResponse {
		return nil, false, malformed("PLAIN message")
	}
	as, user, password := string(parts[0]), string(parts[1]), string(parts[2])
	if as != "" && loginKey(as) != loginKey(user) {
		return nil, false, fmt.Errorf("%w: nobody may log in as somebody else", ErrCredentials)
	}
	return p.check(ctx, user, password)
}

type login struct {
	clear
	user *string
}

func (l *login) Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error) {
	switch {
	case len(response) > maxResponse:
		return nil, false, malformed("LOGIN message")
	case response == nil && l.user == nil:
		return []byte("Username:"), false, nil
	case l.user == nil:
		user := string(response)
		l.user = &user
		return []byte("Password:"), false, nil
	}
	return l.check(ctx, *l.user, string(response))
}

// scramExchange is SCRAM-SHA-256 without channel binding. -PLUS is not
// offered: mutt and neomutt of today break off at it.
type scramExchange struct {
	a       *Accounts
	from    netip.Addr
	conv    *scram.ServerConversation
	find    func(name string) (scram.StoredCredentials, error)
	v       visitor
	slow    bool
	person  *person
	account Account
	step    int
}

// newScram makes an exchange; nonce is nil but in tests.
func newScram(a *Accounts, from netip.Addr, nonce func() string) (*scramExchange, error) {
	s := &scramExchange{a: a, from: from}
	server, err := scram.SHA256.NewServer(func(name string) (scram.StoredCredentials, error) { return s.find(name) })
	if err != nil {
		return nil, fmt.Errorf("preparing SCRAM: %w", err)
	}
	if nonce != nil {
		server.WithNonceGenerator(nonce)
	}
	s.conv = server.NewConversation()
	return s, nil
}

func (s *scramExchange) Account() Account { return s.account }

func (s *scramExchange) Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error) {
	if response == nil && s.step == 0 {
		return []byte{}, false, nil
	}
	if len(response) > maxResponse {
		return nil, false, malformed("SCRAM message")
	}
	s.step++
	switch s.step {
	case 1:
		return s.first(ctx, string(response))
	case 2:
		return s.final(ctx, string(response))
	case 3:
		// The client has seen that the server knows the password too and
		// answers with nothing.
		if len(response) == 0 && s.conv.Valid() {
			s.account = s.person.Account
			s.a.loggedIn(ctx, s.v, s.person)
			return nil, true, nil
		}
	}
	return nil, false, malformed("SCRAM message")
}

func (s *scramExchange) first(ctx context.Context, message string) (challenge []byte, done bool, err error) {
	d, err := s.a.directory(ctx)
	if err != nil {
		return nil, false, err
	}
	var refused error
	s.find = func(name string) (scram.StoredCredentials, error) {
		key := loginKey(name)
		s.v = s.a.guard.visitor(s.from, key)
		if s.slow, refused = s.a.admit(s.v); refused != nil {
			return scram.StoredCredentials{}, refused
		}
		keys := d.fakeKeys(key, s.a.cost)
		if p := d.logins[key]; p != nil && !p.Disabled {
			s.person, keys = p, p.Credentials.SCRAM
		}
		return keys.stored(), nil
	}
	answer, err := s.conv.Step(message)
	switch {
	case refused != nil:
		return nil, false, refused
	case err != nil:
		return nil, false, malformed("SCRAM message")
	}
	if as := s.conv.AuthzID(); as != "" && loginKey(as) != loginKey(s.conv.Username()) {
		return nil, false, fmt.Errorf("%w: nobody may log in as somebody else", ErrCredentials)
	}
	return []byte(answer), false, nil
}

func (s *scramExchange) final(ctx context.Context, message string) (challenge []byte, done bool, err error) {
	if _, err := s.a.admit(s.v); err != nil {
		return nil, false, err
	}
	if s.slow {
		if err := s.a.pause(ctx, s.a.limits.Slow); err != nil {
			return nil, false, err
		}
	}
	answer, err := s.conv.Step(message)
	if err == nil && (s.person == nil || !s.conv.Valid()) {
		err = errors.New("not valid")
	}
	if err != nil {
		s.a.guard.failed(s.v, digest{}, s.a.now())
		return nil, false, ErrCredentials
	}
	return []byte(answer), false, nil
}

func (k scramKeys) stored() scram.StoredCredentials {
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(k.Salt), Iters: k.Iterations},
		StoredKey:  k.StoredKey,
		ServerKey:  k.ServerKey,
	}
}

// fakeKeys are what a client is shown for a name that nobody has: a salt that
// is always the same for the name, as a true one is, also after a restart, and
// keys that no proof fits.
func (d *directory) fakeKeys(key string, cost HashCost) scramKeys {
	stored := make([]byte, hashSize)
	rand.Read(stored)
	return scramKeys{
		Iterations: cost.Iterations,
		Salt:       mac(d.secret, key)[:saltSize],
		StoredKey:  stored,
		ServerKey:  stored,
	}
}

// keepSecret makes the secret behind fake salts with the first account.
// Before there is one there is nothing to hide.
func (e *edit) keepSecret() {
	if e.secret == nil {
		e.secret = make([]byte, 32)
		rand.Read(e.secret)
		e.putRaw(kindSecret, secretSalt, e.secret)
	}
}
