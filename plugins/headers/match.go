package headers

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// holds tells whether the condition is true of the mail; nil always is.
func (c *condition) holds(m *mail) bool {
	if c == nil {
		return true
	}
	switch c.op {
	case allOf:
		for _, part := range c.list {
			if !part.holds(m) {
				return false
			}
		}
		return true
	case anyOf, noneOf:
		some := slices.ContainsFunc(c.list, func(part *condition) bool { return part.holds(m) })
		return some == (c.op == anyOf)
	}
	return m.try(c.test)
}

// asksRecipient tells whether the condition depends on the recipient.
func (c *condition) asksRecipient() bool {
	if c == nil {
		return false
	}
	return c.op == isTest && c.test.about == envelopeRecipient || slices.ContainsFunc(c.list, (*condition).asksRecipient)
}

// try makes a test, once where it is the same for each recipient.
func (m *mail) try(t *test) bool {
	if t.about == envelopeRecipient {
		return m.compare(t) != t.negate
	}
	if m.known[t.id] == 0 {
		m.known[t.id] = 2
		if m.compare(t) != t.negate {
			m.known[t.id] = 1
		}
	}
	return m.known[t.id] == 1
}

func (m *mail) compare(t *test) bool {
	switch t.about {
	case messageSize:
		if t.verb == smaller {
			return m.event.Size < t.octets
		}
		return m.event.Size > t.octets
	case headerField:
		return t.field(m.field(t.name))
	case envelopeSender:
		return t.any(present(fold(m.event.Sender)))
	case envelopeRecipient:
		return t.any(present(m.recipient))
	case helo:
		return t.any(present(fold(m.event.Client.HELO)))
	case client:
		for _, n := range t.nets {
			if n.Contains(m.addr) {
				return true
			}
		}
		return t.any(append(present(fold(m.event.Client.Hostname)), present(m.addrText())...))
	}
	var values []string
	for _, f := range m.event.Facts {
		if strings.EqualFold(f.Name, t.name) {
			values = append(values, fold(f.Value))
		}
	}
	return t.any(values)
}

func (m *mail) addrText() string {
	if !m.addr.IsValid() {
		return ""
	}
	return m.addr.String()
}

// present gives a value that may be missing.
func present(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// field tells whether a header field passes the test. Where the field has
// addresses and the test asks for one, by the sign @, only they count: a name
// that looks like an address must not pass for it.
func (t *test) field(v *values) bool {
	switch {
	case t.part == nameOnly:
		return t.any(v.names)
	case t.part == addressOnly:
		return t.any(v.addresses)
	case !addressFields[t.name] || t.verb == exists:
		return t.any(v.whole)
	}
	return t.any(v.addresses) || t.anyWord(v.whole) || t.anyWord(v.names)
}

// anyWord is any for those of the test's texts that have no @.
func (t *test) anyWord(values []string) bool {
	return slices.ContainsFunc(values, func(have string) bool {
		return slices.ContainsFunc(t.values, func(want string) bool {
			return !strings.Contains(want, "@") && t.verb.compare(have, want)
		})
	})
}

// any tells whether one of the subject's values passes the test.
func (t *test) any(values []string) bool {
	if t.verb == exists {
		return len(values) > 0
	}
	return slices.ContainsFunc(values, func(have string) bool {
		return slices.ContainsFunc(t.values, func(want string) bool { return t.verb.compare(have, want) })
	})
}

func (v verb) compare(have, want string) bool {
	switch v {
	case contains:
		return strings.Contains(have, want)
	case equals:
		return have == want
	case beginsWith:
		return strings.HasPrefix(have, want)
	case endsWith:
		return strings.HasSuffix(have, want)
	case matches:
		return glob(want, have)
	}
	return false
}

// glob compares s with a pattern in which * stands for anything and ? for one
// character. Each piece between stars is looked for once, from left to right.
func glob(pattern, s string) bool {
	pieces := strings.Split(pattern, "*")
	first, last := pieces[0], pieces[len(pieces)-1]
	n := prefix(first, s)
	if n < 0 {
		return false
	}
	s = s[n:]
	if len(pieces) == 1 {
		return s == ""
	}
	for _, piece := range pieces[1 : len(pieces)-1] {
		i, n := find(piece, s)
		if i < 0 {
			return false
		}
		s = s[i+n:]
	}
	// The last piece is at the end.
	skip := utf8.RuneCountInString(s) - utf8.RuneCountInString(last)
	if skip < 0 {
		return false
	}
	for range skip {
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
	}
	return prefix(last, s) == len(s)
}

// find looks for a piece of a pattern in s.
func find(piece, s string) (at, n int) {
	if !strings.Contains(piece, "?") {
		return strings.Index(s, piece), len(piece)
	}
	for at = 0; ; {
		if n = prefix(piece, s[at:]); n >= 0 {
			return at, n
		}
		if at == len(s) {
			return -1, 0
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
}

// prefix gives how many octets of s a piece of a pattern covers, -1 where s does
// not begin like that.
func prefix(piece, s string) int {
	at := 0
	for _, want := range piece {
		if at == len(s) {
			return -1
		}
		have, size := utf8.DecodeRuneInString(s[at:])
		if have != want && want != '?' {
			return -1
		}
		at += size
	}
	return at
}
