package report

import (
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"hauspost/appliance/envelope"
	"hauspost/appliance/transfer"
)

// Lengths in octets. RFC 5322, section 2.1.1, allows 998 to a line and likes 78.
const (
	likedLine = 76
	maxWord   = 800
	maxName   = 255
)

// clean makes a text from outside fit for one line and cuts it at limit octets.
func clean(s string, limit int) string {
	s = strings.TrimSpace(transfer.Sanitize(s))
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return strings.TrimSpace(s[:limit]) + "…"
}

// ascii puts a "?" for every letter that a 7-bit field cannot hold.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '…':
			return '.'
		case r >= utf8.RuneSelf:
			return '?'
		}
		return r
	}, s)
}

func isASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// hostName keeps of a name what may stand in the name or address of a host.
func hostName(s string) string {
	s = strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(".-_:[]", r) {
			return r
		}
		return -1
	}, s)
	return s[:min(len(s), maxName)]
}

// idText keeps of an ID what may stand in a Message-ID and in a boundary.
func idText(id envelope.ID) string {
	s := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, string(id))
	return s[:min(len(s), 40)]
}

// words gives the words between blanks, with such as are longer than a line may
// be cut into pieces. Two blanks have an empty word between them.
func words(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for word := range strings.SplitSeq(s, " ") {
			for len(word) > maxWord {
				cut := maxWord
				for !utf8.RuneStart(word[cut]) {
					cut--
				}
				if !yield(word[:cut]) {
					return
				}
				word = word[cut:]
			}
			if !yield(word) {
				return
			}
		}
	}
}

// field prints one header field, folded at its blanks. Its value is clean and
// not empty.
func field(b *strings.Builder, name, value string) {
	line := name + ":"
	first := true
	for word := range words(value) {
		// A blank line would end the header: nothing is folded before an empty
		// word, and nothing right after the name of the field.
		if !first && word != "" && len(line)+1+len(word) > likedLine {
			b.WriteString(line + "\r\n")
			line = ""
		}
		line += " " + word
		first = false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\r\n")
}

// paragraph prints words in lines of about 72 letters, each after indent.
func paragraph(b *strings.Builder, indent, text string) {
	const width = 72
	line, letters := indent, utf8.RuneCountInString(indent)
	start := letters
	for word := range words(text) {
		if word == "" {
			continue
		}
		n := utf8.RuneCountInString(word)
		if letters > start && letters+1+n > width {
			b.WriteString(line + "\r\n")
			line, letters = indent, start
		}
		if letters > start {
			line += " "
			letters++
		}
		line += word
		letters += n
	}
	if letters > start {
		b.WriteString(line + "\r\n")
	}
}

// date prints a time as RFC 5322, section 3.3, asks.
func date(t time.Time) string {
	return t.Format("Mon, 2 Jan 2006 15:04:05 -0700")
}

// moment prints a time for people, in the zone of the report.
func (n *Notice) moment(t time.Time) string {
	return t.In(n.Now.Location()).Format("Mon, 2 Jan 2006 15:04 -0700")
}

// span says how long d is, in the largest unit that it fills twice.
func span(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, " days"}, {time.Hour, " hours"}, {time.Minute, " minutes"}} {
		if d >= 2*u.unit {
			return strconv.FormatInt(int64((d+u.unit/2)/u.unit), 10) + u.name
		}
	}
	return "a minute"
}
