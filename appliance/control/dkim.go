package control

import "time"

// DKIMKey is a key with which mail of one domain is signed.
type DKIMKey struct {
	Domain   string `json:"domain"`
	Selector string `json:"selector"`
	// Algorithm is "ed25519" or "rsa" (k= of RFC 6376 and RFC 8463).
	Algorithm string    `json:"algorithm"`
	Created   time.Time `json:"created"`
	// Active tells that mail is signed with it.
	Active bool `json:"active"`
	// Record is what must stand in the DNS.
	Record DNSRecord `json:"record"`
}

// DNSRecord is a record that must stand in the DNS.
type DNSRecord struct {
	// Name is in full, without the dot at the end.
	Name string `json:"name"`
	// Type is "TXT" and the like.
	Type string `json:"type"`
	// Value is one string, however long.
	Value string `json:"value"`
	// Zone is the record as a line of a zone file, with strings of at most 255
	// octets.
	Zone string `json:"zone"`
}
