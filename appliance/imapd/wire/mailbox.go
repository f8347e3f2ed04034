package wire

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrUTF7 is the error of DecodeUTF7.
var ErrUTF7 = errors.New("not modified UTF-7")

var utf7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").
	WithPadding(base64.NoPadding).Strict()

// DecodeUTF7 turns a mailbox name in modified UTF-7 (RFC 3501, section 5.1.3)
// into UTF-8. Every spelling but the one that EncodeUTF7 gives is ErrUTF7, so
// that no two names mean the same mailbox. Octets above 127 are let pass where
// they are UTF-8, as some clients send them.
func DecodeUTF7(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", ErrUTF7
	}
	if strings.IndexByte(s, '&') < 0 {
		return s, nil
	}
	var out strings.Builder
	afterShift := false
	for len(s) > 0 {
		i := strings.IndexByte(s, '&')
		if i != 0 {
			if i < 0 {
				i = len(s)
			}
			out.WriteString(s[:i])
			s, afterShift = s[i:], false
			continue
		}
		end := strings.IndexByte(s, '-')
		if end < 0 {
			return "", ErrUTF7
		}
		run := s[1:end]
		s = s[end+1:]
		if run == "" {
			out.WriteByte('&')
			afterShift = false
			continue
		}
		if afterShift {
			return "", ErrUTF7
		}
		text, err := decodeShift(run)
		if err != nil {
			return "", err
		}
		out.WriteString(text)
		afterShift = true
	}
	return out.String(), nil
}

func decodeShift(run string) (string, error) {
	b, err := utf7.DecodeString(run)
	if err != nil || len(b)%2 != 0 || len(b) == 0 {
		return "", ErrUTF7
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	var out []byte
	for i := 0; i < len(units); i++ {
		r := rune(units[i])
		if utf16.IsSurrogate(r) {
			if i+1 == len(units) {
				return "", ErrUTF7
			}
			i++
			if r = utf16.DecodeRune(r, rune(units[i])); r == utf8.RuneError {
				return "", ErrUTF7
			}
		}
		if r >= ' ' && r < 0x7f {
			return "", ErrUTF7
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out), nil
}

// EncodeUTF7 turns a mailbox name in UTF-8 into modified UTF-7.
func EncodeUTF7(s string) string {
	plain := true
	for i := range len(s) {
		if s[i] == '&' || s[i] < ' ' || s[i] >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var out strings.Builder
	var units []uint16
	flush := func() {
		if len(units) == 0 {
			return
		}
		b := make([]byte, 0, 2*len(units))
		for _, u := range units {
			b = append(b, byte(u>>8), byte(u))
		}
		out.WriteByte('&')
		out.WriteString(utf7.EncodeToString(b))
		out.WriteByte('-')
		units = units[:0]
	}
	for _, r := range s {
		switch {
		case r == '&':
			flush()
			out.WriteString("&-")
		case r >= ' ' && r < 0x7f:
			flush()
			out.WriteRune(r)
		default:
			units = utf16.AppendRune(units, r)
		}
	}
	flush()
	return out.String()
}
