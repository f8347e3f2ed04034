package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"

	"hauspost/appliance/resolver/dnstest"
)

func TestMain(m *testing.M) {
	// pebble waits at random before it validates, to be like the real thing.
	os.Setenv("PEBBLE_VA_NOSLEEP", "1")
	os.Exit(m.Run())
}

// authority is a real ACME server: pebble, in this process.
type authority struct {
	directory string
	// roots are to be trusted for its own HTTPS, issued for what it signs.
	roots, issued *x509.CertPool
}

// closed is a port at which nobody answers.
const closed = 1

// newAuthority starts one that validates at the given ports of 127.0.0.1.
func newAuthority(t *testing.T, httpPort, tlsPort int) *authority {
	t.Helper()
	names := dnstest.New(t, host+". A 127.0.0.1")
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "for tests"}})
	validator := va.New(quiet, httpPort, tlsPort, false, names.Addr(), store)
	front := wfe.New(quiet, store, validator, issuer, []string{"ca.example.test"}, false, false, 0, 0)
	srv := httptest.NewTLSServer(front.Handler())
	t.Cleanup(srv.Close)
	a := &authority{directory: srv.URL + wfe.DirectoryPath, roots: x509.NewCertPool(), issued: x509.NewCertPool()}
	a.roots.AddCert(srv.Certificate())
	if !a.issued.AppendCertsFromPEM(issuer.GetRootCert(0).PEM()) {
		t.Fatal("no root certificate")
	}
	return a
}

func listen(t *testing.T) (net.Listener, int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln, ln.Addr().(*net.TCPAddr).Port
}

// serveHTTP answers HTTP-01 challenges as the box does at port 80.
func serveHTTP(t *testing.T, ln net.Listener, c *Certs) {
	t.Helper()
	srv := &http.Server{Handler: c.HTTPHandler()}
	go func() { _ = srv.Serve(ln) }() // ends with Close
	t.Cleanup(func() { srv.Close() })
}

// run runs c until the test ends; each wait is a token on the channel, and
// goes on when it is taken.
func run(t *testing.T, c *Certs) (waits chan time.Duration) {
	t.Helper()
	waits = make(chan time.Duration)
	c.wait = func(ctx context.Context, d time.Duration) error {
		select {
		case waits <- d:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return waits
}

// trusted tells whether a client that trusts the authority trusts the box.
func trusted(t *testing.T, c *Certs, a *authority) bool {
	t.Helper()
	_, err := shake(t, c.Config(), &tls.Config{ServerName: host, RootCAs: a.issued})
	return err == nil
}

func TestACMEByHTTP(t *testing.T) {
	t.Parallel()
	web, httpPort := listen(t)
	a := newAuthority(t, httpPort, closed)
	o := Options{Mode: ACME, Dir: filepath.Join(t.TempDir(), "tls"), Directory: a.directory, Roots: a.roots, Email: "root@example.test"}
	c := open(t, o)
	serveHTTP(t, web, c)
	if info := c.Info(); !info.SelfSigned || info.Problem == "" || trusted(t, c, a) {
		t.Errorf("before the first certificate: %+v", info)
	}
	if d := <-run(t, c); d != poll {
		t.Fatalf("waits %v: %s", d, c.Info().Problem)
	}
	info := c.Info()
	if info.SelfSigned || info.Problem != "" || info.Names[0] != host || !trusted(t, c, a) {
		t.Errorf("with a certificate: %+v", info)
	}
	// Clients that offer protocols of their own, or no name, are served too.
	for _, client := range []*tls.Config{{NextProtos: []string{"imap"}}, {}, {ServerName: "other.example.test"}} {
		client.InsecureSkipVerify = true
		if state, err := shake(t, c.Config(), client); err != nil || state.PeerCertificates[0].VerifyHostname(host) != nil {
			t.Errorf("%+v: %v", client.NextProtos, err)
		}
	}
	// The next start has it at once, without the authority.
	o.Directory = "https://127.0.0.1:1/"
	if got := open(t, o).Info(); got.Fingerprint != info.Fingerprint || got.Problem != "" {
		t.Errorf("after a restart: %+v", got)
	}
	// Nothing but challenges is answered at port 80.
	resp, err := http.Get("http://" + web.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusNotFound {
		t.Errorf("port 80 answers %s", resp.Status)
	}
}

func TestACMEByTLS(t *testing.T) {
	t.Parallel()
	ln, tlsPort := listen(t)
	a := newAuthority(t, closed, tlsPort)
	c := open(t, Options{Mode: ACME, Dir: t.TempDir(), Directory: a.directory, Roots: a.roots})
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = tls.Server(conn, c.Config()).HandshakeContext(context.Background()) // pebble judges it
			}()
		}
	}()
	if d := <-run(t, c); d != poll || !trusted(t, c, a) {
		t.Errorf("waits %v: %+v", d, c.Info())
	}
}

// Mail flows while the authority is away, and gets its certificate later.
func TestACMEFailsFirst(t *testing.T) {
	t.Parallel()
	web, httpPort := listen(t)
	a := newAuthority(t, httpPort, closed)
	var log logs
	var broken atomic.Bool
	broken.Store(true)
	c := open(t, Options{
		Mode: ACME, Dir: t.TempDir(), Directory: a.directory, Roots: a.roots, Logger: log.logger(),
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if broken.Load() {
				return nil, net.ErrClosed
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	})
	serveHTTP(t, web, c)
	own := c.Info().Fingerprint
	waits := run(t, c)
	if d := <-waits; d != firstRetry {
		t.Errorf("waits %v after the first failure", d)
	}
	for range 10 {
		if _, err := shake(t, c.Config(), &tls.Config{InsecureSkipVerify: true}); err != nil {
			t.Fatal(err)
		}
		if d := <-waits; d <= firstRetry || d > lastRetry {
			t.Errorf("waits %v after another failure", d)
		}
	}
	if info := c.Info(); info.Fingerprint != own || !strings.Contains(info.Problem, "port 80") {
		t.Errorf("after failures: %+v", info)
	}
	if !strings.Contains(log.String(), "mail flows") || !strings.Contains(log.String(), net.ErrClosed.Error()) {
		t.Errorf("log: %s", log.String())
	}
	<-waits
	broken.Store(false)
	for d := range waits {
		if d == poll {
			break
		}
	}
	if !trusted(t, c, a) || c.Info().Problem != "" {
		t.Errorf("at last: %+v", c.Info())
	}
}

// What the last run left is used only if it is good for something.
func TestACMECacheOfNoUse(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"scribble":   []byte("scribble"),
		"other host": signed(t, "other.example.test", time.Now()),
		"expired":    signed(t, host, time.Now().AddDate(-selfSignedYears-1, 0, 0)),
	} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "acme"), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, "acme", host), data)
		var log logs
		c := open(t, Options{Mode: ACME, Dir: dir, Logger: log.logger()})
		if info := c.Info(); info.Problem == "" || !strings.Contains(log.String(), "of no use") {
			t.Errorf("%s: %+v, log %s", name, info, log.String())
		}
	}
}

func signed(t *testing.T, name string, now time.Time) []byte {
	t.Helper()
	data, err := (&Certs{o: Options{Hostname: name, Now: func() time.Time { return now }}}).sign()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestNoHandlerWithoutACME(t *testing.T) {
	t.Parallel()
	c := open(t, Options{Dir: t.TempDir()})
	if c.HTTPHandler() != nil {
		t.Error("something to serve on port 80")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Run(ctx)
}
