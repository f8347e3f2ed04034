// Package dkim owns the private keys with which the box signs mail by DKIM:
// it makes them for each domain, keeps them in the store, gives them to the
// signer, and says what the domain must publish.
//
// Private keys leave it only inside senderauth.Key, which never prints them.
//
// The package may import the store, senderauth and envelope. It must not import
// protocol libraries, and knows nothing of DNS beyond the text of records.
package dkim
