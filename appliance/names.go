package appliance

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"hauspost/appliance/resolver"
	"hauspost/appliance/smtpd"
)

// names shows the resolver to smtpd as the DNS that it asks: without the
// preference of an MX, and with one error for what certainly is not there.
type names struct {
	dns *resolver.Resolver
}

var _ smtpd.Names = names{}

// LookupPTR implements smtpd.Names.
func (n names) LookupPTR(ctx context.Context, addr netip.Addr) ([]string, error) {
	a, err := n.dns.LookupPTR(ctx, addr)
	return a.Records, certain(err)
}

// LookupMX implements smtpd.Names.
func (n names) LookupMX(ctx context.Context, domain string) ([]string, error) {
	a, err := n.dns.LookupMX(ctx, domain)
	if errors.Is(err, resolver.ErrNullMX) {
		return []string{"."}, nil
	}
	hosts := make([]string, len(a.Records))
	for i, mx := range a.Records {
		hosts[i] = mx.Host
	}
	return hosts, certain(err)
}

// LookupIP implements smtpd.Names.
func (n names) LookupIP(ctx context.Context, host string) ([]netip.Addr, error) {
	a, err := n.dns.LookupIP(ctx, host)
	return a.Records, certain(err)
}

func certain(err error) error {
	if errors.Is(err, resolver.ErrNotFound) || errors.Is(err, resolver.ErrNoData) {
		return fmt.Errorf("%w: %w", smtpd.ErrNoRecord, err)
	}
	return err
}
