package accounts

import (
	"errors"
	"fmt"
	"time"
)

// Errors of a login. Any other error of Password or Exchange.Next is an inner
// fault, for which the client should try again.
var (
	// ErrCredentials: user name and password do not go together, the account
	// is disabled, or the client's message was malformed. It never tells which.
	ErrCredentials = errors.New("wrong user name or password")
	// ErrTooManyGuesses is what *TooManyGuesses matches with errors.Is.
	ErrTooManyGuesses = errors.New("too many wrong passwords")
	// ErrMechanism: SASL knows no mechanism of that name.
	ErrMechanism = errors.New("unknown authentication mechanism")
)

// Kinds of errors of the calls that change people. They come wrapped in an
// *Error whose text says in plain words what is wrong and what to do.
var (
	// ErrAddress: not a mail address, or not one that can be used there.
	ErrAddress = errors.New("not a usable address")
	// ErrPassword: the password is too short, too long or cannot be typed.
	ErrPassword = errors.New("not a usable password")
	// ErrNotFound: no such domain, account or alias.
	ErrNotFound = errors.New("not found")
	// ErrExists: the domain, account or alias is there already.
	ErrExists = errors.New("exists already")
	// ErrInUse: the domain still has accounts or aliases.
	ErrInUse = errors.New("still in use")
	// ErrNotLocal: the alias would lead to an address of this box that nobody
	// has.
	ErrNotLocal = errors.New("not an address of this box")
	// ErrLoop: the alias would lead to nobody but itself.
	ErrLoop = errors.New("the alias leads to nobody")
)

// Error is a refused change of people. Its text is made for the owner.
type Error struct {
	// Kind is one of the kinds above; errors.Is finds it.
	Kind error
	// Text is one plain sentence or two, with what to do next.
	Text string
}

// Error gives the text.
func (e *Error) Error() string { return e.Text }

// Unwrap gives the kind.
func (e *Error) Unwrap() error { return e.Kind }

func refuse(kind error, format string, args ...any) *Error {
	return &Error{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// TooManyGuesses refuses a login without looking at the password.
type TooManyGuesses struct {
	// Until is when the next guess will be looked at.
	Until time.Time
}

// Error names the time.
func (e *TooManyGuesses) Error() string {
	return "too many wrong passwords, try again after " + e.Until.UTC().Format("15:04:05 UTC")
}

// Is matches ErrTooManyGuesses.
func (e *TooManyGuesses) Is(target error) bool { return target == ErrTooManyGuesses }
