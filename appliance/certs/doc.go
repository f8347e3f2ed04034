// Package certs holds the box's certificate and the one TLS configuration that
// every listener shares: self-signed, from files of the owner, or by ACME
// (RFC 8555) through autocert, the fence around which it is.
//
// Whatever goes wrong with a certificate, mail still flows: a broken new file
// leaves the old one in use, and without a certificate from the ACME server
// the self-signed one serves.
//
// The package must not import the store or protocol libraries.
package certs
