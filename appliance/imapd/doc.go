// Package imapd serves IMAP4rev1 and IMAP4rev2 (RFC 3501, RFC 9051) from the
// store.
//
// commands.go is the table of commands: where each is valid, to which
// extension it belongs, and which file runs it. Extensions add a file and an
// entry there or in one of the other tables: capabilities (capability.go),
// FETCH items (fetchitems.go), SEARCH keys (searchkeys.go), STATUS items
// (status.go), SELECT parameters (select.go), LIST options (listoptions.go),
// ENABLE (enable.go).
//
// Each connection is one goroutine that waits at a shallow stack and holds no
// buffer while nothing comes. What changes in a mailbox reaches sessions by one
// way: selected.sync compares the UIDs that the client was told of with the
// store's live view, at the end of commands that allow it and, while the client
// is on IDLE, in one of a few pushers (push.go).
//
// It may import store, accounts, message, maillog and envelope. It must not
// import deliver or queue, nor any server of a protocol library.
package imapd
