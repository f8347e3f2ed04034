// Package appliance is the composition root of the house: it builds the parts,
// starts them in order, runs them, and stops them in the reverse order. Box is
// the running box; Init, Connect and Rebuild are what the command line does
// with a data folder. RATIONALE.md beside this file says why things are as
// they are.
//
// It may import everything below it. Only cmd imports it.
//
// # The order
//
//	config → store (locks the data folder) → accounts → certs → resolver →
//	deliver → smtpd, imapd → sockets → control
//
// A part is handed what it needs and never reaches for more: smtpd knows
// deliver only as an Intake and accounts only as a Directory, deliver knows
// filters only as a Scanner. Nothing that can wait is done before the box is
// ready.
//
// # A message comes in
//
//	smtpd     a session of esmtp, the protocol engine: HELO, MAIL, RCPT are
//	          each a decision with a reason; accounts resolves recipients, so
//	          an unknown one is refused with 550 5.1.1 in the session
//	esmtp     content up to its real end; bare CR, LF or NUL, over-long lines
//	          and over-size are refused, whatever their bytes pretend to be
//	deliver   Inbound.Stage: streams into the store's staging, hashed as it goes
//	          Commit: facts → Scanner → decide (pure: Verdict and Reason) →
//	          trace headers → store.Deliver
//	store     redo log and flush, shared by all who wait → one transaction →
//	          the change feed
//	smtpd     250: from here on the message is promised
//	imapd     the change feed wakes the sessions on IDLE: EXISTS
//
// Each step is an event of maillog: it goes to the log and into the trace that
// `hauspost trace ID` prints. The trace of a stored message lies with it; that
// of a refused transaction is kept by Box.keep.
//
// # A message goes out
//
// Submission, queue and relay are not there yet. Their path begins in a
// listener of its own and ends in relay; it never passes through smtpd, which
// has no way to send.
//
// # Filters
//
// deliver asks its Scanner between the checks and the decision. Plugins will
// be one; until then there is none, and the trace says so.
package appliance
