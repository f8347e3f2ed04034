// Package smtpd receives mail from strangers on port 25. The protocol itself is
// in package esmtp; this package is the policy of one household:
//
//	session.go      the connection: what is known of the peer
//	helo.go         EHLO and HELO: is the name well-formed, is it ours, forged?
//	mail.go         MAIL: rate, reverse DNS, sender domain; the trace begins
//	rcpt.go         RCPT: no relaying in any spelling, then the Directory
//	filters.go      the filters that are asked before the content comes
//	data.go         DATA and BDAT: the content goes to the Staging, Commit, 250
//	transaction.go  what was said of one message so far, and its trace
//	names.go        the questions to the DNS
//
// # The way of a message
//
// A connection that passes the limits (esmtp.Limits) gets a session. MAIL makes
// a transaction: it gets an envelope.ID and a maillog.Trace, and from there on
// each step is one event in the trace and the log. Each RCPT is asked of the
// Directory. At DATA or the first BDAT the Intake opens a Staging, which gets
// the content as it streams in. When the engine has seen the real end and found
// no fault of form or size, Staging.Commit makes the message durable; nil means
// that the peer is told "250 2.6.0 Accepted as ID". Anything else ends in
// Staging.Discard and a 4yz or 5yz, or, where the peer went away, in silence.
// The trace of a transaction that was not stored goes to Options.Keep.
//
// smtpd holds no queue and knows no way out: it cannot relay.
//
// It may import esmtp, envelope, reply and maillog. It must not import queue,
// relay, submit, store, and no library for SMTP or DNS: what it needs of others
// are the small interfaces Directory, Intake, Staging, Filters and Names.
package smtpd
