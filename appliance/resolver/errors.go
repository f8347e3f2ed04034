package resolver

import (
	"errors"
	"fmt"
)

// What an *Error can be, for errors.Is.
var (
	// ErrNotFound: the name does not exist (NXDOMAIN).
	ErrNotFound = errors.New("no such name")
	// ErrNoData: the name exists, but has no records of this type.
	ErrNoData = errors.New("no records of this type")
	// ErrNullMX: the domain says that it takes no mail (RFC 7505).
	ErrNullMX = errors.New("the domain accepts no mail")
	// ErrNotConfirmed: no name that the address claims leads back to it.
	ErrNotConfirmed = errors.New("reverse name not confirmed")
	// ErrTemporary: no name server gave an answer; ask again later.
	ErrTemporary = errors.New("no answer just now")
	// ErrSilent comes with ErrTemporary where the fault is not the name's: no
	// name server answers anything, or none of them knows even the root. That
	// is how it looks without a network.
	ErrSilent = errors.New("no name server answers anything just now")
)

// Error is the failure of one look-up.
type Error struct {
	// Kind is one of the errors above.
	Kind error
	// Name is what was looked up, Type its type, such as "MX".
	Name, Type string
	// Secure tells that a denial (ErrNotFound, ErrNoData) is proven.
	Secure bool
	// Cause is what went wrong with the last name server, or nil.
	Cause error
}

// Error says what was looked up and how it failed.
func (e *Error) Error() string {
	s := fmt.Sprintf("looking up %s %s: %v", e.Type, e.Name, e.Kind)
	if e.Cause != nil {
		s += fmt.Sprintf(" (%v)", e.Cause)
	}
	return s
}

// Unwrap gives kind and cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}
