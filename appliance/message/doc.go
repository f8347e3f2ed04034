// Package message reads mail: it makes from the raw bytes of a message what
// IMAP lists of it (ENVELOPE and BODYSTRUCTURE, RFC 9051, section 7.5.2), finds
// its parts by their numbers, decodes them and searches in them. For mail on its
// way out it reads what submission must know of a header (ReadOutgoing) and
// mends it (Mend).
//
// Nothing here fails on malformed mail and only Mend changes it: addresses, dates
// and parameters are given as they stand in the header, encoded words and
// RFC 2231 parameters included. Work is linear in the size of a message and
// held within the limits below, whatever the message holds.
//
// The package is pure. It must not import anything of ours, do input or
// output, or keep state beyond buffers that it uses again.
package message

// Limits on what is read of one message. What lies beyond them is served as
// bytes but not described.
const (
	// MaxHeader is how many octets of one header are read for their fields.
	MaxHeader = 256 << 10
	// MaxDepth is how deep parts may be nested; a container at that depth is
	// described as application/octet-stream.
	MaxDepth = 100
	// MaxParts is how many parts a message may have, the containers counted.
	// Further parts are left in the epilogue of their multipart.
	MaxParts = 1000
	// MaxAddresses is how many addresses the envelope of one message may name.
	MaxAddresses = 10000
	// MaxParams is how many parameters of one field are described.
	MaxParams = 1000
	// maxStructure is the size of a structure in octets beyond which the
	// remaining parts are described without parameters and envelopes.
	maxStructure = 512 << 10
)
