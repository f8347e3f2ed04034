package smtpd

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"hauspost/appliance/esmtp"
)

// Names is the DNS as far as port 25 asks it. An error that is ErrNoRecord
// (errors.Is) says for certain that there is no such name or record; any other
// error is trouble that may pass.
type Names interface {
	// LookupPTR gives the reverse names of an address.
	LookupPTR(ctx context.Context, addr netip.Addr) ([]string, error)
	// LookupMX gives the hosts of a domain; a null MX (RFC 7505) is ".".
	LookupMX(ctx context.Context, domain string) ([]string, error)
	// LookupIP gives the A and AAAA addresses of a host.
	LookupIP(ctx context.Context, host string) ([]netip.Addr, error)
}

// ErrNoRecord says that a name or record does not exist.
var ErrNoRecord = errors.New("no such name or record in the DNS")

// answer is what the DNS says of a question with yes or no.
type answer string

const (
	yes     answer = "pass"
	no      answer = "fail"
	nullMX  answer = "null-mx"
	trouble answer = "temperror"
)

// maxReverseNames is how many reverse names of an address are confirmed.
const maxReverseNames = 4

// confirmReverse asks for the forward-confirmed reverse name of addr.
func confirmReverse(ctx context.Context, n Names, addr netip.Addr) (name string, a answer, detail string) {
	names, err := n.LookupPTR(ctx, addr)
	if err != nil && !errors.Is(err, ErrNoRecord) {
		return "", trouble, err.Error()
	}
	if len(names) == 0 {
		return "", no, "the address has no reverse name"
	}
	a, detail = no, "no reverse name leads back to the address"
	for _, name := range names[:min(len(names), maxReverseNames)] {
		normal, ok := esmtp.HeloName(name)
		if !ok {
			continue
		}
		addrs, err := n.LookupIP(ctx, normal)
		if slices.ContainsFunc(addrs, func(x netip.Addr) bool { return x.Unmap() == addr }) {
			return normal, yes, normal
		}
		if err != nil && !errors.Is(err, ErrNoRecord) {
			a, detail = trouble, err.Error()
		}
	}
	return "", a, detail
}

// takesMail asks whether a domain can receive mail: it has an MX, or an address
// (RFC 5321, section 5.1).
func takesMail(ctx context.Context, n Names, domain string) (answer, string) {
	hosts, err := n.LookupMX(ctx, domain)
	if err != nil && !errors.Is(err, ErrNoRecord) {
		return trouble, err.Error()
	}
	if len(hosts) == 1 && (hosts[0] == "." || hosts[0] == "") {
		return nullMX, "the domain says that it receives no mail"
	}
	if len(hosts) > 0 {
		return yes, ""
	}
	addrs, err := n.LookupIP(ctx, domain)
	switch {
	case len(addrs) > 0:
		return yes, ""
	case err != nil && !errors.Is(err, ErrNoRecord):
		return trouble, err.Error()
	}
	return no, "the domain has no MX and no address"
}
