// Package submit takes the mail that the people of the household send (RFC
// 6409): port 465 with TLS from the start and port 587 with STARTTLS. The
// protocol itself is in package esmtp; this package is the policy:
//
//	session.go   the connection: who is there, which commands have to wait
//	auth.go      AUTH: passwords by People, and what a failure is answered with
//	external.go  AUTH EXTERNAL: the client's certificate
//	mail.go      MAIL: the sender has to belong to who signed in; the trace begins
//	rcpt.go      RCPT: no recipient that cannot exist
//	data.go      DATA and BDAT: the content goes to the Staging, Commit, 250
//	rate.go      how much one person may send within an hour
//	people.go    what submit asks of the accounts
//	events.go    sign-ins, for the log
//
// # Who may send
//
// Nobody without TLS and AUTH. Before TLS nothing is run but EHLO, HELO,
// STARTTLS, NOOP, RSET and QUIT, so that nobody's password or mail is read on
// the way. After it MAIL needs AUTH.
//
// The exception are the networks of Options.Trusted: printers, scanners and
// other devices that can neither encrypt nor sign in. They may send without
// both, in the name of addresses of this box only. Whoever can send from such
// an address (a guest in the same Wi-Fi, say) can send as any of these; the
// list should be short and is empty unless the owner fills it.
//
// # The way of a message
//
// As in package smtpd: MAIL begins a transaction with an envelope.ID and a
// maillog.Trace; each step is one event in it; Intake.Stage gets the content as
// it streams in; nil from Staging.Commit means that the person is told
// "250 2.6.0 Accepted as ID". What a mail program calls itself in EHLO is not
// held against it; a name that is none becomes "unknown".
//
// A password never gets into an event: of a failed sign-in the log has the
// name that was tried, and that only if it is a mail address.
//
// Package submit may import esmtp, envelope, reply, maillog and resolver. It
// must not import smtpd, accounts, store, queue, relay or deliver: what it
// needs of others are the interfaces People, Intake and Domains.
package submit
