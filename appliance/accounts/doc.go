// Package accounts owns the people of the box: domains, accounts, aliases and
// passwords. It says where mail for an address ends (Resolve), whose an address
// is (Owns), who may log in (Password, SASL, ByAddresses), and slows down those
// who guess.
//
// Everything is kept as documents in the store and mirrored in memory, because
// Resolve is asked for every RCPT and a household's people fit there easily.
// The mirror is thrown away and made anew whenever a change fails half-way.
//
// The package may import store, envelope and reply. It must not import
// protocol libraries or packages that listen on sockets.
package accounts
