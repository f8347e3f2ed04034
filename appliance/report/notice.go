package report

import (
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/transfer"
)

// Action is what became of a recipient, in the words of RFC 3464, section 2.3.3.
type Action string

// The actions. Expanded is for recipients alone, not for a whole Notice.
const (
	// Failed: it was not delivered and is not tried again.
	Failed Action = "failed"
	// Delayed: it was not delivered yet and is tried further.
	Delayed Action = "delayed"
	// Relayed: another server has it, which does not report (RFC 3461).
	Relayed Action = "relayed"
	// Delivered: it lies in the recipient's mailbox.
	Delivered Action = "delivered"
	// Expanded: it was sent on to the addresses behind this one.
	Expanded Action = "expanded"
)

// Notice is all that goes into a report. Nothing in it is trusted, so that
// everything may be as a stranger gave it.
type Notice struct {
	// Kind decides the subject and what the text begins with: Failed, Delayed,
	// Relayed or Delivered.
	Kind Action
	// Hostname is the name of this box, as in its greeting.
	Hostname string
	// From is the address in the From field; the zero Address stands for
	// postmaster at Hostname.
	From envelope.Address
	// To is who is told. The reverse-path of a report is always null (RFC 3461,
	// section 6.1); that is the caller's matter.
	To envelope.Address
	// ID is that of the report; its Message-ID is made of it and Hostname.
	ID envelope.ID
	// Now is the time of the report, in the zone in which times are printed.
	Now time.Time

	// Message is the ID under which this box knows the message reported on
	// (Final-Log-ID); empty leaves it out.
	Message envelope.ID
	// Sender is the reverse-path of that message. It is named where Alias is set.
	Sender envelope.Address
	// Arrival is when the message came to this box; zero leaves it out.
	Arrival time.Time
	// EnvID and Ret are the DSN parameters of RFC 3461, as on the wire. Ret
	// counts in a Notice of Kind Failed: "HDRS" leaves the content out; "FULL"
	// and none return it where Content is given.
	EnvID, Ret string
	// Header is the header of the message; it may end in the empty line. Where
	// it is empty it is taken from Content.
	Header []byte
	// Content is the whole message with its header, or nil. It is returned up to
	// MaxContent octets; longer, or where its lines cannot travel as they are,
	// the header is returned alone.
	Content []byte
	// MaxContent is in octets; 0 means that only the header is returned.
	MaxContent int
	// SMTPUTF8 tells that the report may travel by RFC 6531, as when the message
	// itself did. Without it the report is such that any server takes it, unless
	// To or From need UTF-8 themselves.
	SMTPUTF8 bool

	// Recipients are those that are reported on: at least one.
	Recipients []Recipient
	// Alias is set in a report to the owner of a forward: the address of this
	// box that led to the recipients.
	Alias envelope.Address
}

// Recipient is one recipient in a Notice.
type Recipient struct {
	Address envelope.Address
	// ORcpt is the parameter of RCPT (RFC 3461), as on the wire, or empty.
	ORcpt string
	// Action is what became of it; empty stands for the Kind of the Notice.
	Action Action
	// Outcome is what the last attempt brought.
	Outcome transfer.Outcome
	// Expired tells, of Failed, that the box gave up because the time was over.
	Expired bool
	// Host is the other server (Remote-MTA); empty where there was none.
	Host string
	// LastAttempt is when it was tried last; zero leaves it out.
	LastAttempt time.Time
	// RetryUntil is, of Delayed, until when it is tried; zero leaves it out.
	RetryUntil time.Time
	// Note says in words what went otherwise than hoped on the way
	// (transfer.Result.Note), or is empty.
	Note string
}

// action gives the action of r, whose default is that of n.
func (n *Notice) action(r *Recipient) Action {
	if r.Action != "" {
		return r.Action
	}
	return n.Kind
}
