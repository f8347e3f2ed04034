// Package senderauth holds the facts about who a message is from, and signs
// what leaves: a Signer makes its DKIM signatures (RFC 6376, 8301, 8463).
//
// Signing is done here and not by go-msgauth, which would canonicalise and hash
// a message once for each key, in a goroutine for each that must be ended when
// a transaction is given up, and would not fold the list of signed fields: of a
// message of 40 KB the work beside the signatures is a tenth this way, and a
// Signer can be dropped at any time. The library judges the signatures in the
// tests, as an implementation of its own.
//
// The package must not import store or plugins: facts are found, and signatures
// made, without knowing what becomes of them.
package senderauth
