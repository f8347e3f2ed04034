package sdk

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// DecodeWords makes readable text of the encoded words (RFC 2047) in a value.
// It knows UTF-8, ASCII, ISO 8859-1 and -15 and Windows-1252; words in other
// charsets, or that are broken, stay as they are. Octets that are no UTF-8
// become U+FFFD.
func DecodeWords(s string) string {
	if !strings.Contains(s, "=?") {
		return strings.ToValidUTF8(s, "\ufffd")
	}
	var out strings.Builder
	// The octets of neighbouring words of one charset are put together before
	// they are read, because many senders break characters in two.
	var octets []byte
	var charset string
	flush := func() {
		text, _ := toUTF8(charset, octets)
		out.WriteString(text)
		octets = octets[:0]
	}
	for s != "" {
		at := strings.Index(s, "=?")
		if at < 0 {
			break
		}
		w, ok := parseWord(s[at:])
		if !ok {
			flush()
			out.WriteString(strings.ToValidUTF8(s[:at+2], "\ufffd"))
			s = s[at+2:]
			continue
		}
		// White space between two encoded words is none of the text.
		between := s[:at]
		if len(octets) == 0 || strings.Trim(between, " \t\r\n") != "" {
			flush()
			out.WriteString(strings.ToValidUTF8(between, "\ufffd"))
		}
		if w.charset != charset {
			flush()
		}
		charset = w.charset
		octets = append(octets, w.octets...)
		s = s[at+w.length:]
	}
	flush()
	out.WriteString(strings.ToValidUTF8(s, "\ufffd"))
	return out.String()
}

type word struct {
	charset string
	octets  []byte
	length  int
}

// maxCharset is how long the name of a charset with its language may be, so
// that text full of beginnings of words is read in linear time.
const maxCharset = 64

// parseWord reads the encoded word at the beginning of s.
func parseWord(s string) (w word, ok bool) {
	charset, _, ok := strings.Cut(s[2:min(len(s), 2+maxCharset)], "?")
	if !ok {
		return word{}, false
	}
	rest := s[2+len(charset)+1:]
	if len(rest) < 2 || rest[1] != '?' {
		return word{}, false
	}
	// A question mark cannot be part of the text.
	text, end, ok := strings.Cut(rest[2:], "?")
	if !ok || end == "" || end[0] != '=' {
		return word{}, false
	}
	w.length = 2 + len(charset) + 1 + 2 + len(text) + 2
	// RFC 2231 section 5 adds a language.
	charset, _, _ = strings.Cut(charset, "*")
	w.charset = strings.ToLower(charset)
	if _, known := toUTF8(w.charset, nil); !known {
		return word{}, false
	}
	switch rest[0] {
	case 'b', 'B':
		b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
		w.octets = b
		return w, err == nil
	case 'q', 'Q':
		w.octets, ok = decodeQ(text)
		return w, ok
	}
	return word{}, false
}

func decodeQ(s string) ([]byte, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '_':
			b = append(b, ' ')
		case '=':
			if i+2 >= len(s) {
				return nil, false
			}
			high, low := hex(s[i+1]), hex(s[i+2])
			if high < 0 || low < 0 {
				return nil, false
			}
			b = append(b, byte(high<<4|low))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return b, true
}

func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c - 'A' + 10)
	case 'a' <= c && c <= 'f':
		return int(c - 'a' + 10)
	}
	return -1
}

// windows1252 are its characters from 0x80 to 0x9F, 0 where there is none.
var windows1252 = [32]uint16{
	0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D, 0,
	0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178,
}

// toUTF8 makes text of octets in a charset, if it knows that.
func toUTF8(charset string, b []byte) (string, bool) {
	latin9, windows := false, false
	switch charset {
	case "utf-8", "utf8", "us-ascii", "ascii", "":
		return strings.ToValidUTF8(string(b), "\ufffd"), charset != ""
	// What calls itself Latin 1 is Windows-1252 more often than not.
	case "iso-8859-1", "latin1", "windows-1252", "cp1252":
		windows = true
	case "iso-8859-15", "latin9":
		latin9 = true
	default:
		return "", false
	}
	out := make([]byte, 0, len(b)+len(b)/2)
	for _, c := range b {
		r := rune(c)
		switch {
		case windows && c >= 0x80 && c < 0xA0:
			if r = rune(windows1252[c-0x80]); r == 0 {
				r = utf8.RuneError
			}
		case latin9:
			r = latin9Rune(c)
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out), true
}

func latin9Rune(c byte) rune {
	switch c {
	case 0xA4:
		return '€'
	case 0xA6:
		return 'Š'
	case 0xA8:
		return 'š'
	case 0xB4:
		return 'Ž'
	case 0xB8:
		return 'ž'
	case 0xBC:
		return 'Œ'
	case 0xBD:
		return 'œ'
	case 0xBE:
		return 'Ÿ'
	}
	return rune(c)
}
