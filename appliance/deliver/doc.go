// Package deliver decides what becomes of a message: Inbound is the path of one
// that comes in, from its content to the mailboxes, readable from top to
// bottom. Filters only propose (Scanner); Decide, a pure function, decides.
//
// It must not import protocol servers (go-smtp, esmtp, smtpd, imapd), wazero,
// queue or relay.
package deliver
