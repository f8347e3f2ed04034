package submit

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"hauspost/appliance/envelope"
)

// Person is somebody of this box who signed in.
type Person struct {
	// ID names the account for good, Address is its own address as people
	// read it.
	ID, Address string
}

// People are the accounts of the box. It is safe for several goroutines.
type People interface {
	// SASL starts an exchange of the mechanism PLAIN, LOGIN or SCRAM-SHA-256
	// with the client at from. Errors are those of Exchange.Next.
	SASL(mechanism string, from netip.Addr) (Exchange, error)
	// External gives the account that a verified client certificate names by
	// the mail addresses in it. ErrCredentials where they lead to no account,
	// or to more than one.
	External(ctx context.Context, addresses []string) (Person, error)
	// Owns tells whether p may send as addr: the own address, an alias that
	// leads to p, a plus-address, the same in another domain of the box.
	Owns(ctx context.Context, p Person, addr envelope.Address) (bool, error)
	// Local tells whether addr is anybody's on this box.
	Local(ctx context.Context, addr envelope.Address) (bool, error)
	// Recipient refuses a recipient that cannot exist: nobody's address in a
	// domain of this box, an address literal, a domain without a dot. Its
	// error is a *reply.Reply; nil for all others. "Postmaster" without a
	// domain comes with an empty Domain (RFC 5321, section 4.5.1).
	Recipient(ctx context.Context, addr envelope.Address) error
}

// Exchange is one SASL exchange (RFC 4422) with one client.
type Exchange interface {
	// Next takes the client's response, nil where no initial one came, and
	// gives a challenge, or done. ErrCredentials, *TooManyGuesses, or an inner
	// fault.
	Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error)
	// Person is who signed in, once done.
	Person() Person
}

// ErrCredentials refuses a sign-in: name and password do not go together, the
// account is disabled, or the client's message was malformed.
var ErrCredentials = errors.New("wrong user name or password")

// TooManyGuesses refuses a sign-in without looking at the password.
type TooManyGuesses struct {
	// Until is when the next guess will be looked at.
	Until time.Time
}

// Error names the time.
func (e *TooManyGuesses) Error() string {
	return "too many wrong passwords, try again after " + e.Until.UTC().Format("15:04:05 UTC")
}
