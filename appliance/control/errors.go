package control

import (
	"errors"
	"net/http"
)

// Kind tells errors apart across the socket.
type Kind string

// The kinds of errors.
const (
	// KindNotFound: what was named is not there.
	KindNotFound Kind = "not-found"
	// KindExists: it is there already.
	KindExists Kind = "exists"
	// KindInvalid: what was given cannot be.
	KindInvalid Kind = "invalid"
	// KindNotRunning: only a running box can answer.
	KindNotRunning Kind = "not-running"
	// KindInternal: something went wrong inside.
	KindInternal Kind = "internal"
)

// Error is an error that can cross the socket. Text is one plain sentence.
type Error struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text"`
}

// Error gives the sentence.
func (e *Error) Error() string { return e.Text }

// IsKind tells whether err is an *Error of that kind.
func IsKind(err error, k Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == k
}

func (k Kind) status() int {
	switch k {
	case KindNotFound:
		return http.StatusNotFound
	case KindExists:
		return http.StatusConflict
	case KindInvalid:
		return http.StatusUnprocessableEntity
	case KindNotRunning:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: KindInternal, Text: err.Error()}
}
