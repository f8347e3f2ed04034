package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"hauspost/appliance/senderauth"
)

// stateActive is the state of a key that signs. A key of any other state is
// only published.
const stateActive = "active"

// document is a key in the store.
type document struct {
	Algorithm string    `json:"algorithm"`
	Key       []byte    `json:"key"` // PKCS #8 (RFC 5958)
	Created   time.Time `json:"created"`
	State     string    `json:"state"`
}

// private is a key that was just made.
type private struct {
	algorithm string
	pkcs8     []byte
}

// generate makes a key of each algorithm.
func generate() ([]private, error) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	// 2048 bits: a larger one does not fit the DNS answers of many providers.
	r, err := rsa.GenerateKey(rand.Reader, senderauth.MinRSABits)
	if err != nil {
		return nil, err
	}
	var pair []private
	for algorithm, key := range map[string]crypto.Signer{RSA: r, Ed25519: ed} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		pair = append(pair, private{algorithm, der})
	}
	return pair, nil
}

// stored is a document as it is in the store.
type stored struct {
	key   string
	value []byte
}

// domainKeys are the keys of one domain. They are parsed when they are needed
// first, for that of RSA takes a while.
type domainKeys struct {
	documents []stored // by selector

	once    sync.Once
	keys    []Key
	signers []senderauth.Key
	damage  []error
}

// parse reads the documents; the logger hears of damaged ones.
func (d *domainKeys) parse(logger *slog.Logger) {
	d.once.Do(func() {
		for _, s := range d.documents {
			key, signer, err := s.read()
			if err != nil {
				logger.Error("a DKIM key cannot be read", "name", recordName(s.key), "error", err)
				d.damage = append(d.damage, err)
				continue
			}
			d.keys = append(d.keys, key)
			if key.Active {
				d.signers = append(d.signers, signer)
			}
		}
		slices.SortStableFunc(d.signers, func(a, b senderauth.Key) int { return rank(a) - rank(b) })
		d.documents = nil
	})
}

// rank is the order in which keys sign.
func rank(k senderauth.Key) int {
	if _, ok := k.Private.Public().(*rsa.PublicKey); ok {
		return 0
	}
	return 1
}

// read gives the key of a document. What it says of a damaged one never holds
// any of it.
func (s stored) read() (Key, senderauth.Key, error) {
	damaged := func(what string) (Key, senderauth.Key, error) {
		return Key{}, senderauth.Key{}, fmt.Errorf("%w: %s: %s; remove the keys of the domain and make new ones",
			ErrDamaged, recordName(s.key), what)
	}
	domain, selector, ok := strings.Cut(s.key, "\x00")
	if !ok {
		return damaged("its name has no selector")
	}
	var d document
	if err := json.Unmarshal(s.value, &d); err != nil {
		return damaged("it is not a JSON document of a key")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(d.Key)
	if err != nil {
		return damaged("the private key is not PKCS #8")
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return damaged("the private key is of a kind that does not sign")
	}
	record, err := senderauth.Record(signer.Public())
	if err != nil {
		return damaged(err.Error())
	}
	if signs, _ := senderauth.Algorithm(signer.Public()); signs != d.Algorithm+"-sha256" {
		return damaged("the private key is of another algorithm than its document says")
	}
	k := Key{Domain: domain, Selector: selector, Algorithm: d.Algorithm, Created: d.Created, Active: d.State == stateActive,
		Name: recordName(s.key), Record: record}
	k.Zone = zoneLine(k.Name, record)
	return k, senderauth.Key{Domain: domain, Selector: selector, Private: signer}, nil
}

// recordName is the name of the TXT record for the key of a document.
func recordName(key string) string {
	domain, selector, _ := strings.Cut(key, "\x00")
	return senderauth.Key{Domain: domain, Selector: selector}.Name()
}

// maxString is how long one string of a TXT record may be, in octets.
const maxString = 255

// zoneLine writes a TXT record, whose text is printable ASCII without quotes
// and backslashes, for a zone file.
func zoneLine(name, text string) string {
	var b strings.Builder
	b.WriteString(name)
	b.WriteString(". IN TXT")
	for part := range slices.Chunk([]byte(text), maxString) {
		fmt.Fprintf(&b, ` "%s"`, part)
	}
	return b.String()
}
