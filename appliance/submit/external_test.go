package submit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"hauspost/appliance/esmtp/dialogue"
)

// authority issues client certificates.
type authority struct {
	*testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{T: t, key: key, cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the family"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) issue(valid time.Duration, addresses ...string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "anna@example.test"}, EmailAddresses: addresses,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	if err != nil {
		a.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// trust makes a server accept certificates of the authority.
func (a *authority) trust(o *Options) {
	o.TLS = o.TLS.Clone()
	o.TLS.ClientAuth = tls.VerifyClientCertIfGiven
	o.TLS.ClientCAs = x509.NewCertPool()
	o.TLS.ClientCAs.AddCert(a.cert)
}

// TestClientCertificates: EXTERNAL is there for who shows a certificate that
// the authority issued for an account, and for nobody else.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	h := start(t, true, ca.trust)
	for _, c := range []struct {
		name      string
		addresses []string
		authzid   string
		offered   bool
		code      int // of the refusal, 0 where it works
	}{
		{"no certificate", nil, "", false, 504},
		{"own", []string{"anna@example.test"}, "", true, 0},
		{"own and named", []string{"anna@example.test"}, "ANNA@example.test", true, 0},
		{"second address", []string{"x@elsewhere.test", "anna@example.test"}, "", true, 0},
		{"as somebody else", []string{"anna@example.test"}, "ben@example.test", true, 535},
		{"as nobody", []string{"anna@example.test"}, "anna", true, 535},
		{"of a stranger", []string{"x@elsewhere.test"}, "", true, 535},
		{"without an address", []string{}, "", false, 504},
	} {
		client := dial(t, h.addr, func(config *tls.Config) {
			if c.addresses != nil {
				config.Certificates = []tls.Certificate{ca.issue(time.Hour, c.addresses...)}
			}
		})
		_, mechanisms := client.Extension("AUTH")
		if got := strings.Contains(mechanisms, "EXTERNAL"); got != c.offered {
			t.Errorf("%s: AUTH %s is offered", c.name, mechanisms)
		}
		err := client.Auth(sasl.NewExternalClient(c.authzid))
		var no *smtp.SMTPError
		if (err == nil) != (c.code == 0) || err != nil && (!errors.As(err, &no) || no.Code != c.code) {
			t.Errorf("%s: %v", c.name, err)
		}
		_, err = send(client, "anna@example.test", "ben@example.test")
		if (err == nil) != (c.code == 0) {
			t.Errorf("%s: sending: %v", c.name, err)
		}
		if err := client.Mail("ben@example.test", nil); err == nil {
			t.Errorf("%s: anna is ben", c.name)
		}
	}
	for _, m := range h.depot.stored() {
		if m.author != (Author{Person: person("anna@example.test"), Mechanism: "EXTERNAL"}) {
			t.Errorf("the author is %+v", m.author)
		}
	}
}

// TestForeignCertificates: what somebody else issued, or what has expired, does
// not get past the handshake; where nothing is verified it is worth nothing.
func TestForeignCertificates(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	h := start(t, true, ca.trust)
	_, config := dialogue.TLS()
	for name, cert := range map[string]tls.Certificate{
		"foreign": other.issue(time.Hour, "anna@example.test"),
		"expired": ca.issue(-time.Minute, "anna@example.test"),
	} {
		config = config.Clone()
		// It is sent whatever authorities the server names.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		conn, err := tls.Dial("tcp", h.addr, config)
		if err == nil {
			conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		var timeout net.Error
		if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: the server greets: %v", name, err)
		}
	}
	asking := start(t, true, func(o *Options) {
		o.TLS = o.TLS.Clone()
		o.TLS.ClientAuth = tls.RequestClientCert
	})
	client := dial(t, asking.addr, func(config *tls.Config) {
		config.Certificates = []tls.Certificate{other.issue(time.Hour, "anna@example.test")}
	})
	var no *smtp.SMTPError
	if err := client.Auth(sasl.NewExternalClient("")); !errors.As(err, &no) || no.Code != 504 {
		t.Errorf("an unverified certificate: %v", err)
	}
}
