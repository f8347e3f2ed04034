package certs

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

const (
	// poll is how often a certificate that autocert renewed is taken over.
	poll = 10 * time.Minute
	// firstRetry and lastRetry bound the wait after a failure; it doubles in
	// between. Let's Encrypt bears five failures an hour for one name.
	firstRetry = 15 * time.Minute
	lastRetry  = 6 * time.Hour
	// requestTimeout bounds one request to the ACME server.
	requestTimeout = 30 * time.Second
)

// useACME takes the certificate of the last run if it is still good, and the
// self-signed one until there is another. Handshakes never wait for the ACME
// server: Run talks to it.
func (c *Certs) useACME() error {
	own, err := c.selfSigned()
	if err != nil {
		return err
	}
	c.use(own, "no certificate from the ACME server yet; the self-signed one is in use")
	c.newManager()
	data, err := c.cache().Get(context.Background(), c.o.Hostname)
	if err != nil {
		return nil // the first time
	}
	if cert, why := c.cached(data); why == "" {
		c.use(cert, "")
	} else {
		c.o.Logger.Warn("the certificate of the last run is of no use", "reason", why)
	}
	return nil
}

// cached reads a certificate from autocert's cache: key and chain in one.
func (c *Certs) cached(data []byte) (cert *tls.Certificate, why string) {
	cert, err := pair(data, data)
	switch {
	case err != nil:
		return nil, err.Error()
	case cert.Leaf.VerifyHostname(c.o.Hostname) != nil:
		return nil, "it is not for " + c.o.Hostname
	case !c.o.Now().Before(cert.Leaf.NotAfter):
		return nil, "it has expired"
	}
	return cert, ""
}

func (c *Certs) cache() autocert.DirCache {
	return autocert.DirCache(filepath.Join(c.o.Dir, "acme"))
}

// newManager starts afresh: autocert remembers failures longer than we do.
func (c *Certs) newManager() {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           c.o.Dial,
		TLSClientConfig:       &tls.Config{RootCAs: c.o.Roots, MinVersion: tls.VersionTLS12},
		ResponseHeaderTimeout: requestTimeout,
		IdleConnTimeout:       requestTimeout,
		ForceAttemptHTTP2:     true,
	}
	m := &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      c.cache(),
		HostPolicy: autocert.HostWhitelist(c.o.Hostname),
		Email:      c.o.Email,
		Client: &acme.Client{
			DirectoryURL: c.o.Directory,
			HTTPClient:   &http.Client{Transport: transport, Timeout: requestTimeout},
			UserAgent:    "hauspost",
		},
	}
	if m.Client.DirectoryURL == "" {
		m.Client.DirectoryURL = autocert.DefaultACMEDirectory
	}
	answer := m.HTTPHandler(http.NotFoundHandler())
	c.manager.Store(m)
	c.answer.Store(&answer)
}

// HTTPHandler answers the HTTP-01 challenge (RFC 8555, section 8.3) and nothing
// else; it is to be served on port 80. nil in modes other than ACME.
func (c *Certs) HTTPHandler() http.Handler {
	if c.o.Mode != ACME {
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Behind a port of another number the Host carries that number.
		if host, _, err := net.SplitHostPort(r.Host); err == nil {
			r = r.Clone(r.Context())
			r.Host = host
		}
		(*c.answer.Load()).ServeHTTP(w, r)
	})
}

// isChallenge tells that a handshake is TLS-ALPN-01's (RFC 8737).
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto})
}

func (c *Certs) runACME(ctx context.Context) {
	retry := firstRetry
	for {
		next := poll
		err := c.obtain(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.o.Logger.Warn("no certificate from the ACME server; mail flows with the one at hand",
				"host", c.o.Hostname, "error", err, "issuer", c.current.Load().Leaf.Issuer.String(), "again_in", retry)
			c.report(fmt.Sprintf("the ACME server gives no certificate: %v; "+
				"check that %s leads here and that port 80 is open, it is tried again by itself", err, c.o.Hostname))
			next, retry = retry, min(2*retry, lastRetry)
			c.newManager()
		} else {
			retry = firstRetry
		}
		if c.wait(ctx, next) != nil {
			return
		}
	}
}

// obtain asks autocert for the certificate, which takes minutes the first time
// and is done from memory later. autocert renews by itself when a third of the
// lifetime is left.
func (c *Certs) obtain(ctx context.Context) error {
	m := c.manager.Load()
	type outcome struct {
		cert *tls.Certificate
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		// The suites say that ECDSA is wanted.
		cert, err := m.GetCertificate(&tls.ClientHelloInfo{
			ServerName:   c.o.Hostname,
			CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		})
		done <- outcome{cert, err}
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case o := <-done:
		if o.err != nil {
			return o.err
		}
		return c.adopt(o.cert)
	}
}

func (c *Certs) adopt(cert *tls.Certificate) error {
	leaf, old := cert.Leaf, c.current.Load().Leaf
	if !leaf.Equal(old) {
		c.o.Logger.Info("a new certificate is in use", "issuer", leaf.Issuer.String(), "until", leaf.NotAfter)
	}
	c.use(cert, "")
	// autocert keeps quiet about renewals that fail.
	if left := leaf.NotAfter.Sub(c.o.Now()); left < leaf.NotAfter.Sub(leaf.NotBefore)/6 {
		return fmt.Errorf("the certificate ends in %s and was not renewed", left.Round(time.Hour))
	}
	return nil
}
