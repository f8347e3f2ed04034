package headers

import (
	"net/netip"
	"strings"

	"hauspost/plugins/abi"
	"hauspost/plugins/sdk"
)

// mail is one message as tests see it.
type mail struct {
	event *abi.Event
	// fields are the raw values by name in lower case.
	fields map[string][]string
	// folded are the values of the fields that were asked for.
	folded map[string]*values
	// recipient is the one about whom is asked, folded.
	recipient string
	addr      netip.Addr
	// known are the results of tests that are the same for each recipient: 0
	// unknown, 1 true, 2 false.
	known []uint8
}

func newMail(ev *abi.Event, header *sdk.Header, tests int) *mail {
	m := &mail{event: ev, fields: map[string][]string{}, folded: map[string]*values{}, known: make([]uint8, tests)}
	for _, f := range header.Fields() {
		name := strings.ToLower(f.Name)
		m.fields[name] = append(m.fields[name], f.Value)
	}
	if a, err := netip.ParseAddr(ev.Client.Address); err == nil {
		m.addr = a.Unmap()
	}
	return m
}

// addressFields hold addresses (RFC 5322, sections 3.6.2 to 3.6.7), of which
// each can be compared by itself.
var addressFields = map[string]bool{
	"from": true, "sender": true, "reply-to": true, "to": true, "cc": true, "bcc": true, "return-path": true,
	"resent-from": true, "resent-sender": true, "resent-to": true, "resent-cc": true, "resent-bcc": true,
	"delivered-to": true, "disposition-notification-to": true, "errors-to": true,
}

// values are what tests compare of a header field, folded.
type values struct {
	// whole are the values as they stand. Of a field with addresses, names and
	// addresses are those in it.
	whole, names, addresses []string
}

// field gives the values of a header field.
func (m *mail) field(name string) *values {
	if v := m.folded[name]; v != nil {
		return v
	}
	v := &values{}
	for _, raw := range m.fields[name] {
		v.whole = append(v.whole, fold(sdk.DecodeWords(raw)))
		if addressFields[name] {
			// The addresses are looked for before words are decoded: a name
			// that spells an address is none.
			for _, a := range addresses(raw) {
				if a.name != "" {
					v.names = append(v.names, fold(sdk.DecodeWords(a.name)))
				}
				if a.address != "" {
					v.addresses = append(v.addresses, fold(a.address))
				}
			}
		}
	}
	m.folded[name] = v
	return v
}

// fold makes texts comparable: lower case, and one space for any number.
func fold(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// mailbox is a name with an address; either may be empty.
type mailbox struct{ name, address string }

// addresses finds the mailboxes of an address field, in whatever state it is.
func addresses(s string) []mailbox {
	var list []mailbox
	var plain strings.Builder // outside of angle brackets and comments
	var angle string
	done := func() {
		name := strings.TrimSpace(plain.String())
		plain.Reset()
		switch {
		case angle != "":
			list = append(list, mailbox{name, strings.TrimSpace(angle)})
		case strings.Contains(name, "@"):
			list = append(list, mailbox{"", name})
		case name != "":
			list = append(list, mailbox{name, ""})
		}
		angle = ""
	}
	for s != "" {
		i := strings.IndexAny(s, `"(<,;:`)
		if i < 0 {
			break
		}
		plain.WriteString(s[:i])
		c := s[i]
		s = s[i+1:]
		switch c {
		case '"':
			var quoted string
			quoted, s = cutQuoted(s)
			plain.WriteString(quoted)
		case '(':
			s = skipComment(s)
		case '<':
			angle, s, _ = strings.Cut(s, ">")
		case ':': // the name of a group
			plain.Reset()
		default:
			done()
		}
	}
	plain.WriteString(s)
	done()
	return list
}

// cutQuoted reads up to the closing quote, which s may lack.
func cutQuoted(s string) (quoted, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:]
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

func skipComment(s string) string {
	depth := 1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return s[i+1:]
			}
		}
	}
	return ""
}
