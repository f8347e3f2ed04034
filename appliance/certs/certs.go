package certs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Mode says where the certificate comes from.
type Mode string

// The modes.
const (
	SelfSigned Mode = "self-signed"
	Files      Mode = "files"
	ACME       Mode = "acme"
)

// Options say how to make a Certs.
type Options struct {
	// Dir is the folder for the self-signed certificate and the ACME cache,
	// made (0700) where it is missing.
	Dir string
	// Mode is where the certificate comes from; empty means SelfSigned.
	Mode Mode
	// Hostname is the box's name; its certificate is for it.
	Hostname string
	// Domains are further names in the self-signed certificate.
	Domains []string
	// CertFile (the chain, leaf first) and KeyFile are PEM files for Files.
	CertFile, KeyFile string
	// Directory is the ACME directory; empty means Let's Encrypt. By using
	// ACME the owner accepts the terms of service of its server.
	Directory string
	// Email is told to the ACME server; may be empty.
	Email string
	// Roots are trusted for the ACME server; nil means the system's.
	Roots *x509.CertPool
	// Dial connects to the ACME server; nil means the usual way.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Logger may be nil.
	Logger *slog.Logger
	// Now may be nil (time.Now).
	Now func() time.Time
}

// Certs keeps the certificate. Its methods are safe for many goroutines.
type Certs struct {
	o      Options
	config *tls.Config
	// wait waits between attempts; tests replace it.
	wait func(ctx context.Context, d time.Duration) error

	// current is the certificate in use; never nil.
	current atomic.Pointer[tls.Certificate]

	mu      sync.Mutex
	problem string
	looked  time.Time // when the files were last looked at
	stamp   stamps

	manager atomic.Pointer[autocert.Manager]
	answer  atomic.Pointer[http.Handler] // for HTTP-01
}

// Info describes the certificate in use, for status.
type Info struct {
	Mode Mode `json:"mode"`
	// Names are those that the certificate is for.
	Names  []string `json:"names"`
	Issuer string   `json:"issuer"`
	// SelfSigned tells that clients will not trust it by themselves.
	SelfSigned bool      `json:"self_signed"`
	NotBefore  time.Time `json:"not_before"`
	NotAfter   time.Time `json:"not_after"`
	// Fingerprint is the SHA-256 of the certificate in lower-case hex.
	Fingerprint string `json:"sha256"`
	// Problem is empty, or says what keeps the wanted certificate away and
	// what to do.
	Problem string `json:"problem,omitempty"`
}

// New loads or makes the certificate. It fails where the owner's files cannot
// be used or Dir cannot be written; never because of the ACME server.
func New(o Options) (*Certs, error) {
	if o.Mode == "" {
		o.Mode = SelfSigned
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Certs{o: o, wait: wait}
	c.config = c.newConfig()
	var err error
	switch o.Mode {
	case SelfSigned:
		err = c.useSelfSigned()
	case Files:
		err = c.useFiles()
	case ACME:
		err = c.useACME()
	default:
		err = fmt.Errorf("TLS mode %q: want %q, %q or %q", o.Mode, SelfSigned, Files, ACME)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// newConfig is the house's one idea of TLS: 1.2 and 1.3, forward secrecy,
// authenticated encryption, and curves that are quick on small machines, first
// of all the hybrid that withstands quantum computers. Session tickets are on,
// with Go's keys that change daily; a key log is never written.
func (c *Certs) newConfig() *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{ // for 1.2; those of 1.3 are all good
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256},
		// Small first records are for browsers; mail has nothing to show before
		// the end, and each record costs a write.
		DynamicRecordSizingDisabled: true,
		GetCertificate:              c.certificate,
	}
	if c.o.Mode == ACME {
		// Only the ACME server is to see its protocol: a listener that offers
		// any ALPN refuses clients that offer others.
		challenge := config.Clone()
		challenge.NextProtos = []string{acme.ALPNProto}
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if isChallenge(hello) {
				return challenge, nil
			}
			return nil, nil
		}
	}
	return config
}

// Config gives the TLS configuration, the same for all listeners. It must not
// be changed.
func (c *Certs) Config() *tls.Config { return c.config }

func (c *Certs) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	switch {
	case c.o.Mode == Files:
		c.reload()
	case c.o.Mode == ACME && isChallenge(hello):
		return c.manager.Load().GetCertificate(hello)
	}
	return c.current.Load(), nil
}

// Run gets and renews certificates until ctx ends. In modes other than ACME
// there is nothing to do, and it waits for that.
func (c *Certs) Run(ctx context.Context) {
	if c.o.Mode == ACME {
		c.runACME(ctx)
	}
	<-ctx.Done()
}

// Info describes the certificate in use.
func (c *Certs) Info() Info {
	if c.o.Mode == Files {
		c.reload()
	}
	leaf := c.current.Load().Leaf
	sum := sha256.Sum256(leaf.Raw)
	info := Info{
		Mode:        c.o.Mode,
		Names:       slices.Clone(leaf.DNSNames),
		Issuer:      leaf.Issuer.String(),
		SelfSigned:  isSelfSigned(leaf),
		NotBefore:   leaf.NotBefore,
		NotAfter:    leaf.NotAfter,
		Fingerprint: hex.EncodeToString(sum[:]),
	}
	for _, ip := range leaf.IPAddresses {
		info.Names = append(info.Names, ip.String())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	info.Problem = c.problem
	if now := c.o.Now(); info.Problem == "" && !now.Before(leaf.NotAfter) {
		info.Problem = "the certificate has expired: " + c.remedy()
	} else if info.Problem == "" && leaf.VerifyHostname(c.o.Hostname) != nil {
		info.Problem = fmt.Sprintf("the certificate is not for %s: %s", c.o.Hostname, c.remedy())
	}
	return info
}

func isSelfSigned(leaf *x509.Certificate) bool {
	return bytes.Equal(leaf.RawIssuer, leaf.RawSubject) &&
		leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil
}

// remedy says what to do about a certificate that is no good.
func (c *Certs) remedy() string {
	switch c.o.Mode {
	case Files:
		return "put a new one at " + c.o.CertFile
	case ACME:
		return "see the log for what the ACME server says"
	}
	return "restart the box, which makes a new one"
}

// use takes a certificate into use.
func (c *Certs) use(cert *tls.Certificate, problem string) {
	c.current.Store(cert)
	c.report(problem)
}

func (c *Certs) report(problem string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problem = problem
}

// Roots gives the certificates that the system trusts, with those of a PEM
// file beside them where file is not empty.
func Roots(file string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a bare container has none
	}
	if file == "" {
		return pool, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the extra trust root: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("the extra trust root %s holds no certificate in PEM form", file)
	}
	return pool, nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
