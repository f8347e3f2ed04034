package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const host = "box.example.test"

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// logs is a log that can be read while it is written.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func open(t *testing.T, o Options) *Certs {
	t.Helper()
	if o.Hostname == "" {
		o.Hostname = host
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// shake makes a handshake over a real socket and gives both ends' views.
func shake(t *testing.T, server *tls.Config, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = tls.Server(conn, server).HandshakeContext(t.Context()) // the client sees what is wrong
			defer conn.Close()
		}
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := tls.Client(conn, client)
	err = c.HandshakeContext(t.Context())
	return c.ConnectionState(), err
}

// served gives the fingerprint-like serial that a client sees.
func served(t *testing.T, c *Certs) string {
	t.Helper()
	state, err := shake(t, c.Config(), &tls.Config{ServerName: host, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	return state.PeerCertificates[0].SerialNumber.String()
}

func TestSelfSigned(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tls")
	clock := newClock()
	o := Options{Dir: dir, Domains: []string{"example.test", host, "example.org"}, Now: clock.Now}
	c := open(t, o)
	info := c.Info()
	if !info.SelfSigned || info.Mode != SelfSigned || info.Problem != "" || len(info.Fingerprint) != 64 ||
		!slices.Contains(info.Names, host) || !slices.Contains(info.Names, "example.org") {
		t.Errorf("%+v", info)
	}
	if years := info.NotAfter.Sub(clock.Now()).Hours() / 24 / 365; years < 9.9 || years > 10.1 {
		t.Errorf("lives for %.1f years", years)
	}
	pool := x509.NewCertPool()
	pool.AddCert(c.current.Load().Leaf)
	for _, name := range []string{host, "example.test"} {
		if _, err := shake(t, c.Config(), &tls.Config{ServerName: name, RootCAs: pool}); err != nil {
			t.Errorf("a client that trusts it, for %s: %v", name, err)
		}
	}
	if key, ok := c.current.Load().PrivateKey.(*ecdsa.PrivateKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("the key is a %T", c.current.Load().PrivateKey)
	}
	file := filepath.Join(dir, selfSignedFile)
	for name, want := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, file: 0o600} {
		if st, err := os.Stat(name); err != nil || st.Mode() != want {
			t.Errorf("%s: %v %v", name, st.Mode(), err)
		}
	}
	// It stays as it is, also with other domains, until it must change.
	o.Domains = nil
	if got := open(t, o).Info().Fingerprint; got != info.Fingerprint {
		t.Error("a restart made a new one")
	}
	clock.Add(selfSignedYears * 364 * 24 * time.Hour)
	renewed := open(t, o).Info()
	if renewed.Fingerprint == info.Fingerprint {
		t.Error("about to expire, and still in use")
	}
	o.Hostname = "other.example.test"
	if got := open(t, o).Info(); got.Fingerprint == renewed.Fingerprint || got.Names[0] != o.Hostname {
		t.Errorf("for another host: %+v", got)
	}
	if err := os.WriteFile(file, []byte("scribble"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log logs
	o.Logger = log.logger()
	if got := open(t, o).Info(); got.Problem != "" || !strings.Contains(log.String(), "cannot be read") {
		t.Errorf("a damaged one: %+v, log %s", got, log.String())
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("left behind: %v %v", names, err)
	}
}

// The policy of TLS, seen from outside.
func TestPolicy(t *testing.T) {
	t.Parallel()
	c := open(t, Options{Dir: t.TempDir()})
	for _, x := range []struct {
		name   string
		client *tls.Config
		fails  bool
	}{
		{"1.3", &tls.Config{}, false},
		{"1.3 without the hybrid", &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}, false},
		{"P-256 only", &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP256}}, false},
		{"1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, false},
		{"1.2 ChaCha", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}}, false},
		{"1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, true},
		{"CBC", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA}}, true},
		{"P-521 only", &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521}}, true},
		{"another ALPN", &tls.Config{NextProtos: []string{"imap"}}, false},
		{"no name", &tls.Config{ServerName: ""}, false},
	} {
		client := x.client.Clone()
		client.InsecureSkipVerify = true
		state, err := shake(t, c.Config(), client)
		if (err != nil) != x.fails {
			t.Errorf("%s: %v", x.name, err)
		}
		if x.name == "1.3" && (state.Version != tls.VersionTLS13 || state.CurveID != tls.X25519MLKEM768) {
			t.Errorf("best effort: version %x curve %v", state.Version, state.CurveID)
		}
	}
	if c.Config().KeyLogWriter != nil || c.Config().SessionTicketsDisabled {
		t.Error("a key log, or no session tickets")
	}
}

