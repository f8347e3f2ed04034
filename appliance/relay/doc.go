// Package relay makes one attempt to hand a message to another server, by MX or
// through a server that the owner chose, and says what became of each
// recipient. It keeps nothing but open connections: when to try again is for
// others to know.
//
// It may import resolver, transfer and envelope. It must not import queue,
// store or config: an attempt does not know the schedule. Of third-party
// libraries it has xdg-go/scram alone; the SMTP client is its own, because
// PIPELINING, CHUNKING, hard limits on replies and an outcome per recipient go
// through all of it.
//
// How the parts fit: attempt.go walks from a message to its outcomes; route.go
// chooses the way, targets.go asks the DNS for servers, race.go connects,
// session.go greets, tls.go encrypts, auth.go signs in, send.go is one
// transaction, content.go the message itself, pool.go keeps connections;
// wire.go reads replies, classify.go names them.
//
// # What decides about encryption
//
// With Opportunistic, TLS is used where it is offered, with any certificate and
// from TLS 1.0 on: who listens reads what goes out plain, but not what goes out
// by an old version (RFC 7435). Where STARTTLS or the handshake fails, the
// message goes out without, and the result says so. Required and Verified want
// TLS 1.2 and never send where what they ask for does not hold; the outcome is
// Deferred, because a certificate that expired yesterday is mended tomorrow.
// "TLS-Required: No" (RFC 8689, section 5) lets go of what the recipient's
// domain asks for, never of what the owner set for a route: today only the owner
// asks for anything, so it changes nothing. REQUIRETLS wins over it.
//
// # What is not converted
//
// A message with 8-bit text goes as it is to a server without 8BITMIME: those
// that exist are 8-bit clean in all but name, and a conversion breaks
// signatures.
package relay
