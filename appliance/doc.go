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
//	config → resolver → relay → store (locks the data folder) → accounts, dkim,
//	queue → certs → deliver → smtpd, imapd, submit, sendmail → sockets → control
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
//	submit    a session of esmtp at 587 or 465: TLS, AUTH, the sender belongs to
//	          who signed in, a recipient that cannot be is refused at once
//	sendmail  or a file in the spool, which the command left there
//	deliver   Outbound.Stage: the header is judged and mended (From, Date,
//	          Message-ID, Bcc) and then streams on, signed and hashed as it goes
//	          Commit: Scanner → decide → DKIM → recipients here, past the filters of
//	          what arrives, and elsewhere →
//	          store.Deliver
//	store     one commit for mailboxes and rows of the queue
//	submit    250: from here on the message is promised
//	queue     Wake, or the time that is due: Run plans attempts, one destination
//	          apart from the other
//	relay     Attempt: way, servers, TLS as it must be, one answer for each
//	          recipient; it knows nothing of other attempts
//	queue     records: delivered, later, or a report to the sender in the same
//	          commit in which the row goes
//
// An alias that leads elsewhere joins this path in deliver.Inbound: its rows
// are committed with the mailboxes of the same message. smtpd has no way to
// send.
//
// # Filters
//
//	plugins/pack   the packages in the data folder, and the lock file: what was
//	               granted to whom
//	pluginChain    makes of them and of the owner's settings the chain of the host
//	plugins/host   starts workers, sends them one event for the whole chain,
//	               kills what takes too long, judges what comes back
//	plugins/host/worker
//	               a process of its own in plugins/host/jail: runs the guests,
//	               reads MIME, asks back for DNS, keys and services
//	filters        shows the chain to deliver (on_message, on_submit) as its
//	               Scanner and to smtpd (on_connect, on_mail, on_rcpt) as its
//	               Filters
//	deliver        Decide: scores, thresholds, stops, exemptions, failures; what
//	               follows from it on each path
//	afterwards     tells plugins of what is done: on_delivery, on_feedback (imapd
//	               saw a person move mail to or from Junk), on_timer
//
// Without enabled plugins there is no worker, and nothing of this costs
// anything.
package appliance
