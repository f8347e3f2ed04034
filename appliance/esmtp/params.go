package esmtp

import (
	"strconv"
	"strings"
	"unicode"

	"hauspost/appliance/envelope"
	"hauspost/appliance/reply"
)

// eachParam calls take for each esmtp-param of RFC 5321, section 4.1.2, in
// upper case; has tells that there was a value. Parameters given twice and
// malformed ones are refused.
func eachParam(s string, take func(key, value string, has bool) *reply.Reply) *reply.Reply {
	var seen [16]string
	n := 0
	for field := range strings.SplitSeq(s, " ") {
		if field == "" {
			continue
		}
		key, value, has := strings.Cut(field, "=")
		if !isKeyword(key) || has && value == "" {
			return errBadParameter
		}
		key = strings.ToUpper(key)
		for _, old := range seen[:n] {
			if old == key {
				return errBadParameter
			}
		}
		if n == len(seen) {
			return errBadParameter
		}
		seen[n] = key
		n++
		if r := take(key, value, has); r != nil {
			return r
		}
	}
	return nil
}

func isKeyword(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && (c != '-' || i == 0) {
			return false
		}
	}
	return s != ""
}

// offered tells which extensions with parameters of MAIL are there: AUTH, DSN,
// and TLS, which REQUIRETLS needs.
type offered struct{ auth, dsn, tls bool }

// mailParams reads the parameters of MAIL into m.
func mailParams(s string, m *Mail, o offered) *reply.Reply {
	return eachParam(s, func(key, value string, has bool) *reply.Reply {
		ok := true
		switch {
		case key == "AUTH" && !o.auth, (key == "RET" || key == "ENVID") && !o.dsn, key == "REQUIRETLS" && !o.tls:
			return errUnknownParam
		}
		switch key {
		case "SIZE":
			var err error
			m.Size, err = strconv.ParseInt(value, 10, 64)
			ok = err == nil && isDigits(value)
			if !ok && isDigits(value) && len(value) <= 20 {
				return errTooLarge
			}
		case "BODY":
			m.Body = strings.ToUpper(value)
			if m.Body == "BINARYMIME" {
				return errUnknownParam
			}
			ok = m.Body == "7BIT" || m.Body == "8BITMIME"
		case "SMTPUTF8":
			m.SMTPUTF8, ok = true, !has
		case "REQUIRETLS":
			m.RequireTLS, ok = true, !has
		case "RET":
			m.Ret = strings.ToUpper(value)
			ok = m.Ret == "FULL" || m.Ret == "HDRS"
		case "ENVID":
			m.EnvID = value
			ok = has && len(value) <= 100 && isXtext(value)
		case "AUTH":
			m.Auth = value
			ok = value == "<>" || has && isXtext(value)
		default:
			return errUnknownParam
		}
		if !ok {
			return errBadParameter
		}
		return nil
	})
}

// rcptParams reads the parameters of RCPT into r; all that there are belong to
// DSN.
func rcptParams(s string, r *envelope.Recipient, dsn bool) *reply.Reply {
	return eachParam(s, func(key, value string, _ bool) *reply.Reply {
		ok := true
		if !dsn {
			return errUnknownParam
		}
		switch key {
		case "NOTIFY":
			r.Notify = strings.ToUpper(value)
			ok = isNotify(r.Notify)
		case "ORCPT":
			r.ORcpt = value
			ok = isOrcpt(value)
		default:
			return errUnknownParam
		}
		if !ok {
			return errBadParameter
		}
		return nil
	})
}

// isNotify checks NOTIFY (RFC 3461, section 4.1): NEVER alone, or a list
// without repetition.
func isNotify(s string) bool {
	if s == "NEVER" {
		return true
	}
	seen := 0
	for word := range strings.SplitSeq(s, ",") {
		bit := 0
		switch word {
		case "SUCCESS":
			bit = 1
		case "FAILURE":
			bit = 2
		case "DELAY":
			bit = 4
		}
		if bit == 0 || seen&bit != 0 {
			return false
		}
		seen |= bit
	}
	return true
}

// isOrcpt checks ORCPT (RFC 3461, section 4.2; RFC 6533 for utf-8): an address
// type, ";" and the address in xtext.
func isOrcpt(s string) bool {
	kind, address, ok := strings.Cut(s, ";")
	if !ok || len(s) > 500 || address == "" || !isKeyword(kind) {
		return false
	}
	if strings.EqualFold(kind, "utf-8") {
		return isUnitext(address)
	}
	return isXtext(address)
}

// isUnitext checks the forms of an address of the type utf-8 (RFC 6533, section
// 3), in which "\x{HEX}" stands for a character, and, by those who mean xtext,
// "+HH". Encoded control characters are refused, as in xtext.
func isUnitext(s string) bool {
	if hasControl(s) || strings.ContainsAny(s, "= ") {
		return false
	}
	for i := range len(s) {
		hex := ""
		if rest, ok := strings.CutPrefix(s[i:], `\x{`); ok {
			hex, _, _ = strings.Cut(rest, "}")
		} else if s[i] == '+' && i+3 <= len(s) {
			hex = s[i+1 : i+3]
		}
		if n, err := strconv.ParseUint(hex, 16, 32); err == nil && (n > unicode.MaxRune || hasControl(string(rune(n)))) {
			return false
		}
	}
	return true
}

// isXtext checks xtext (RFC 3461, section 4): printable ASCII but "+" and "=",
// and "+" with two upper-case hexadecimal digits. An encoded control character
// is refused, as nobody needs one and it could end up in a header.
func isXtext(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return false
			}
			if s[i+1] < '2' || s[i+1] == '7' && s[i+2] == 'F' {
				return false
			}
			i += 2
		} else if c < '!' || c > '~' || c == '=' {
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
