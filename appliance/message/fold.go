package message

import (
	"unicode"
	"unicode/utf8"
)

// Fold gives s as searches compare it: every letter in one case, each run of
// white space and control characters as one space. It changes no text that it
// made itself.
func Fold(s string) string {
	return string(appendFold(make([]byte, 0, len(s)+8), []byte(s)))
}

// foldASCII is Fold for octets below 0x80.
var foldASCII = func() (t [0x80]byte) {
	for c := range t {
		switch {
		case c <= ' ' || c == 0x7f:
			t[c] = ' '
		case 'A' <= c && c <= 'Z':
			t[c] = byte(c) + 'a' - 'A'
		default:
			t[c] = byte(c)
		}
	}
	return t
}()

// appendFold appends s folded to dst. A space at the end of dst joins those at
// the start of s.
func appendFold(dst, s []byte) []byte {
	space := len(dst) > 0 && dst[len(dst)-1] == ' ' // the last that was written
	for i := 0; i < len(s); {
		if c := s[i]; c < 0x80 {
			i++
			c = foldASCII[c]
			if c == ' ' && space {
				continue
			}
			space = c == ' '
			dst = append(dst, c)
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		i += n
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			if !space {
				dst = append(dst, ' ')
			}
			space = true
			continue
		}
		space = false
		dst = utf8.AppendRune(dst, foldRune(r))
	}
	return dst
}

// foldRune brings a letter to the one form of all its cases. Upper case first
// joins the small letters that share a capital, such as the two small sigmas.
func foldRune(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }
