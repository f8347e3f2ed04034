// Package transfer has the words that queue and relay share: a message on its
// way to another server, and what one attempt to hand it over brought.
//
// It may import envelope. It must not import queue, relay or anything else of
// ours: the schedule does not know how an attempt is made, and the attempt does
// not know the schedule.
package transfer

import (
	"context"
	"io"
	"net/netip"
	"time"

	"hauspost/appliance/envelope"
)

// Transport makes attempts. It is safe for many goroutines.
type Transport interface {
	// Attempt tries once to hand m over, for all of its recipients, and gives
	// one Outcome for each of them in their order. It never panics and never
	// leaves one out: where nothing else is known the outcome is Deferred.
	Attempt(ctx context.Context, m *Message) Result
}

// Message is one message for recipients of one domain.
type Message struct {
	ID envelope.ID
	// Domain is where it goes, in lower-case A-labels: that of all Recipients.
	Domain string
	// Via is the owner's own choice of a way for this message: empty means by
	// the settings, "direct" means by MX whatever the settings say,
	// "smarthost" the general smarthost, "host:port" that server (see
	// ParseVia).
	Via string
	// Sender is the reverse-path; the zero Address is "<>".
	Sender     envelope.Address
	Recipients []envelope.Recipient
	// Size is that of the content in octets, with Header.
	Size int64
	// SMTPUTF8 and Body are what the message was accepted with (RFC 6531,
	// RFC 6152).
	SMTPUTF8 bool
	Body     string
	// EnvID and Ret are the DSN parameters of RFC 3461, as on the wire.
	EnvID, Ret string
	// RequireTLS is that of RFC 8689; TLSOptional tells of "TLS-Required: No".
	RequireTLS, TLSOptional bool
	// Open gives the content from its start, with CRLF line ends, as it goes
	// out: it may be called more than once, and the caller closes it.
	Open func() (io.ReadCloser, error)
}

// Status is what became of one recipient in one attempt.
type Status string

// The statuses of an Outcome.
const (
	// Delivered: the other server took the message for the recipient.
	Delivered Status = "delivered"
	// Deferred: try again later.
	Deferred Status = "deferred"
	// Failed: it is of no use to try again.
	Failed Status = "failed"
)

// Scope says how far a Deferred or Failed reaches.
type Scope string

// The scopes of an Outcome.
const (
	// ScopeRecipient: it concerns this recipient (or this message) alone.
	ScopeRecipient Scope = "recipient"
	// ScopeDestination: no message can go there just now: no server answered,
	// or it turned the connection away.
	ScopeDestination Scope = "destination"
	// ScopeLocal: the fault is on this side: no network, no DNS, a file that
	// cannot be read. It is nobody's fault there, and no time of it counts.
	ScopeLocal Scope = "local"
)

// Outcome is what became of one recipient.
type Outcome struct {
	Status Status `json:"status"`
	Scope  Scope  `json:"scope,omitempty"`
	// Name is stable and made for programs, such as "greylisted",
	// "unknown-recipient", "no-server", "tls-required"; empty where delivered.
	Name string `json:"name,omitempty"`
	// Code and Enhanced are those of the other server, or those that this side
	// found (then Code is 0 and Enhanced by RFC 3463).
	Code     int    `json:"code,omitempty"`
	Enhanced string `json:"enhanced,omitempty"`
	// Answer is the other server's whole answer, made safe (Sanitize), or what
	// this side found in its stead.
	Answer string `json:"answer,omitempty"`
	// Verb is the command that was answered: "connect", "STARTTLS", "AUTH",
	// "MAIL", "RCPT", "DATA", "content" …; empty where none was.
	Verb string `json:"verb,omitempty"`
	// RelaysDSN tells, of Delivered, that the other server takes over the
	// duty of RFC 3461 to report.
	RelaysDSN bool `json:"relays_dsn,omitempty"`
}

// Result is what one attempt brought.
type Result struct {
	// Outcomes are one for each recipient, in their order.
	Outcomes []Outcome
	// Host and Addr are the server that was talked to last; empty and invalid
	// where none was reached.
	Host string
	Addr netip.AddrPort
	// Greeting is the name by which that server introduces itself.
	Greeting string
	// TLS says version, cipher suite and what was found out about the
	// certificate, such as "TLS1.3 TLS_AES_128_GCM_SHA256, certificate valid
	// for mx.example.org"; empty without TLS.
	TLS string
	// Note says in words what went otherwise than hoped on the way, such as
	// "mx1.example.org did not answer" or "encryption failed, sent without".
	Note string
	// Reused tells that the connection was there from an earlier message.
	Reused bool
	// Took is how long the attempt took.
	Took time.Duration
}

// Same gives a Result in which every recipient of m has the same outcome.
func Same(m *Message, o Outcome) Result {
	r := Result{Outcomes: make([]Outcome, len(m.Recipients))}
	for i := range r.Outcomes {
		r.Outcomes[i] = o
	}
	return r
}

// Sanitize makes the answer of a stranger fit for logs, headers and terminals:
// lines are joined by " / ", control characters and what is no UTF-8 become
// "?", and it is cut at 1,000 octets.
func Sanitize(s string) string { return sanitize(s, maxAnswer) }
