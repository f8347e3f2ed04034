// Package deliver decides what becomes of a message. Inbound is the path of one
// that comes in, from its content to the mailboxes; Outbound that of one that
// somebody of the house submits, to mailboxes and into the queue. Each is
// readable from top to bottom. Filters only propose (Scanner); Decide, a pure
// function, decides by the owner's Policy, and DecideEarly does so before the
// content comes. Reports and Sent deliver what the box itself has to say or
// to file.
//
// It must not import protocol servers (go-smtp, esmtp, smtpd, submit, imapd),
// wazero or relay: how a message came and how it leaves is not its matter.
package deliver
