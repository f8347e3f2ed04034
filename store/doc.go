// Package store keeps the mail: message files below mail/, the SQLite index
// hauspost.db, and the log that makes both durable.
//
// A commit writes its operations (and the bytes of small messages) to the redo
// log, flushes that once for everyone who waits, commits the SQLite
// transaction, and only then tells the caller and the change feed. SQLite is an
// index: what it holds can be made again from the message files and the
// journal. See redo.go for the order of writes and what a crash leaves behind.
//
// store imports the standard library, SQLite and zstd. It must not import
// anything below appliance: what it keeps for others (people, traces, IMAP's
// ENVELOPE) it keeps as opaque bytes.
package store
