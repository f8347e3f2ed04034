package message

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// ErrEncoding is wrapped by the errors of DecodeTransfer.
var ErrEncoding = errors.New("unknown transfer encoding")

// DecodeTransfer appends body to dst, decoded from its Content-Transfer-Encoding
// (RFC 2045, section 6), whose name is compared without regard to case; empty
// means 7bit. Malformed base64 and quoted-printable are decoded as far as they
// make sense. The error wraps ErrEncoding where encoding is not a known name;
// dst is given back unchanged then.
func DecodeTransfer(dst, body []byte, encoding string) ([]byte, error) {
	switch strings.ToLower(encoding) {
	case "", "7bit", "8bit", "binary":
		return append(dst, body...), nil
	case "base64":
		return appendBase64(dst, body), nil
	case "quoted-printable":
		return appendQuotedPrintable(dst, body), nil
	}
	return dst, fmt.Errorf("decode %q: %w", encoding, ErrEncoding)
}

// base64Value maps octets to their six bits; 0xff marks what stands for none.
var base64Value = func() (t [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range t {
		t[i] = 0xff
	}
	for i := range len(alphabet) {
		t[alphabet[i]] = byte(i)
	}
	return t
}()

// appendBase64 decodes base64, passing over line ends and everything else that
// is not of its alphabet. Padding ends a group; what follows it is decoded on,
// as some programs join encoded pieces.
func appendBase64(dst, src []byte) []byte {
	if n := len(src) / 4 * 3; cap(dst)-len(dst) < n {
		dst = append(make([]byte, 0, len(dst)+n+3), dst...)
	}
	var bits uint32
	count := 0
	for len(src) > 0 {
		if count == 0 && len(src) >= 4 {
			a, b := base64Value[src[0]], base64Value[src[1]]
			c, d := base64Value[src[2]], base64Value[src[3]]
			if a|b|c|d < 64 {
				dst = append(dst, a<<2|b>>4, b<<4|c>>2, c<<6|d)
				src = src[4:]
				continue
			}
		}
		v := base64Value[src[0]]
		switch {
		case v < 64:
			bits = bits<<6 | uint32(v)
			if count++; count == 4 {
				dst = append(dst, byte(bits>>16), byte(bits>>8), byte(bits))
				bits, count = 0, 0
			}
		case src[0] == '=':
			dst = appendBits(dst, bits, count)
			bits, count = 0, 0
		}
		src = src[1:]
	}
	return appendBits(dst, bits, count)
}

// appendBits appends the whole octets of a group that is not full.
func appendBits(dst []byte, bits uint32, count int) []byte {
	switch count {
	case 2:
		return append(dst, byte(bits>>4))
	case 3:
		return append(dst, byte(bits>>10), byte(bits>>2))
	}
	return dst
}

// appendQuotedPrintable decodes quoted-printable. An "=" that begins nothing
// stays; white space at the end of a line, which transport added, goes
// (RFC 2045, section 6.7).
func appendQuotedPrintable(dst, src []byte) []byte {
	for len(src) > 0 {
		end := lineEnd(src, 0)
		line := src[:end]
		src = src[end:]
		text := bytes.TrimRight(line, " \t\r\n")
		brk := line[len(line)-len(lineBreak(line)):]
		if n := len(text); n > 0 && text[n-1] == '=' {
			text, brk = text[:n-1], nil
		}
		for {
			i := bytes.IndexByte(text, '=')
			if i < 0 {
				break
			}
			dst = append(dst, text[:i]...)
			if i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]) {
				dst = append(dst, hex(text[i+1])<<4|hex(text[i+2]))
				text = text[i+3:]
			} else {
				dst = append(dst, '=')
				text = text[i+1:]
			}
		}
		dst = append(append(dst, text...), brk...)
	}
	return dst
}

// lineBreak gives the CRLF or LF that ends line.
func lineBreak(line []byte) []byte {
	switch {
	case bytes.HasSuffix(line, []byte("\r\n")):
		return line[len(line)-2:]
	case bytes.HasSuffix(line, []byte("\n")):
		return line[len(line)-1:]
	}
	return nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func hex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
