package appliance

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"hauspost/appliance/accounts"
	"hauspost/appliance/deliver"
	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
	"hauspost/appliance/submit"
)

// submitters shows the register of people to submit.
type submitters struct{ accounts *accounts.Accounts }

var _ submit.People = submitters{}

// SASL implements submit.People.
func (s submitters) SASL(mechanism string, from netip.Addr) (submit.Exchange, error) {
	x, err := s.accounts.SASL(mechanism, from)
	if err != nil {
		return nil, err
	}
	return exchange{x}, nil
}

// exchange puts the errors of a sign-in into those of submit.
type exchange struct{ accounts.Exchange }

// Next implements submit.Exchange.
func (x exchange) Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = x.Exchange.Next(ctx, response)
	return challenge, done, signIn(err)
}

// Person implements submit.Exchange.
func (x exchange) Person() submit.Person { return person(x.Account()) }

func person(a accounts.Account) submit.Person { return submit.Person{ID: a.ID, Address: a.Address} }

func signIn(err error) error {
	var many *accounts.TooManyGuesses
	switch {
	case errors.As(err, &many):
		return &submit.TooManyGuesses{Until: many.Until}
	case errors.Is(err, accounts.ErrCredentials):
		return submit.ErrCredentials
	}
	return err
}

// External implements submit.People.
func (s submitters) External(ctx context.Context, addresses []string) (submit.Person, error) {
	a, err := s.accounts.ByAddresses(ctx, addresses)
	if errors.Is(err, accounts.ErrNotFound) {
		return submit.Person{}, submit.ErrCredentials
	}
	return person(a), err
}

// Owns implements submit.People.
func (s submitters) Owns(ctx context.Context, p submit.Person, addr envelope.Address) (bool, error) {
	a, err := s.accounts.ByID(ctx, p.ID)
	if errors.Is(err, accounts.ErrNotFound) || a.Disabled {
		return false, nil // since the connection was opened
	}
	if err != nil {
		return false, err
	}
	return s.accounts.Owns(ctx, p.ID, addr)
}

// Local implements submit.People.
func (s submitters) Local(ctx context.Context, addr envelope.Address) (bool, error) {
	_, err := s.accounts.Resolve(ctx, addr)
	if err == nil {
		return true, nil
	}
	if r := reply.Of(err); r.Temporary() {
		return false, r
	}
	return false, nil
}

var (
	errLiteral   = reply.New(550, "5.1.2", "address-literal", "Mail is not sent to the address of a machine; use an address with a domain")
	errNoDot     = reply.New(550, "5.1.2", "short-domain", "The domain of the recipient is not a full one such as example.org")
	errNoAddress = reply.New(550, "5.1.3", "no-domain", "The recipient has no domain")
)

// Recipient implements submit.People.
func (s submitters) Recipient(ctx context.Context, addr envelope.Address) error {
	_, err := s.accounts.Resolve(ctx, addr)
	switch r := reply.Of(err); {
	case err == nil:
		return nil
	case r.Name != reply.RelayDenied.Name:
		return r
	case addr.Domain == "":
		return errNoAddress
	case addr.IsLiteral():
		return errLiteral
	case !strings.Contains(addr.Domain, "."):
		return errNoDot
	}
	return nil
}

// submissions shows the outbound path to submit.
type submissions struct{ *deliver.Outbound }

// Stage implements submit.Intake.
func (s submissions) Stage(ctx context.Context, env *envelope.Envelope, trace *maillog.Trace, by submit.Author) submit.Staging {
	author := deliver.Author{Account: by.Person.ID, Name: by.Person.Address}
	if by.Trusted {
		author.Name = fmt.Sprint(env.Client.Addr.Addr())
	}
	return s.Outbound.Stage(ctx, env, trace, author)
}
