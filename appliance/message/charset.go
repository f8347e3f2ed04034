package message

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/transform"
)

// appendCharset appends src, which is in the named charset, to dst as UTF-8.
// Where the charset is missing, unknown or ASCII, it is guessed. Text that is
// said to be UTF-8 is given as it stands.
func appendCharset(dst, src []byte, name string) []byte {
	name = strings.ToLower(strings.Trim(name, " \t\"'"))
	switch name {
	case "", "us-ascii", "ascii", "unknown-8bit", "x-unknown", "8bit":
		return appendGuess(dst, src)
	case "utf-8", "utf8", "utf8mb4":
		return append(dst, src...)
	case "utf-7", "unicode-1-1-utf-7":
		return appendUTF7(dst, src)
	}
	enc := charset(name)
	if enc == nil {
		return appendGuess(dst, src)
	}
	out, _, err := transform.Append(enc.NewDecoder(), dst, src)
	if err != nil {
		return appendGuess(dst, src)
	}
	return out
}

// charset finds an encoding by the names of browsers, which take old labels for
// the supersets that are really used, then by IANA's; nil if there is none.
func charset(name string) encoding.Encoding {
	if name == "iso-8859-8-i" || name == "iso-8859-8-e" {
		name = "iso-8859-8"
	}
	if enc, err := htmlindex.Get(name); err == nil && enc != encoding.Replacement {
		return enc
	}
	if enc, err := ianaindex.MIME.Encoding(name); err == nil {
		return enc
	}
	if number, ok := strings.CutPrefix(name, "cp"); ok {
		if enc, err := ianaindex.MIME.Encoding("windows-" + number); err == nil {
			return enc
		}
	}
	return nil
}

// appendGuess appends 8-bit text of unknown charset: UTF-8 if it is valid, else
// Windows-1252.
func appendGuess(dst, src []byte) []byte {
	if utf8.Valid(src) {
		return append(dst, src...)
	}
	for _, c := range src {
		if c < 0x80 {
			dst = append(dst, c)
		} else {
			dst = utf8.AppendRune(dst, charmap.Windows1252.DecodeByte(c))
		}
	}
	return dst
}

// asciiSuperset tells whether octets below 0x80 mean ASCII in a charset
// wherever they stand, so that ASCII can be searched without decoding. Names it
// does not know count as not.
func asciiSuperset(name string) bool {
	name = strings.ToLower(name)
	return name == "" || name == "us-ascii" || name == "utf-8" || name == "utf8" ||
		strings.HasPrefix(name, "iso-8859-") || strings.HasPrefix(name, "windows-125")
}

// appendUTF7 decodes UTF-7 (RFC 2152). Shifts that make no sense stay as they
// stand.
func appendUTF7(dst, src []byte) []byte {
	for i := 0; i < len(src); i++ {
		c := src[i]
		if c != '+' {
			dst = append(dst, c)
			continue
		}
		end := i + 1
		for end < len(src) && isBase64(src[end]) {
			end++
		}
		if end == i+1 {
			dst = append(dst, '+')
			if end < len(src) && src[end] == '-' {
				i = end
			}
			continue
		}
		raw, err := base64.RawStdEncoding.AppendDecode(nil, src[i+1:end])
		if err != nil {
			dst = append(dst, src[i:end]...)
			i = end - 1
			continue
		}
		units := make([]uint16, len(raw)/2)
		for j := range units {
			units[j] = uint16(raw[2*j])<<8 | uint16(raw[2*j+1])
		}
		for _, r := range utf16.Decode(units) {
			dst = utf8.AppendRune(dst, r)
		}
		i = end - 1
		if end < len(src) && src[end] == '-' {
			i = end
		}
	}
	return dst
}

func isBase64(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '/'
}
