package esmtp

import (
	"context"
	"io"

	"hauspost/appliance/envelope"
	"hauspost/appliance/reply"
)

// Backend makes a Session for each connection.
type Backend interface {
	// NewSession is called when a connection was admitted (and its handshake
	// is done, with implicit TLS), before the greeting. A reply refuses the
	// connection: it is sent instead of the greeting. ctx ends with the
	// connection; all calls of the Session get the same one.
	NewSession(ctx context.Context, c *Conn) (Session, *reply.Reply)
}

// Session is the policy for one connection. Its methods are called from one
// goroutine at a time. Where a method returns a reply, nil means yes with the
// engine's usual text, 2yz means yes with that text, 4yz and 5yz mean no, and
// 421 also ends the connection.
type Session interface {
	// Helo is called for EHLO and HELO. name is printable ASCII without
	// spaces; whether it is a domain is the session's business.
	Helo(ctx context.Context, name string) *reply.Reply
	// Mail starts a transaction.
	Mail(ctx context.Context, m Mail) *reply.Reply
	// Rcpt adds a recipient. "Postmaster" without a domain is passed with an
	// empty Domain (RFC 5321, section 4.5.1).
	Rcpt(ctx context.Context, r envelope.Recipient) *reply.Reply
	// Content is called at DATA or the first BDAT of a transaction that has
	// recipients. A reply refuses the content.
	Content(ctx context.Context, via Via) (Content, *reply.Reply)
	// Refused is told of every 4yz and 5yz before it goes out, whoever gave it.
	// argument is printable and bounded.
	Refused(ctx context.Context, verb, argument string, r *reply.Reply)
	// Reset ends the transaction that the last Mail began, accepted or not.
	Reset(ctx context.Context, cause Cause)
	// Close is called once, when the connection is over.
	Close()
}

// Content takes the content of one message as the peer meant it: dots
// unstuffed, chunks joined.
type Content interface {
	// Write gets the content in pieces; it must not keep p. After an error
	// nothing more is written, the rest is read and dropped, Discard is
	// called, and reply.Of(err) is the answer.
	io.Writer
	// Commit is called when the content is whole; size counts its octets. The
	// reply (never nil) is the answer; a 2yz promises that the message is kept.
	Commit(ctx context.Context, size int64) *reply.Reply
	// Answered follows Commit when its reply was handed to the network, or
	// could not be.
	Answered(err error)
	// Discard is called instead of Commit.
	Discard()
}

// Via tells how content comes in.
type Via string

// The ways of content.
const (
	ViaData Via = "DATA"
	ViaBdat Via = "BDAT"
)

// Cause says why a transaction ended.
type Cause string

// The causes for Session.Reset.
const (
	// Answered: the content came in and was answered, or the sender was
	// refused.
	Answered Cause = "answered"
	// Renewed: RSET, EHLO, HELO, STARTTLS or QUIT.
	Renewed Cause = "renewed"
	// Gone: the peer closed the connection or the network lost it.
	Gone Cause = "gone"
	// TimedOut: the peer was too slow.
	TimedOut Cause = "timed-out"
	// Closed: the box closed the connection, for a limit or because it stops.
	Closed Cause = "closed"
)

// Mail is the MAIL command.
type Mail struct {
	// From is the reverse-path; the zero Address is "<>".
	From envelope.Address
	// Size is the value of SIZE in octets (RFC 1870), 0 if none.
	Size int64
	// Body is "7BIT", "8BITMIME" or empty (RFC 6152).
	Body string
	// SMTPUTF8 tells that the parameter was given (RFC 6531).
	SMTPUTF8 bool
	// EnvID (in xtext) and Ret ("FULL", "HDRS") are those of RFC 3461, or empty;
	// only taken with Options.DSN.
	EnvID, Ret string
	// RequireTLS tells that REQUIRETLS was given (RFC 8689): the message goes
	// on under verified TLS or not at all. It is announced and taken under TLS
	// only.
	RequireTLS bool
	// Auth is the AUTH parameter of RFC 4954 in xtext; only taken where AUTH
	// is offered.
	Auth string
}

// Gatekeeper is implemented by sessions that let commands wait: for TLS, or
// until somebody has signed in.
type Gatekeeper interface {
	// Permit is asked before each command that the engine knows, by its name
	// in upper case and before its argument is looked at; a reply refuses it.
	// BDAT is not asked for: the octets of its chunk have to be read in any
	// case, and without MAIL it does nothing.
	Permit(verb string) *reply.Reply
}

// Authenticator is implemented by sessions that offer AUTH (RFC 4954).
type Authenticator interface {
	// Mechanisms are offered at this moment: none before TLS, none after
	// success.
	Mechanisms() []string
	// Auth starts an exchange of an offered mechanism.
	Auth(ctx context.Context, mechanism string) (Exchange, *reply.Reply)
}

// Exchange is one SASL exchange.
type Exchange interface {
	// Next takes the peer's response (nil where no initial response came) and
	// gives the next challenge. After done with no error the peer is told
	// 235; a challenge given with done is sent before that. An error ends the
	// exchange; reply.Of(err) is the answer.
	Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error)
}
