package relay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"hauspost/appliance/resolver"
	"hauspost/appliance/transfer"
)

// target is one server to try.
type target struct {
	host string
	port int
	// slot is the key under which the pool counts its connections.
	slot string
	// secure: the DNS proved that mail for the domain goes there. owned: the
	// owner said so.
	secure, owned bool
	route         *Route
}

// targets are the servers for a message, in the order in which they are tried.
func (a *attempt) targets(ctx context.Context, w *way) ([]target, *transfer.Outcome) {
	if !w.byMX() {
		r := w.route
		return []target{{host: r.Host, port: r.Port, slot: r.hostKey(), owned: true, route: r}}, nil
	}
	c := a.c
	mx, err := c.o.Resolver.LookupMX(ctx, a.m.Domain)
	if err != nil {
		var e *resolver.Error
		switch {
		case errors.Is(err, resolver.ErrNoData) && !(errors.As(err, &e) && e.Cause != nil):
			secure := e != nil && e.Secure
			return []target{c.target(a.m.Domain, secure, w.route)}, nil
		case errors.Is(err, resolver.ErrNoData):
			return nil, ours(transfer.Failed, transfer.ScopeDestination, "dns-missing", "5.4.4", "", "the MX records of "+a.m.Domain+" are malformed")
		case errors.Is(err, resolver.ErrNullMX):
			return nil, ours(transfer.Failed, transfer.ScopeDestination, "null-mx", "5.1.10", "", "the domain "+a.m.Domain+" accepts no mail (null MX)")
		case errors.Is(err, resolver.ErrNotFound):
			return nil, ours(transfer.Failed, transfer.ScopeDestination, "dns-missing", "5.1.2", "", "the domain "+a.m.Domain+" does not exist")
		}
		return nil, a.dnsTrouble(err)
	}
	records := c.withoutSelf(mx.Records)
	if len(records) == 0 {
		return nil, ours(transfer.Failed, transfer.ScopeDestination, "loop", "5.4.6", "", "mail for "+a.m.Domain+" leads to this box, which does not take it in")
	}
	c.shuffleEqual(records)
	var list []target
	seen := make(map[string]bool)
	for _, r := range records {
		if len(list) < c.l.Hosts && !seen[r.Host] {
			seen[r.Host] = true
			list = append(list, c.target(r.Host, mx.Secure, w.route))
		}
	}
	return list, nil
}

func (c *Client) target(host string, secure bool, r *Route) target {
	by := Route{Host: host, Port: c.o.Port}
	return target{host: host, port: c.o.Port, slot: by.hostKey(), secure: secure, route: r}
}

// withoutSelf drops this box and every server that is not preferred to it
// (RFC 5321, section 5.1).
func (c *Client) withoutSelf(records []resolver.MX) []resolver.MX {
	limit := 1 << 16
	for _, r := range records {
		if c.isSelf(r.Host) {
			limit = min(limit, int(r.Preference))
		}
	}
	var others []resolver.MX
	for _, r := range records {
		if int(r.Preference) < limit {
			others = append(others, r)
		}
	}
	return others
}

func (c *Client) isSelf(host string) bool {
	host = strings.TrimSuffix(host, ".")
	return host != "" && (strings.EqualFold(host, c.o.Hostname) || strings.EqualFold(host, c.o.Hello))
}

// shuffleEqual brings records of equal preference into a random order.
func (c *Client) shuffleEqual(records []resolver.MX) {
	for start := 0; start < len(records); {
		end := start + 1
		for end < len(records) && records[end].Preference == records[start].Preference {
			end++
		}
		same := records[start:end]
		c.o.Shuffle(len(same), func(i, j int) { same[i], same[j] = same[j], same[i] })
		start = end
	}
}

// dnsTrouble is a look-up without an answer.
func (a *attempt) dnsTrouble(err error) *transfer.Outcome {
	switch {
	case a.ctx.Err() != nil:
		return a.calledOff("")
	case errors.Is(err, resolver.ErrSilent):
		return ours(transfer.Deferred, transfer.ScopeLocal, "dns-trouble", "4.4.3", "", "no name server answers this box: "+err.Error())
	}
	return ours(transfer.Deferred, transfer.ScopeDestination, "dns-trouble", "4.4.3", "", err.Error())
}

// addresses are those of a target that may be dialled, in the order in which
// they are tried: IPv6 and IPv4 in turn (RFC 8305, section 4).
func (a *attempt) addresses(ctx context.Context, t *target) ([]netip.AddrPort, *transfer.Outcome) {
	ips, problem := a.lookup(ctx, t)
	if problem != nil {
		return nil, problem
	}
	var six, four []netip.Addr
	refused, unused := "", 0
	for _, ip := range ips {
		ip = ip.Unmap()
		switch {
		case !dialable(ip, a.c.o.AllowLoopback || t.owned):
			refused = ip.String()
		case ip.Is6() && !a.c.o.NoIPv6:
			six = append(six, ip)
		case ip.Is4() && !a.c.o.NoIPv4:
			four = append(four, ip)
		default:
			unused++
		}
	}
	var list []netip.AddrPort
	for i := 0; (i < len(six) || i < len(four)) && len(list) < a.c.l.Addresses; i++ {
		for _, family := range [][]netip.Addr{six, four} {
			if i < len(family) && len(list) < a.c.l.Addresses {
				list = append(list, netip.AddrPortFrom(family[i], uint16(t.port)))
			}
		}
	}
	switch {
	case len(list) > 0:
		return list, nil
	case unused > 0:
		return nil, ours(transfer.Deferred, transfer.ScopeDestination, "no-server", "4.4.1", "connect",
			fmt.Sprintf("%s has addresses of a kind only that the settings leave out", t.host))
	}
	return nil, ours(transfer.Failed, transfer.ScopeDestination, "bad-address", "5.4.4", "connect",
		fmt.Sprintf("%s leads to %s, where no mail server can be", t.host, refused))
}

func (a *attempt) lookup(ctx context.Context, t *target) ([]netip.Addr, *transfer.Outcome) {
	if ip, err := netip.ParseAddr(t.host); err == nil {
		return []netip.Addr{ip}, nil
	}
	if t.host == "localhost" && t.owned {
		return []netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil // RFC 6761, section 6.3
	}
	ips, err := a.c.o.Resolver.LookupIP(ctx, t.host)
	switch {
	case err == nil:
		return ips.Records, nil
	case (errors.Is(err, resolver.ErrNotFound) || errors.Is(err, resolver.ErrNoData)) && t.owned:
		return nil, ours(transfer.Deferred, transfer.ScopeDestination, "no-smarthost", "4.3.5", "", "the server "+t.host+", through which this mail goes, has no address in the DNS")
	case errors.Is(err, resolver.ErrNotFound), errors.Is(err, resolver.ErrNoData):
		return nil, ours(transfer.Failed, transfer.ScopeDestination, "dns-missing", "5.4.4", "", "the mail server "+t.host+" has no address in the DNS")
	}
	return nil, a.dnsTrouble(err)
}

// dialable tells whether a mail server can be at an address.
func dialable(ip netip.Addr, loopback bool) bool {
	return !ip.IsUnspecified() && !ip.IsMulticast() && !ip.IsLinkLocalUnicast() && ip != broadcast &&
		!(ip.Is4() && ip.As4()[0] == 0) && (loopback || !ip.IsLoopback())
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
