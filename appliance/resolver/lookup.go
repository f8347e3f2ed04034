package resolver

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Answer is what the DNS said.
type Answer[T any] struct {
	// Records are never empty.
	Records []T
	// Name is the owner of the records, at the end of CNAMEs, in lower case
	// and without the final dot.
	Name string
	// Secure tells that a validating name server on this machine proved the
	// answer (DNSSEC), CNAMEs included.
	Secure bool
	// TTL is for how long it may be kept.
	TTL time.Duration
}

// MX is a mail exchanger.
type MX struct {
	// Host is in lower case and without the final dot.
	Host       string
	Preference uint16
}

// find looks up records of one type and reads each of them; those of which
// read says no are left out, and none left counts as none there.
func find[R dns.RR, T any](ctx context.Context, r *Resolver, name string, qtype uint16, read func(rr R) (T, bool)) (Answer[T], error) {
	res, err := r.lookup(ctx, name, qtype)
	if err != nil {
		return Answer[T]{}, err
	}
	a := Answer[T]{Name: strings.TrimSuffix(res.name, "."), Secure: res.secure, TTL: res.ttl}
	for _, rr := range res.rrs {
		if v, ok := rr.(R); ok {
			if t, ok := read(v); ok {
				a.Records = append(a.Records, t)
			}
		}
	}
	if len(a.Records) == 0 {
		return Answer[T]{}, &Error{Kind: ErrNoData, Name: name, Type: dns.TypeToString[qtype],
			Cause: errors.New("its records are malformed")}
	}
	return a, nil
}

// LookupMX gives the mail exchangers of a domain, the most preferred first.
// ErrNullMX where the domain takes no mail (RFC 7505); ErrNoData where it has
// no MX, so that its own addresses are to be used (RFC 5321, section 5.1).
func (r *Resolver) LookupMX(ctx context.Context, domain string) (Answer[MX], error) {
	null := false
	a, err := find(ctx, r, domain, dns.TypeMX, func(rr *dns.MX) (MX, bool) {
		null = null || rr.Mx == "."
		host, ok := hostname(rr.Mx)
		return MX{Host: host, Preference: rr.Preference}, ok
	})
	if null && len(a.Records) == 0 {
		return Answer[MX]{}, &Error{Kind: ErrNullMX, Name: domain, Type: "MX"}
	}
	slices.SortStableFunc(a.Records, func(x, y MX) int { return cmp.Compare(x.Preference, y.Preference) })
	return a, err
}

// LookupTXT gives the TXT records of a name, the strings of each joined, as
// raw octets.
func (r *Resolver) LookupTXT(ctx context.Context, name string) (Answer[string], error) {
	return find(ctx, r, name, dns.TypeTXT, func(rr *dns.TXT) (string, bool) {
		return unescape(strings.Join(rr.Txt, "")), true
	})
}

// LookupPTR gives the names that an address claims. Names that are no host
// names are left out; who may claim them is for Confirm to find out.
func (r *Resolver) LookupPTR(ctx context.Context, ip netip.Addr) (Answer[string], error) {
	reverse, err := dns.ReverseAddr(ip.Unmap().WithZone("").String())
	if err != nil {
		return Answer[string]{}, &Error{Kind: ErrNotFound, Name: ip.String(), Type: "PTR", Cause: err}
	}
	return find(ctx, r, reverse, dns.TypePTR, func(rr *dns.PTR) (string, bool) { return hostname(rr.Ptr) })
}

// LookupIP gives the IPv6 and IPv4 addresses of a host. ErrTemporary where one
// kind could not be asked for and there are none of the other.
func (r *Resolver) LookupIP(ctx context.Context, host string) (Answer[netip.Addr], error) {
	var six, four Answer[netip.Addr]
	var err6, err4 error
	var wg sync.WaitGroup
	wg.Go(func() { six, err6 = r.lookupAAAA(ctx, host) })
	wg.Go(func() { four, err4 = r.lookupA(ctx, host) })
	wg.Wait()
	switch {
	case err6 == nil && err4 == nil:
		return Answer[netip.Addr]{
			Records: append(six.Records, four.Records...),
			Name:    six.Name,
			Secure:  six.Secure && four.Secure,
			TTL:     min(six.TTL, four.TTL),
		}, nil
	case err6 == nil:
		return alone(six, err4), nil
	case err4 == nil:
		return alone(four, err6), nil
	case errors.Is(err6, ErrTemporary):
		return six, err6
	}
	return four, err4
}

// alone is the answer for one family; that there is none of the other has to
// be proven too for it to be secure.
func alone(a Answer[netip.Addr], other error) Answer[netip.Addr] {
	var e *Error
	a.Secure = a.Secure && errors.As(other, &e) && e.Secure
	return a
}

func (r *Resolver) lookupA(ctx context.Context, host string) (Answer[netip.Addr], error) {
	return find(ctx, r, host, dns.TypeA, func(rr *dns.A) (netip.Addr, bool) {
		ip, ok := netip.AddrFromSlice(rr.A)
		return ip.Unmap(), ok
	})
}

func (r *Resolver) lookupAAAA(ctx context.Context, host string) (Answer[netip.Addr], error) {
	return find(ctx, r, host, dns.TypeAAAA, func(rr *dns.AAAA) (netip.Addr, bool) {
		return netip.AddrFromSlice(rr.AAAA)
	})
}

// maxReverse is how many of the names of an address are looked at.
const maxReverse = 10

// Confirm gives the forward-confirmed reverse name of an address (FCrDNS): a
// name that it claims and that leads back to it (RFC 8601, section 2.7.3).
// ErrNotFound or ErrNoData where it claims none, ErrNotConfirmed where none
// leads back, ErrTemporary where that could not be found out.
func (r *Resolver) Confirm(ctx context.Context, ip netip.Addr) (hostname string, err error) {
	ip = ip.Unmap().WithZone("")
	names, err := r.LookupPTR(ctx, ip)
	if err != nil {
		return "", err
	}
	forward := r.lookupA
	if ip.Is6() {
		forward = r.lookupAAAA
	}
	var fault error
	for _, name := range names.Records[:min(len(names.Records), maxReverse)] {
		back, err := forward(ctx, name)
		if slices.Contains(back.Records, ip) {
			return name, nil
		}
		if errors.Is(err, ErrTemporary) {
			fault = err
		}
	}
	if fault != nil {
		return "", fault
	}
	return "", &Error{Kind: ErrNotConfirmed, Name: ip.String(), Type: "PTR"}
}

// hostname reads a host name as it goes into headers and logs: anything but
// letters, digits, hyphens and underscores between dots is refused.
func hostname(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	if s == "" || len(s) > 253 {
		return "", false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.ContainsFunc(label, notLDH) {
			return "", false
		}
	}
	return s, true
}

// unescape undoes the presentation format in which miekg/dns gives strings.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			b = append(b, s[i])
		case i+3 < len(s) && isDigit(s[i+1]) && isDigit(s[i+2]) && isDigit(s[i+3]):
			b = append(b, (s[i+1]-'0')*100+(s[i+2]-'0')*10+s[i+3]-'0')
			i += 3
		default:
			i++
			b = append(b, s[i])
		}
	}
	return string(b)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func notLDH(c rune) bool {
	return !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_')
}
