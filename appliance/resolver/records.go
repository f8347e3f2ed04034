package resolver

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// ErrType: Records does not look up records of this type.
var ErrType = errors.New("not a type that can be asked for")

// Types are those that Records knows.
func Types() []string { return []string{"A", "AAAA", "CNAME", "MX", "NS", "PTR", "TXT"} }

// Records gives the records of a name as text, sorted: addresses; names in
// lower case without the final dot, for MX after the preference and a space;
// for TXT the joined strings as raw octets. CNAMEs are followed, but for the
// type CNAME itself. ErrType for a type that Types does not name.
func (r *Resolver) Records(ctx context.Context, name, typ string) (Answer[string], error) {
	if !slices.Contains(Types(), typ) {
		return Answer[string]{}, &Error{Kind: ErrType, Name: name, Type: typ}
	}
	a, err := find(ctx, r, name, dns.StringToType[typ], func(rr dns.RR) (string, bool) {
		switch rr := rr.(type) {
		case *dns.A:
			return rr.A.String(), rr.A != nil
		case *dns.AAAA:
			return rr.AAAA.String(), rr.AAAA != nil
		case *dns.CNAME:
			return plainName(rr.Target), true
		case *dns.MX:
			return strconv.Itoa(int(rr.Preference)) + " " + plainName(rr.Mx), true
		case *dns.NS:
			return plainName(rr.Ns), true
		case *dns.PTR:
			return plainName(rr.Ptr), true
		case *dns.TXT:
			return unescape(strings.Join(rr.Txt, "")), true
		}
		return "", false
	})
	slices.Sort(a.Records)
	return a, err
}

// plainName is a name in lower case without the final dot; "." is the root.
func plainName(fqdn string) string {
	if fqdn == "." {
		return fqdn
	}
	return strings.ToLower(strings.TrimSuffix(fqdn, "."))
}
