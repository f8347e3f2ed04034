package senderauth

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"

	"hauspost/appliance/envelope"
)

// Sizes of RSA keys in bits. Verifiers need not take larger ones, and must not
// trust smaller ones than 1024 (RFC 8301, section 3.2).
const (
	MinRSABits = 2048
	MaxRSABits = 4096
)

// ErrKey is wrapped by errors that tell of a key with which nothing can be
// signed.
var ErrKey = errors.New("not a key for DKIM")

// Key is what signs for a domain. It prints as the name of its record; the
// private key never shows in text, JSON or a log.
type Key struct {
	// Domain is what "d=" names, in A-labels (RFC 8616); letters beyond ASCII
	// are put into A-labels.
	Domain string
	// Selector names the key among those of the domain.
	Selector string
	// Private is an *rsa.PrivateKey of MinRSABits to MaxRSABits or an
	// ed25519.PrivateKey, or something that signs for one.
	Private crypto.Signer `json:"-"`
}

// Name is the domain name of the key's record (RFC 6376, section 3.6.2.1).
func (k Key) Name() string { return k.Selector + "._domainkey." + k.Domain }

// String implements fmt.Stringer.
func (k Key) String() string { return k.Name() }

// GoString implements fmt.GoStringer.
func (k Key) GoString() string { return k.Name() }

// LogValue implements slog.LogValuer.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.Name()) }

// Algorithm is the "a=" of the signatures of a public key: "rsa-sha256" or
// "ed25519-sha256" (RFC 8463). ErrKey.
func Algorithm(public crypto.PublicKey) (string, error) {
	switch p := public.(type) {
	case *rsa.PublicKey:
		if bits := p.N.BitLen(); bits < MinRSABits || bits > MaxRSABits {
			return "", fmt.Errorf("%w: RSA with %d bits; %d to %d are right", ErrKey, bits, MinRSABits, MaxRSABits)
		}
		return "rsa-sha256", nil
	case ed25519.PublicKey:
		return "ed25519-sha256", nil
	}
	return "", fmt.Errorf("%w: %T; RSA and ed25519 are", ErrKey, public)
}

// Record is the text of the TXT record at Key.Name that publishes a key
// (RFC 6376, section 3.6.1; RFC 8463, section 4), in one piece. ErrKey.
func Record(public crypto.PublicKey) (string, error) {
	if _, err := Algorithm(public); err != nil {
		return "", err
	}
	if p, ok := public.(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(p), nil
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("%w: %v", ErrKey, err)
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
}

// check gives the key with its names in A-labels and its algorithm.
func (k Key) check() (Key, string, error) {
	domain, err := envelope.NormalizeDomain(k.Domain)
	if err != nil || domain[0] == '[' {
		return k, "", fmt.Errorf("%w: %q is not a domain", ErrKey, k.Domain)
	}
	selector, err := envelope.NormalizeDomain(k.Selector)
	if err != nil || selector[0] == '[' {
		return k, "", fmt.Errorf("%w: %q is not a selector", ErrKey, k.Selector)
	}
	if k.Private == nil {
		return k, "", fmt.Errorf("%w: the private key of %s is missing", ErrKey, k)
	}
	algorithm, err := Algorithm(k.Private.Public())
	return Key{Domain: domain, Selector: selector, Private: k.Private}, algorithm, err
}
