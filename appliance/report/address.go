package report

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"hauspost/appliance/envelope"
)

// typed is an address with its type, as in Original-Recipient and
// Final-Recipient (RFC 3464, section 2.3.1).
type typed struct{ kind, address string }

// finalRecipient gives an address of the house with its type: "utf-8" where it
// needs RFC 6533, else "rfc822".
func finalRecipient(a envelope.Address) typed {
	s := clean(a.String(), 2*envelope.MaxPath)
	if isASCII(s) {
		return typed{"rfc822", s}
	}
	return typed{"utf-8", s}
}

// originalRecipient reads an ORCPT parameter: a type and an address in xtext
// (RFC 3461, section 4.2) or, for the type utf-8, in one of the forms of RFC
// 6533, section 3. ok is false where it is none or says nothing.
func originalRecipient(orcpt string) (t typed, ok bool) {
	kind, value, found := strings.Cut(orcpt, ";")
	kind = strings.ToLower(kind)
	if !found || len(orcpt) > 4*envelope.MaxPath || !isAtom(kind) {
		return typed{}, false
	}
	if kind == "utf-8" {
		value, ok = decodeUnitext(value)
	} else {
		value, ok = decodeXtext(value)
	}
	if value = strings.TrimSpace(value); !ok || value == "" || clean(value, len(value)) != value {
		return typed{}, false
	}
	return typed{kind, value}, true
}

func isAtom(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return s != "" && len(s) <= 40
}

// needsUTF8 tells whether t only fits a report of RFC 6533 as it is.
func (t typed) needsUTF8() bool { return !isASCII(t.address) }

// field prints t for a delivery-status part: as it is where global is set, else
// in the 7-bit form of its type.
func (t typed) field(global bool) string {
	if t.kind == "utf-8" && !global {
		return t.kind + "; " + encodeXtext(t.address)
	}
	return t.kind + "; " + t.address
}

// decodeXtext reads xtext (RFC 3461, section 4), which stands for printable
// ASCII here.
func decodeXtext(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			if i+2 >= len(s) {
				return "", false
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", false
			}
			c = byte(n)
			i += 2
		}
		if c < ' ' || c >= 0x7f {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

// decodeUnitext reads utf-8-addr-xtext, utf-8-addr-unitext and utf-8-address
// (RFC 6533, section 3), where "\x{HEX}" stands for a character. Some senders
// put the "+HH" of xtext into the first, as every ORCPT had it before; only the
// last, which is never ASCII, may hold a "+" of its own.
func decodeUnitext(s string) (string, bool) {
	var b strings.Builder
	xtext := isASCII(s)
	for len(s) > 0 {
		if hex, rest, found := strings.Cut(s, "}"); found && strings.HasPrefix(hex, `\x{`) {
			n, err := strconv.ParseUint(hex[3:], 16, 32)
			if err != nil || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
				return "", false
			}
			b.WriteRune(rune(n))
			s = rest
			continue
		}
		if xtext && s[0] == '+' && len(s) >= 3 {
			if n, err := strconv.ParseUint(s[1:3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				s = s[3:]
				continue
			}
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String(), utf8.ValidString(b.String())
}

// encodeXtext gives utf-8-addr-xtext: "+", "=", "\", blanks and all that is not
// ASCII as "\x{HEX}".
func encodeXtext(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r <= ' ' || r >= 0x7f || r == '+' || r == '=' || r == '\\' {
			fmt.Fprintf(&b, `\x{%02X}`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// mailbox gives a for From or To, with the angle brackets, or "" where it is no
// address at all. One without a domain is at host.
func mailbox(a envelope.Address, host string) string {
	if a.Domain == "" && a.Local != "" {
		a.Domain = host
	}
	s := a.String()
	if again, err := envelope.ParseAddress(s); err != nil || again != a || clean(s, len(s)) != s {
		return ""
	}
	return "<" + s + ">"
}
