package appliance

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"hauspost/appliance/resolver"
	"hauspost/appliance/resolver/dnstest"
	"hauspost/appliance/smtpd"
)

func TestNames(t *testing.T) {
	t.Parallel()
	server := dnstest.New(t, `
example.org.   MX 20 b.example.org.
example.org.   MX 10 a.example.org.
a.example.org. A 192.0.2.1
null.example.  MX 0 .
1.2.0.192.in-addr.arpa. PTR a.example.org.
`)
	r, err := resolver.New(resolver.Options{Server: server.Addr(), Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	n := names{r}
	if got, err := n.LookupMX(t.Context(), "example.org"); err != nil || !slices.Equal(got, []string{"a.example.org", "b.example.org"}) {
		t.Errorf("MX: %q, %v", got, err)
	}
	if got, err := n.LookupMX(t.Context(), "null.example"); err != nil || !slices.Equal(got, []string{"."}) {
		t.Errorf("null MX: %q, %v", got, err)
	}
	for _, missing := range []string{"a.example.org", "nowhere.example"} {
		if got, err := n.LookupMX(t.Context(), missing); !errors.Is(err, smtpd.ErrNoRecord) || len(got) > 0 {
			t.Errorf("MX of %s: %q, %v; want ErrNoRecord", missing, got, err)
		}
	}
	addr := netip.MustParseAddr("192.0.2.1")
	if got, err := n.LookupIP(t.Context(), "a.example.org"); err != nil || !slices.Equal(got, []netip.Addr{addr}) {
		t.Errorf("A: %v, %v", got, err)
	}
	if got, err := n.LookupPTR(t.Context(), addr); err != nil || !slices.Equal(got, []string{"a.example.org"}) {
		t.Errorf("PTR: %q, %v", got, err)
	}
	down, err := resolver.New(resolver.Options{Server: "127.0.0.1:1", Timeout: time.Second / 10, Rounds: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (names{down}).LookupMX(t.Context(), "example.org"); err == nil || errors.Is(err, smtpd.ErrNoRecord) {
		t.Errorf("a name server that is down: %v; want trouble", err)
	}
}
