package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// selfSignedFile holds certificate and key together, so that they are replaced
// in one step.
const selfSignedFile = "self-signed.pem"

// selfSignedYears is long: people who chose to trust it by hand should not be
// asked again, and nothing else looks at the date.
const selfSignedYears = 10

// useSelfSigned takes the self-signed certificate, and makes it where it is
// missing, damaged, about to expire, or for another host.
func (c *Certs) useSelfSigned() error {
	cert, err := c.selfSigned()
	if err != nil {
		return err
	}
	c.use(cert, "")
	return nil
}

func (c *Certs) selfSigned() (*tls.Certificate, error) {
	file := filepath.Join(c.o.Dir, selfSignedFile)
	data, err := os.ReadFile(file)
	if err == nil {
		cert, why := c.usable(data)
		if why == "" {
			return cert, nil
		}
		c.o.Logger.Warn("making a new self-signed certificate: people will be asked to trust it again", "reason", why)
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the self-signed certificate: %w", err)
	}
	if data, err = c.sign(); err != nil {
		return nil, fmt.Errorf("making a self-signed certificate: %w", err)
	}
	if err := os.MkdirAll(c.o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder for certificates: %w", err)
	}
	if err := replace(file, data); err != nil {
		return nil, fmt.Errorf("keeping the self-signed certificate: %w", err)
	}
	return pair(data, data)
}

// usable reads the kept certificate, or says why it cannot serve any more.
func (c *Certs) usable(data []byte) (cert *tls.Certificate, why string) {
	cert, err := pair(data, data)
	switch {
	case err != nil:
		return nil, fmt.Sprintf("the old one cannot be read: %v", err)
	case cert.Leaf.VerifyHostname(c.o.Hostname) != nil:
		return nil, "the old one is not for " + c.o.Hostname
	case c.o.Now().AddDate(0, 1, 0).After(cert.Leaf.NotAfter):
		return nil, "the old one ends at " + cert.Leaf.NotAfter.UTC().Format(time.DateOnly)
	}
	return cert, ""
}

// sign makes certificate and key as PEM.
func (c *Certs) sign() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	names := append([]string{c.o.Hostname}, c.o.Domains...)
	slices.Sort(names[1:])
	now := c.o.Now().UTC()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: commonName(c.o.Hostname)},
		DNSNames:     slices.Compact(names),
		// An hour back, for clients whose clocks are behind.
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(selfSignedYears, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := pem.Encode(&b, block); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// commonName is the host name where it fits (64 characters, RFC 5280).
func commonName(host string) string {
	if len(host) > 64 {
		return ""
	}
	return host
}

// pair reads a certificate with its key.
func pair(certPEM, keyPEM []byte) (*tls.Certificate, error) {
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	return &cert, nil
}

// replace writes a file for the owner's eyes only, whole or not at all.
func replace(file string, data []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".new-*") // made 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
