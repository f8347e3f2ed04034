// Package resolver asks the DNS: the house's only way to do so, and the fence
// around miekg/dns.
//
// It is a stub that trusts recursive name servers: those of the owner's
// configuration or of /etc/resolv.conf. Every answer tells whether it is
// Secure, that is, whether a validating name server on this very machine
// vouched for it by the AD bit. From anywhere else the bit could be forged on
// the way and is taken off.
//
// The package must not import anything of ours.
package resolver
