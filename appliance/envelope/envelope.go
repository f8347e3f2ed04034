package envelope

import (
	"net/netip"
	"time"
)

// Envelope is what the peer said of a message before its content
// (RFC 5321, section 2.3.1), with what the box knows of the peer.
type Envelope struct {
	// ID names the message in trace, log and store.
	ID ID
	// Client is the peer that hands the message over.
	Client Client
	// From is the reverse-path; the zero Address is "<>".
	From Address
	// To are the accepted recipients in the order of their RCPT commands.
	To []Recipient
	// Size is the size in octets that the peer announced (RFC 1870), 0 if none.
	Size int64
	// SMTPUTF8 tells that the peer asked for RFC 6531.
	SMTPUTF8 bool
	// Body is "7BIT", "8BITMIME" or empty (RFC 6152).
	Body string
	// EnvID and Ret are the DSN parameters of MAIL (RFC 3461).
	EnvID, Ret string
	// RequireTLS tells that the parameter REQUIRETLS was given (RFC 8689).
	RequireTLS bool
	// Received is the time of the MAIL command.
	Received time.Time
	// Facts are what was found out about the sender before the content.
	Facts []Fact
	// Runs are what filters did before the content (at connect, MAIL, RCPT).
	Runs []Run
}

// Recipient is one accepted forward-path.
type Recipient struct {
	Address Address
	// Notify and ORcpt are the DSN parameters of RCPT (RFC 3461), in the
	// spelling of the wire; empty where the peer gave none.
	Notify, ORcpt string
}

// Client is the peer of an SMTP session.
type Client struct {
	// Addr is the peer's address and port.
	Addr netip.AddrPort
	// Local is the address and port at which it was received.
	Local netip.AddrPort
	// HELO is the argument of HELO or EHLO, already checked for its syntax.
	HELO string
	// Hostname is the forward-confirmed reverse name (FCrDNS), or empty.
	Hostname string
	// Protocol is the "with" keyword of RFC 3848: SMTP, ESMTP, ESMTPS, UTF8SMTPS …
	Protocol string
	// TLS says version and cipher suite for the trace, such as
	// "TLS1.3 TLS_AES_128_GCM_SHA256"; empty without TLS.
	TLS string
}

// Target is where mail for an address ends: a person of this box, or, by an
// alias that leads out of the house, an address elsewhere.
type Target struct {
	// Account is the ID of the account (see accounts); empty for an address
	// elsewhere.
	Account string
	// Address is the account's own address, or the one elsewhere.
	Address Address
	// Alias is the address of this box that led elsewhere, as it is forwarded;
	// the zero Address for a person.
	Alias Address
	// Detail is the part after "+" of a plus-address, or empty.
	Detail string
	// Via names what led here: "alias sales@example.test", "catch-all
	// example.test"; empty when the address is the account's own.
	Via string
}

// Fact is something that the box found out about a message and that the
// decision may weigh: a name such as "fcrdns" or "helo.forged", a value, and
// a detail for people.
type Fact struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Detail string `json:"detail,omitempty"`
}
