package relay

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"hauspost/appliance/envelope"
)

// mailCommand is MAIL with the parameters that the server understands.
func (a *attempt) mailCommand(k *conn, withUTF8 bool) string {
	m := a.m
	var b strings.Builder
	b.WriteString("MAIL FROM:<" + m.Sender.String() + ">")
	if k.ext.size && m.Size > 0 {
		b.WriteString(" SIZE=" + strconv.FormatInt(m.Size, 10))
	}
	if k.ext.eightBit && m.Body == "8BITMIME" {
		b.WriteString(" BODY=8BITMIME")
	}
	if withUTF8 {
		b.WriteString(" SMTPUTF8")
	}
	if m.RequireTLS {
		b.WriteString(" REQUIRETLS")
	}
	if k.ext.dsn {
		if m.Ret == "FULL" || m.Ret == "HDRS" {
			b.WriteString(" RET=" + m.Ret)
		}
		if isXtext(m.EnvID, 100) {
			b.WriteString(" ENVID=" + m.EnvID)
		}
	}
	return b.String()
}

// rcptCommand is RCPT with the parameters that the server understands.
func rcptCommand(k *conn, r *envelope.Recipient, withUTF8 bool) string {
	s := "RCPT TO:<" + r.Address.String() + ">"
	if !k.ext.dsn {
		return s
	}
	if isXtext(r.Notify, 28) {
		s += " NOTIFY=" + r.Notify
	}
	if o := orcpt(r, withUTF8); isXtext(o, 500) || withUTF8 && o != "" && len(o) <= 500 {
		s += " ORCPT=" + o
	}
	return s
}

// isXtext tells whether a parameter as it came from the wire can go to another:
// printable ASCII without spaces.
func isXtext(s string, most int) bool {
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// orcpt is the original recipient (RFC 3461, section 4.2; RFC 6533, section 3):
// the one that came along, or else the recipient. Without SMTPUTF8 what is not
// ASCII is spelled out.
func orcpt(r *envelope.Recipient, withUTF8 bool) string {
	if r.ORcpt != "" {
		if !utf8.ValidString(r.ORcpt) || strings.ContainsFunc(r.ORcpt, func(c rune) bool { return c <= ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 }) {
			return ""
		}
		if withUTF8 || isASCII(r.ORcpt) {
			return r.ORcpt
		}
		return spell(r.ORcpt, func(c rune) bool { return c < 0x80 })
	}
	address := r.Address.String()
	if isASCII(address) {
		return "rfc822;" + xtext(address)
	}
	return "utf-8;" + spell(address, func(c rune) bool {
		return c > ' ' && c < 0x7f && c != '+' && c != '=' && c != '\\'
	})
}

// xtext encodes as RFC 3461, section 4, says.
func xtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '+' && c != '=' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "+%02X", c)
		}
	}
	return b.String()
}

// spell writes what must not stand as it is in the way of RFC 6533, section 3.
func spell(s string, keep func(rune) bool) string {
	var b strings.Builder
	for _, c := range s {
		if keep(c) {
			b.WriteRune(c)
		} else {
			fmt.Fprintf(&b, `\x{%X}`, c)
		}
	}
	return b.String()
}
