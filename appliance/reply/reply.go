// Package reply has the typed SMTP replies of the house: a code and an enhanced
// status code (RFC 5321, RFC 3463), a text that helps the sender, and a private
// cause that goes to the log alone.
//
// It must not import protocol libraries or anything of ours.
package reply

import (
	"errors"
	"fmt"
)

// Reply is an SMTP reply. As an error it is a refusal: code 4yz or 5yz.
type Reply struct {
	// Code is the three-digit code of RFC 5321, section 4.2.
	Code int
	// Enhanced is the status code of RFC 3463 such as "5.1.1"; empty where
	// the RFC has none (greeting, 354, EHLO).
	Enhanced string
	// Text is public: it says what is wrong and what the sender can do, and
	// shows nothing of the inside. One line, without CR and LF.
	Text string
	// Name is a stable short name of the reason for traces and counters,
	// such as "unknown-recipient".
	Name string
	// Cause is private: what went wrong inside, for the log.
	Cause error
}

// New makes a reply.
func New(code int, enhanced, name, text string) *Reply {
	return &Reply{Code: code, Enhanced: enhanced, Name: name, Text: text}
}

// Error prints the reply with its cause: for logs, never for the wire.
func (r *Reply) Error() string {
	s := fmt.Sprintf("%d %s %s", r.Code, r.Enhanced, r.Text)
	if r.Cause != nil {
		s += ": " + r.Cause.Error()
	}
	return s
}

// Unwrap gives the private cause.
func (r *Reply) Unwrap() error { return r.Cause }

// Because gives a copy of r with a private cause.
func (r *Reply) Because(cause error) *Reply {
	c := *r
	c.Cause = cause
	return &c
}

// Temporary tells whether the sender should try again (4yz).
func (r *Reply) Temporary() bool { return r.Code/100 == 4 }

// Of gives the reply in err's chain. Any other error becomes a 451 that keeps
// it as the private cause: an inner fault never refuses mail for good.
func Of(err error) *Reply {
	var r *Reply
	if errors.As(err, &r) {
		return r
	}
	return LocalError.Because(err)
}

// The replies that more than one package gives.
var (
	LocalError       = New(451, "4.3.0", "local-error", "Something went wrong here, please try again later")
	StorageError     = New(452, "4.3.1", "storage-error", "Cannot store the message just now, please try again later")
	UnknownRecipient = New(550, "5.1.1", "unknown-recipient", "No such person at this address, please check the spelling")
	RelayDenied      = New(550, "5.7.1", "relay-denied", "This server does not deliver to that domain")
	TooManyHops      = New(554, "5.4.6", "mail-loop", "Too many Received headers: this message goes round in circles")
	ShuttingDown     = New(421, "4.3.2", "shutting-down", "This server is going down for a moment, please try again")
)
