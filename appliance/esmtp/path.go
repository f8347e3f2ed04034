package esmtp

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"hauspost/appliance/envelope"
)

// cutPath takes "<...>" off the front of s and gives what stands between the
// angle brackets. A bracket within a quoted local-part does not end it.
func cutPath(s string) (path, rest string, ok bool) {
	if !strings.HasPrefix(s, "<") {
		return "", "", false
	}
	quoted := false
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			quoted = !quoted
		case '\\':
			if quoted {
				i++
			}
		case '>':
			if !quoted {
				return s[1:i], s[i+1:], true
			}
		case '<', ' ':
			if !quoted {
				return "", "", false
			}
		}
	}
	return "", "", false
}

// cutRoute takes the source route off a path: "@a,@b:user@c" becomes "user@c".
// RFC 5321, section 4.1.2: it must be accepted and should be ignored.
func cutRoute(path string) (string, bool) {
	if !strings.HasPrefix(path, "@") {
		return path, true
	}
	route, rest, ok := strings.Cut(path, ":")
	if strings.Contains(route, "[") {
		return "", false
	}
	if !ok {
		return "", false
	}
	for hop := range strings.SplitSeq(route, ",") {
		domain, at := strings.CutPrefix(hop, "@")
		if !at {
			return "", false
		}
		if _, err := envelope.NormalizeDomain(domain); err != nil {
			return "", false
		}
	}
	return rest, true
}

// parsePath reads what stands between the angle brackets of a forward-path or
// a non-null reverse-path.
func parsePath(path string) (envelope.Address, bool) {
	path, ok := cutRoute(path)
	if !ok {
		return envelope.Address{}, false
	}
	a, err := envelope.ParseAddress(path)
	if err != nil || hasControl(a.Local) {
		return envelope.Address{}, false
	}
	return a, true
}

// hasControl finds the control characters beyond ASCII too (C1, U+2028 ...), and
// those that turn the direction of the text around them.
func hasControl(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError {
			return true
		}
	}
	return false
}

// isASCII tells whether s holds no octet above 127.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// printable makes s fit for a log or trace: bounded, and no control characters.
func printable(s string) string {
	const most = 256
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

// HeloName gives the argument of EHLO or HELO in its normal spelling, if it is
// a domain or an address literal. A bare IP address is neither (RFC 5321,
// section 4.1.3).
func HeloName(name string) (normal string, ok bool) {
	normal, err := envelope.NormalizeDomain(strings.TrimSuffix(name, "."))
	if err != nil {
		return "", false
	}
	if _, err := netip.ParseAddr(normal); err == nil {
		return "", false
	}
	return normal, true
}
