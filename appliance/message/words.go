package message

import (
	"bytes"
	"strings"
)

// plainHeader tells that a header text has neither 8-bit characters nor encoded
// words, so that it is its own decoded form.
func plainHeader(s []byte) bool {
	for i, c := range s {
		if c >= 0x80 || c == '=' && i+1 < len(s) && s[i+1] == '?' {
			return false
		}
	}
	return true
}

// appendDecodedWords appends a header text unfolded, in UTF-8, with its encoded
// words (RFC 2047) decoded wherever they stand, in quoted strings too. White
// space between two of them is dropped; neighbours of one charset are decoded
// together, as many programs cut characters apart.
func appendDecodedWords(dst, s []byte) []byte {
	var pending []byte // decoded octets of the words so far
	var pendingCharset string
	flush := func() {
		dst = appendCharset(dst, pending, pendingCharset)
		pending = pending[:0]
	}
	inWord := false
	for len(s) > 0 {
		i := bytes.Index(s, []byte("=?"))
		if i < 0 {
			break
		}
		word, n, closed := cutEncodedWord(s[i:])
		if !closed {
			break // no "?=" from here to the end
		}
		if n == 0 {
			flush()
			dst = appendText(dst, s[:i+2])
			s, inWord = s[i+2:], false
			continue
		}
		between := s[:i]
		if !inWord || len(trim(between)) > 0 {
			flush()
			dst = appendText(dst, between)
		} else if !strings.EqualFold(word.charset, pendingCharset) {
			flush()
		}
		pendingCharset = word.charset
		pending = word.decode(pending)
		s, inWord = s[i+n:], true
	}
	flush()
	return appendText(dst, s)
}

// appendText appends text that stands outside of encoded words.
func appendText(dst, s []byte) []byte {
	if bytes.IndexByte(s, '\n') >= 0 {
		s = appendUnfolded(nil, s)
	}
	return appendGuess(dst, s)
}

// encodedWord is one word of RFC 2047, section 2.
type encodedWord struct {
	charset string
	base64  bool
	text    []byte
}

// cutEncodedWord reads the encoded word at the start of s, which begins with
// "=?". n is 0 where that is none; closed tells whether "?=" comes at all.
func cutEncodedWord(s []byte) (w encodedWord, n int, closed bool) {
	const maxCharset = 60
	head := s[2:min(len(s), 2+maxCharset)]
	i := bytes.IndexByte(head, '?')
	if i <= 0 || i+4 > len(s)-2 || bytes.ContainsAny(head[:i], " \t\r\n\"") {
		return w, 0, true
	}
	s = s[2:]
	encoding := s[i+1] | 0x20
	if s[i+2] != '?' || encoding != 'b' && encoding != 'q' {
		return w, 0, true
	}
	text := s[i+3:]
	end := bytes.Index(text, []byte("?="))
	if end < 0 {
		return w, 0, false
	}
	name, _, _ := strings.Cut(string(s[:i]), "*") // RFC 2231: the language
	w = encodedWord{charset: name, base64: encoding == 'b', text: text[:end]}
	return w, 2 + i + 3 + end + 2, true
}

// decode appends the octets that the word encodes.
func (w encodedWord) decode(dst []byte) []byte {
	if w.base64 {
		return appendBase64(dst, w.text)
	}
	for i := 0; i < len(w.text); i++ {
		c := w.text[i]
		switch {
		case c == '_':
			c = ' '
		case c == '=' && i+2 < len(w.text) && isHex(w.text[i+1]) && isHex(w.text[i+2]):
			c = hex(w.text[i+1])<<4 | hex(w.text[i+2])
			i += 2
		}
		dst = append(dst, c)
	}
	return dst
}
