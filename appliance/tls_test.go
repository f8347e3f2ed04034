package appliance

import (
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"testing"

	"hauspost/appliance/config"
	"hauspost/appliance/resolver"
	"hauspost/appliance/resolver/dnstest"
)

// TestCertificateNames: the certificate that a box signs itself is for the host
// and for the domains.
func TestCertificateNames(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "box")
	if _, err := Init(t.Context(), InitOptions{Dir: dir, Hostname: "mail.example.test", Domain: "example.test"}); err != nil {
		t.Fatal(err)
	}
	c, err := load(dir)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	core, err := openCore(t.Context(), dir, c, logger, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer core.store.Close()
	got, err := newCerts(t.Context(), dir, c, core, nil, logger)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"mail.example.test", "example.test"}; !slices.Equal(got.Info().Names, want) {
		t.Errorf("the certificate is for %q, want %q", got.Info().Names, want)
	}
}

// TestDialer: a host that only the configured name server knows is reached, and
// its address that does not answer is passed over.
func TestDialer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(nc, "x")
			nc.Close()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default("mail.example.test")
	if dialer(c, nil) != nil {
		t.Error("without a name server of its own the box does not dial the system's way")
	}
	names := dnstest.New(t, "ca.example.test. A 127.0.0.1\nca.example.test. AAAA ::1\n")
	c.Resolver.Address = names.Addr()
	dns, err := resolver.New(resolver.Options{Server: c.Resolver.Address})
	if err != nil {
		t.Fatal(err)
	}
	dial := dialer(c, dns)
	for _, host := range []string{"ca.example.test", "127.0.0.1"} {
		nc, err := dial(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		if b, err := io.ReadAll(nc); err != nil || string(b) != "x" {
			t.Errorf("%s: %q, %v", host, b, err)
		}
		nc.Close()
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, addr := range []string{"nobody.example.test:1", "no port"} {
		if _, err := dial(ended, "tcp", addr); err == nil {
			t.Errorf("%s is reached", addr)
		}
	}
}
