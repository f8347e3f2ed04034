package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"hauspost/appliance/transfer"
)

// needs is what a message asks of a connection.
type needs struct {
	security Security
	// requireTLS is that of RFC 8689.
	requireTLS bool
}

// needsOf is what m asks on a way. TLSOptional changes nothing: see the package
// comment.
func needsOf(m *transfer.Message, r *Route) needs {
	n := needs{security: r.security(), requireTLS: m.RequireTLS}
	if n.requireTLS {
		n.security = Verified
	}
	return n
}

// met tells whether an open connection is good enough. proven: the DNS or the
// owner vouches that its server is the right one.
func (n needs) met(k *conn, proven bool) bool {
	switch {
	case n.security == Verified && !k.verified, n.security == Required && k.tls == "":
		return false
	case n.requireTLS:
		return k.ext.requireTLS && proven
	}
	return true
}

// strict tells that nothing may go out without encryption.
func (n needs) strict() bool { return n.security == Required || n.security == Verified }

// handshake puts TLS on top of the connection and finds out what it is worth.
func (k *conn) handshake(ctx context.Context, n needs) error {
	conf := k.c.o.TLS.Clone()
	conf.ServerName = k.host
	conf.ClientSessionCache = k.c.sessions
	conf.MinVersion = tls.VersionTLS12
	if !n.strict() {
		conf.MinVersion = tls.VersionTLS10
	}
	// The certificate is verified below, so that one that is not valid can be
	// told of instead of breaking the connection off.
	conf.InsecureSkipVerify = true
	var problem error
	conf.VerifyConnection = func(cs tls.ConnectionState) error {
		problem = k.c.verify(cs, conf, k.host)
		if n.security == Verified {
			return problem
		}
		return nil
	}
	tc := tls.Client(k.nc, conf)
	ctx, cancel := context.WithTimeout(ctx, k.c.l.Handshake)
	defer cancel()
	k.raw.SetDeadline(time.Now().Add(k.c.l.Handshake))
	if err := tc.HandshakeContext(ctx); err != nil {
		return err
	}
	k.nc, k.verified = tc, problem == nil
	k.r.Reset(tc)
	k.w.Reset(tc)
	cs := tc.ConnectionState()
	k.tls = strings.ReplaceAll(tls.VersionName(cs.Version), " ", "") + " " + tls.CipherSuiteName(cs.CipherSuite) + ", "
	if problem == nil {
		k.tls += "certificate valid for " + k.host
	} else {
		k.tls += "certificate not valid: " + problem.Error()
	}
	return nil
}

// certError says in words why a certificate is not valid.
type certError struct {
	text  string
	cause error
}

func (e *certError) Error() string { return e.text }
func (e *certError) Unwrap() error { return e.cause }

// verify checks the certificate for host (RFC 9525: names, not common names).
func (c *Client) verify(cs tls.ConnectionState, conf *tls.Config, host string) error {
	leaf := cs.PeerCertificates[0]
	intermediates := x509.NewCertPool()
	for _, cert := range cs.PeerCertificates[1:] {
		intermediates.AddCert(cert)
	}
	now := c.o.Now()
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: conf.RootCAs, Intermediates: intermediates, CurrentTime: now})
	if err == nil {
		return nil
	}
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	text := err.Error()
	switch {
	case errors.As(err, &name):
		text = "it is not for " + host
		if len(leaf.DNSNames) > 0 {
			text = fmt.Sprintf("it is for %s, not for %s", leaf.DNSNames[0], host)
		}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(leaf.NotBefore):
		text = "it begins on " + leaf.NotBefore.UTC().Format(time.DateOnly)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		text = "it ended on " + leaf.NotAfter.UTC().Format(time.DateOnly)
	case errors.As(err, &unknown) && string(leaf.RawIssuer) == string(leaf.RawSubject):
		text = "it is self-signed"
	case errors.As(err, &unknown):
		text = "nobody known vouches for it"
	}
	return &certError{transfer.Sanitize(text), err}
}

// tlsFault is the fault of a handshake or of STARTTLS.
func tlsFault(verb string, err error) *fault {
	text := "the TLS handshake failed: " + err.Error()
	var cert *certError
	var ne net.Error
	switch {
	case errors.As(err, &cert):
		text = "the server's certificate is not valid: " + cert.text
	case errors.As(err, &ne) && ne.Timeout(), errors.Is(err, context.DeadlineExceeded):
		text = "the TLS handshake had no answer"
	}
	return &fault{encryption: true, Outcome: *ours(transfer.Deferred, transfer.ScopeDestination, "tls-required", "4.7.5", verb, text)}
}
