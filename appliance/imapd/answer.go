package imapd

import (
	"errors"
	"fmt"
	"syscall"

	"hauspost/appliance/imapd/wire"
	"hauspost/store"
)

// answer is the tagged status response of a command. As an error it is a
// refusal.
type answer struct {
	kind string // "OK", "NO", "BAD"
	// code is the response code without its brackets, or empty.
	code, text string
	// hangUp ends the connection after the answer.
	hangUp bool
}

// Error makes an answer usable as an error.
func (a *answer) Error() string { return a.kind + " " + a.text }

func ok(code, text string) error { return &answer{kind: "OK", code: code, text: text} }
func no(code, text string) error { return &answer{kind: "NO", code: code, text: text} }
func bad(format string, args ...any) error {
	return &answer{kind: "BAD", text: fmt.Sprintf(format, args...)}
}

// tooBig refuses octets that cannot be told from commands any more.
func tooBig(text string) error {
	return &answer{kind: "BAD", code: "TOOBIG", text: text, hangUp: true}
}

// unavailable is the answer to a fault of the box or of its disk. A full disk is
// not the quota of a person, of which OVERQUOTA would tell.
func unavailable(err error) *answer {
	a := &answer{kind: "NO", code: "UNAVAILABLE", text: "This cannot be done just now; the log of the box says why"}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		a.text = "The disk of the box is full"
	}
	return a
}

// answerOf turns the error of a handler into what the client is told. inner
// tells that the fault is the box's and belongs into the log.
func answerOf(err error) (a *answer, inner bool) {
	var syntax *wire.SyntaxError
	switch {
	case err == nil:
		return &answer{kind: "OK"}, false
	case errors.As(err, &a):
		return a, false
	case errors.As(err, &syntax):
		return &answer{kind: "BAD", text: "Syntax: " + syntax.Text}, false
	case errors.Is(err, store.ErrTooManyKeywords):
		return &answer{kind: "NO", code: "LIMIT", text: "This mailbox has too many different keywords already"}, false
	case errors.Is(err, store.ErrNotFound):
		return &answer{kind: "NO", code: "NONEXISTENT", text: "There is no such mailbox"}, false
	}
	return unavailable(err), true
}
