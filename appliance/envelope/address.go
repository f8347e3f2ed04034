package envelope

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits of RFC 5321, section 4.5.3.1, in octets.
const (
	MaxLocalPart = 64
	MaxDomain    = 255
	MaxPath      = 254
)

// ErrAddress is wrapped by every error that ParseAddress and NormalizeDomain
// return.
var ErrAddress = errors.New("not a mail address")

// Address is a Mailbox of RFC 5321, section 4.1.2 (RFC 6531 where it holds
// UTF-8). The zero Address is the null reverse-path "<>".
type Address struct {
	// Local is the local-part without quoting, as it was spelled.
	Local string
	// Domain is the domain in lower-case A-labels, or an address literal
	// with its brackets.
	Domain string
}

// IsNull tells whether a is the null reverse-path.
func (a Address) IsNull() bool { return a.Local == "" && a.Domain == "" }

// String prints a for the wire, quoting the local-part where RFC 5321 asks
// for it. The null reverse-path and "Postmaster" without a domain print as
// they stand between the angle brackets.
func (a Address) String() string {
	if a.IsNull() {
		return ""
	}
	local := a.Local
	if !isDotString(local) {
		local = quote(local)
	}
	if a.Domain == "" {
		return local
	}
	return local + "@" + a.Domain
}

// Key is a in the form under which the box looks people up: case folded.
func (a Address) Key() string {
	return strings.ToLower(a.Local) + "@" + a.Domain
}

// IsLiteral tells whether the domain is an address literal such as [192.0.2.1].
func (a Address) IsLiteral() bool { return strings.HasPrefix(a.Domain, "[") }

// NeedsUTF8 tells whether a can only travel with SMTPUTF8 (RFC 6531).
func (a Address) NeedsUTF8() bool { return !isASCII(a.Local) }

// ParseAddress reads an address as it stands between the angle brackets of a
// path, without a source route. It accepts dot-strings and quoted strings,
// UTF-8 in both parts, and address literals. Control characters, empty parts,
// over-long parts and anything after the address are refused.
func ParseAddress(s string) (Address, error) {
	if len(s) > MaxPath {
		return Address{}, fmt.Errorf("%w: longer than %d octets", ErrAddress, MaxPath)
	}
	if !utf8.ValidString(s) {
		return Address{}, fmt.Errorf("%w: not UTF-8", ErrAddress)
	}
	local, rest, err := parseLocal(s)
	if err != nil {
		return Address{}, err
	}
	if len(local) > MaxLocalPart {
		return Address{}, fmt.Errorf("%w: local part longer than %d octets", ErrAddress, MaxLocalPart)
	}
	if !strings.HasPrefix(rest, "@") {
		return Address{}, fmt.Errorf("%w: no @ after the local part", ErrAddress)
	}
	domain, err := NormalizeDomain(rest[1:])
	if err != nil {
		return Address{}, err
	}
	return Address{Local: local, Domain: domain}, nil
}

// MustAddress is ParseAddress for constants and tests; it panics on an error.
func MustAddress(s string) Address {
	a, err := ParseAddress(s)
	if err != nil {
		panic(err)
	}
	return a
}

func parseLocal(s string) (local, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexByte(s, '@')
		if i < 0 {
			return "", "", fmt.Errorf("%w: no @", ErrAddress)
		}
		if !isDotString(s[:i]) {
			return "", "", fmt.Errorf("%w: malformed local part", ErrAddress)
		}
		return s[:i], s[i:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			if b.Len() == 0 {
				return "", "", fmt.Errorf("%w: empty local part", ErrAddress)
			}
			return b.String(), s[i+1:], nil
		case c == '\\':
			i++
			if i == len(s) || s[i] < ' ' || s[i] == 0x7f || s[i] >= utf8.RuneSelf {
				return "", "", fmt.Errorf("%w: malformed quoted local part", ErrAddress)
			}
			b.WriteByte(s[i])
		case c < ' ' || c == 0x7f:
			return "", "", fmt.Errorf("%w: control character", ErrAddress)
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("%w: quote not closed", ErrAddress)
}

// NormalizeDomain gives a domain in lower-case A-labels (RFC 5890), or an
// address literal in its canonical spelling. Labels are letters, digits and
// inner hyphens (underscores are let through, as real mail has them).
func NormalizeDomain(s string) (string, error) {
	if strings.HasPrefix(s, "[") {
		return normalizeLiteral(s)
	}
	if s == "" || len(s) > MaxDomain {
		return "", fmt.Errorf("%w: empty or over-long domain", ErrAddress)
	}
	ascii := strings.ToLower(s)
	if !isASCII(s) {
		var err error
		if ascii, err = idna.Lookup.ToASCII(s); err != nil {
			return "", fmt.Errorf("%w: domain: %v", ErrAddress, err)
		}
	}
	if len(ascii) > MaxDomain {
		return "", fmt.Errorf("%w: over-long domain", ErrAddress)
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if !isLabel(label) {
			return "", fmt.Errorf("%w: malformed domain", ErrAddress)
		}
	}
	return ascii, nil
}

func normalizeLiteral(s string) (string, error) {
	inner, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return "", fmt.Errorf("%w: malformed address literal", ErrAddress)
	}
	text, v6 := inner, false
	if len(inner) > 5 && strings.EqualFold(inner[:5], "IPv6:") {
		text, v6 = inner[5:], true
	}
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" || ip.Is6() != v6 {
		return "", fmt.Errorf("%w: malformed address literal", ErrAddress)
	}
	if v6 {
		return "[IPv6:" + ip.String() + "]", nil
	}
	return "[" + ip.String() + "]", nil
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

func isDotString(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '.' && c < utf8.RuneSelf && !isAtext(c) {
			return false
		}
	}
	return true
}

func isAtext(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}
