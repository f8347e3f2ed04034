// Package esmtp is the SMTP server engine of the house (RFC 5321 and the
// extensions that it announces). It owns the sockets and the protocol: command
// lines and their limits, the order of commands, pipelining, the form of
// addresses and parameters, the content of a message up to its real end, TLS,
// time-outs and budgets. It knows no policy: whom the box speaks to, which
// senders and recipients it takes and where a message goes is said by a
// Backend. Package smtpd is the one for port 25.
//
// # A connection
//
// Serve takes a connection if the Limits on connections allow it and runs it in
// one goroutine (Conn.run). Each command line goes through the table in
// commands.go; its handler asks the Session and answers. Answers collect in a
// small buffer that is written only when the engine is about to wait for the
// peer, so a pipelined group is answered in one segment (RFC 2920).
//
// # A transaction
//
// The engine calls Session.Mail, Session.Rcpt (several times) and
// Session.Content; writes the content, decoded, to the Content; calls exactly
// one of Content.Commit and Content.Discard; and calls Session.Reset exactly
// once for every call of Session.Mail, whatever happened in between. Commit is
// called only when the content came in whole (CRLF "." CRLF after DATA, all the
// octets of the LAST chunk after BDAT), in the right form (no bare CR, bare LF
// or NUL, no over-long line) and within the size limit. A message that fails
// any of this is read to its real end and refused there, so that its bytes are
// never taken for commands.
//
// What every policy notes of a transaction is in Transaction, what it hands the
// content to is a Staging, and a Recorder tells log, trace and counts what
// became of it; the engine itself uses none of them. Tests play written
// dialogues by package dialogue.
//
// Package esmtp must not import anything of ours but envelope, reply and
// maillog.
package esmtp
