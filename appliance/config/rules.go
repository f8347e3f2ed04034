package config

import (
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hauspost/appliance/envelope"
)

// key is one key of the file: the single place that knows its name, its
// explanation, where its value lives and what it may be.
type key struct {
	// name is the full dotted name.
	name string
	// doc explains the key to the owner, in whole sentences.
	doc string
	// field gives a pointer to the value: *string, *int, *bool, *float64,
	// *[]string, *Duration, *Size, *Secret or *Settings. In a section that is a list it is that of
	// the last one.
	field func(*Config) any
	// allowed says what the value may be; example is a value as written.
	allowed, example string
	// ok checks the value behind the pointer; nil means that any will do.
	ok func(p any) bool
	// always has the key written as a live line even where it has its default.
	always bool
}

func split(name string) (section, last string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

func toggle(name, doc string, field func(*Config) *bool) key {
	return key{name: name, doc: doc, field: func(c *Config) any { return field(c) },
		allowed: "true or false", example: "true"}
}

func count(name, doc string, field func(*Config) *int, low, high int) key {
	return key{name: name, doc: doc, field: func(c *Config) any { return field(c) },
		allowed: fmt.Sprintf("a whole number from %d to %d", low, high),
		example: strconv.Itoa(*field(defaults)),
		ok: func(p any) bool {
			n := *p.(*int)
			return low <= n && n <= high
		}}
}

func number(name, doc string, field func(*Config) *float64, low, high float64) key {
	return key{name: name, doc: doc, field: func(c *Config) any { return field(c) },
		allowed: fmt.Sprintf("a number from %v to %v", low, high),
		example: literal(field(defaults)),
		ok: func(p any) bool {
			n := *p.(*float64)
			return low <= n && n <= high
		}}
}

func duration(name, doc string, field func(*Config) *Duration, low, high Duration) key {
	return key{name: name, doc: doc, field: func(c *Config) any { return field(c) },
		allowed: fmt.Sprintf("a duration in quotes from %q to %q", low, high),
		example: strconv.Quote(field(defaults).String()),
		ok: func(p any) bool {
			d := *p.(*Duration)
			return low <= d && d <= high
		}}
}

func size(name, doc string, field func(*Config) *Size, low, high Size) key {
	return key{name: name, doc: doc, field: func(c *Config) any { return field(c) },
		allowed: fmt.Sprintf("a size in quotes from %q to %q", low, high),
		example: strconv.Quote(field(defaults).String()),
		ok: func(p any) bool {
			s := *p.(*Size)
			return low <= s && s <= high
		}}
}

func choice(name, doc string, field func(*Config) *string, words ...string) key {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return key{name: name, doc: doc, field: func(c *Config) any { return field(c) },
		allowed: "one of " + strings.Join(quoted, ", "),
		example: strconv.Quote(*field(defaults)),
		ok:      func(p any) bool { return slices.Contains(words, *p.(*string)) }}
}

func text(name, doc string, field func(*Config) *string, allowed, example string, ok func(string) bool) key {
	return key{name: name, doc: doc, field: func(c *Config) any { return field(c) },
		allowed: allowed, example: strconv.Quote(example),
		ok: func(p any) bool { return ok(*p.(*string)) }}
}

// ValidHostname tells whether s can be the name of a box: a domain name of at
// least two labels.
func ValidHostname(s string) bool {
	d, err := envelope.NormalizeDomain(s)
	return err == nil && d == s && strings.Contains(d, ".") && !strings.HasPrefix(d, "[")
}

func validListen(p any) bool {
	for _, s := range *p.(*[]string) {
		if s == "*" {
			continue
		}
		if _, err := netip.ParseAddr(s); err != nil {
			return false
		}
	}
	return len(*p.(*[]string)) > 0
}

func validAddresses(p any) bool {
	for _, s := range *p.(*[]string) {
		if _, err := netip.ParseAddr(s); err != nil {
			return false
		}
	}
	return true
}

// validNetworks refuses IPv4 networks in the dress of IPv6, as peers have their
// addresses without it: no one would be in them.
func validNetworks(p any) bool {
	for _, s := range *p.(*[]string) {
		if n, err := netip.ParsePrefix(s); err != nil || n.Addr().Is4In6() {
			return false
		}
	}
	return true
}

// validTrusted refuses networks larger than any private one (10.0.0.0/8,
// fc00::/7): to trust a part of the Internet is to be an open relay.
func validTrusted(p any) bool {
	for _, s := range *p.(*[]string) {
		if n, err := netip.ParsePrefix(s); err == nil && (n.Bits() < 7 || n.Addr().Is4() && n.Bits() < 8) {
			return false
		}
	}
	return validNetworks(p)
}

func validServer(s string) bool {
	if s == "" {
		return true
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(host)
	n, perr := strconv.Atoi(port)
	return err == nil && perr == nil && n > 0 && n < 65536
}

func validFile(s string) bool { return !strings.ContainsAny(s, "\x00\n") }

func validEmail(s string) bool {
	if s == "" {
		return true
	}
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

func validDirectory(s string) bool {
	if s == "" {
		return true
	}
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != ""
}

func validSeparator(s string) bool {
	return s == "" || len(s) == 1 && strings.Contains("+-_=!#%&", s)
}

func validFolder(s string) bool { return s == "" || filepath.IsAbs(s) && validFile(s) }