// write makes a certificate for the names and puts it into the two files.
func write(t *testing.T, dir, name string, now time.Time) (cert, key []byte) {
	t.Helper()
	c := &Certs{o: Options{Hostname: name, Now: func() time.Time { return now }}}
	data, err := c.sign()
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(data)
	cert, key = pem.EncodeToMemory(block), rest
	put(t, filepath.Join(dir, "cert.pem"), cert)
	put(t, filepath.Join(dir, "key.pem"), key)
	return cert, key
}

func put(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := replace(file, data); err != nil {
		t.Fatal(err)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock()
	var log logs
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	o := Options{Mode: Files, Hostname: host, CertFile: cert, KeyFile: key, Now: clock.Now, Logger: log.logger()}

	var missing *os.PathError
	if _, err := New(o); !errors.As(err, &missing) || !strings.Contains(err.Error(), cert) {
		t.Fatalf("without files: %v", err)
	}
	write(t, dir, host, clock.Now())
	put(t, key, []byte("not a key"))
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), key) {
		t.Fatalf("with a broken key: %v", err)
	}

	write(t, dir, host, clock.Now())
	c := open(t, o)
	first := served(t, c)

	// A renewal in two steps: between them the old one serves.
	newCert, newKey := write(t, t.TempDir(), host, clock.Now().Add(time.Hour))
	put(t, cert, newCert)
	clock.Add(recheck)
	if got := served(t, c); got != first {
		t.Error("half a renewal is in use")
	}
	if p := c.Info().Problem; !strings.Contains(p, "old one") || strings.Count(log.String(), "cannot be used") != 1 {
		t.Errorf("nobody was told: %q, log %s", p, log.String())
	}
	clock.Add(recheck)
	c.Info()
	if strings.Count(log.String(), "cannot be used") != 1 {
		t.Errorf("told again and again: %s", log.String())
	}
	put(t, key, newKey)
	if got := served(t, c); got != first {
		t.Error("looked at the files in the same second")
	}
	clock.Add(recheck)
	second := served(t, c)
	if second == first || c.Info().Problem != "" {
		t.Errorf("after the renewal %s serves, problem %q", second, c.Info().Problem)
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	clock.Add(recheck)
	if got := served(t, c); got != second || c.Info().Problem == "" {
		t.Errorf("a file is gone: %s serves, problem %q", got, c.Info().Problem)
	}
}

func TestFilesOfNoUse(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name, issued string
		age          time.Duration
		says         string
	}{
		{"another host", "other.example.test", 0, "not for " + host},
		{"expired", host, selfSignedYears * 366 * 24 * time.Hour, "expired"},
	} {
		dir := t.TempDir()
		var log logs
		write(t, dir, x.issued, time.Now().Add(-x.age))
		c := open(t, Options{Mode: Files, CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), Logger: log.logger()})
		if p := c.Info().Problem; !strings.Contains(p, x.says) || !strings.Contains(log.String(), "the certificate") {
			t.Errorf("%s: problem %q, log %s", x.name, p, log.String())
		}
	}
}

func TestReloadAtOnce(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock()
	write(t, dir, host, clock.Now())
	c := open(t, Options{Mode: Files, CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), Now: clock.Now})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				if i == 0 {
					write(t, dir, host, clock.Now())
				}
				clock.Add(recheck)
				if cert, err := c.certificate(&tls.ClientHelloInfo{}); err != nil || cert == nil {
					t.Error(cert, err)
				}
				c.Info()
			}
		})
	}
	wg.Wait()
}

func TestRoots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, _ := write(t, dir, host, time.Now())
	pool, err := Roots(filepath.Join(dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(cert)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host}); err != nil {
		t.Error(err)
	}
	for _, file := range []string{filepath.Join(dir, "nothing"), filepath.Join(dir, "key.pem")} {
		if _, err := Roots(file); err == nil || !strings.Contains(fmt.Sprint(err), file) {
			t.Errorf("%s: %v", file, err)
		}
	}
	if _, err := Roots(""); err != nil {
		t.Error(err)
	}
	if _, err := New(Options{Mode: "magic"}); err == nil {
		t.Error("an unknown mode is taken")
	}
}
