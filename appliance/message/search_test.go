package message

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
)

func TestMatchText(t *testing.T) {
	t.Parallel()
	all := mails(t)
	for _, c := range []struct {
		mail, needle string
		body, text   bool
	}{
		{"plain", "do you THINK we", true, true},
		{"plain", "3:30", true, true},
		{"plain", "afternoon", false, true},
		{"plain", "blurdybloop", false, true},
		{"plain", "no such words", false, false},
		{"plain", "tomorrow? ", true, true},
		{"plain", "", true, true},
		{"rfc3501", "minutes follow.", true, true}, // across a line end
		{"alternative", "GRÜSSE", false, false},
		{"alternative", "grüße two", true, true},
		{"alternative", "<p>grüße</p>", true, true},
		{"alternative", "gr=c3", false, false},
		{"alternative", "epilogue", false, false},
		{"attached", "café", true, true},
		{"attached", "look@example", true, true}, // the header of the attached message
		{"attached", "\"c, d.\"", true, true},
		{"attached", "data.bin", true, true},
		{"attached", "fwd@example", false, true},
		{"attached", "one line, no end", true, true},
		{"attached", "AAECAw", false, false},
		{"encoded-message", "hidden subject", true, true},
		{"encoded-message", "buried text", true, true},
		{"rfc2231", "naïve plan", true, true},
		{"rfc2231", "ä.txt", true, true},
		{"eight-bit", "grüße \"aus\" köln", false, true},
		{"eight-bit", "renée", false, true},
		{"eight-bit", "andré", false, true},
		{"eight-bit", "=?utf-8?q?andr", false, true},
		{"global", "jörg", true, true},
		{"no-boundary", "<p>", true, true},
		{"digest", "second", true, true},
		{"bounce", "undelivered message headers", true, true},
		{"empty", "x", false, false},
	} {
		raw, ok := all["testdata/"+c.mail]
		if !ok {
			t.Errorf("no mail %s", c.mail)
		}
		blob := Index(raw).Structure
		needle := Fold(c.needle)
		if got := MatchText(raw, blob, needle, false); got != c.body {
			t.Errorf("%s: BODY %q: %v", c.mail, c.needle, got)
		}
		if got := MatchText(raw, blob, needle, true); got != c.text {
			t.Errorf("%s: TEXT %q: %v", c.mail, c.needle, got)
		}
		if got := MatchText(raw, nil, needle, true); got != c.text {
			t.Errorf("%s: TEXT %q without a blob: %v", c.mail, c.needle, got)
		}
	}
}

// textMail is a mail of one text part.
func textMail(charset, encoding string, body []byte) []byte {
	head := fmt.Sprintf("Content-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n", charset, encoding)
	return append([]byte(head), body...)
}

func TestMatchCharsets(t *testing.T) {
	t.Parallel()
	var wide []byte
	for _, u := range utf16.Encode([]rune("Über\nden Wolken")) {
		wide = append(wide, byte(u>>8), byte(u))
	}
	b64 := func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }
	for _, c := range []struct {
		charset, encoding string
		body              []byte
		needle            string
		want              bool
	}{
		{"iso-8859-1", "8bit", []byte("\xdcber"), "über", true},
		{"ISO-8859-15", "8bit", []byte("5 \xa4"), "5 €", true},
		{"windows-1252", "8bit", []byte("\x80 5"), "€ 5", true},
		{"koi8-r", "8bit", []byte("\xf0\xf2\xe9\xf7\xe5\xf4"), "привет", true},
		{"utf-16be", "base64", b64(wide), "über den wolken", true},
		{"utf-7", "7bit", []byte("+ANw-ber 1 +- 1"), "über 1 + 1", true},
		{"iso-2022-jp", "7bit", []byte("\x1b$BF|K\\\x1b(B"), "日本", true},
		{"iso-2022-jp", "7bit", []byte("\x1b$BF|K\\\x1b(B"), "f|k\\", false},
		{"gb2312", "8bit", []byte("\xd6\xd0\xce\xc4"), "中文", true},
		{"hz-gb-2312", "7bit", []byte("~{VPND~}"), "中文", true},
		{"big5", "8bit", []byte("\xa4\xa4\xa4\xe5"), "中文", true},
		{"utf-8", "8bit", []byte("bad \xff utf-8 Ä"), "utf-8 ä", true},
		{"us-ascii", "8bit", []byte("Gr\xfc\xdfe"), "grüße", true},
		{"us-ascii", "8bit", []byte("Gr\xc3\xbc\xc3\x9fe"), "grüße", true},
		{"no-such-charset", "8bit", []byte("Gr\xfc\xdfe"), "grüße", true},
		{"cp850", "8bit", []byte("Gr\x81\xe1e"), "grüße", true},
		{"utf-8", "x-unknown", []byte("as it =73tands"), "it =73tands", true},
		{"utf-8", "8bit", []byte("Kelvin \xe2\x84\xaa"), "kelvin k", true},
		{"utf-8", "7bit", []byte("A  B\r\n\r\nC"), "a b c", true},
		{"utf-8", "7bit", []byte("AaAaAb"), "aaab", true},
		{"utf-8", "7bit", []byte("x\tstart"), " start", true},
	} {
		raw := textMail(c.charset, c.encoding, c.body)
		if got := MatchText(raw, Index(raw).Structure, Fold(c.needle), false); got != c.want {
			t.Errorf("%s %s %q: %q is %v", c.charset, c.encoding, c.body, c.needle, got)
		}
	}
}

// TestMatchLong finds a needle at every place of a text of several chunks, by
// every way of decoding.
func TestMatchLong(t *testing.T) {
	t.Parallel()
	const needle = "the needle in here"
	line := strings.Repeat("Schöne hay, ", 6) + "\r\n"
	text := strings.Repeat(line, 2*searchChunk/len(line)+2)
	for at := searchChunk - 400; at < searchChunk+400; at += 13 {
		for text[at]&0xc0 == 0x80 {
			at++
		}
		body := text[:at] + "The  NEEDLE\r\nin here" + text[at:]
		for encoding, body := range map[string]string{
			"8bit":   body,
			"base64": base64.StdEncoding.EncodeToString([]byte(body)),
		} {
			raw := textMail("utf-8", encoding, []byte(body))
			blob := Index(raw).Structure
			if !MatchText(raw, blob, needle, false) {
				t.Errorf("%s at %d: not found", encoding, at)
			}
			if MatchText(raw, blob, needle+"!", false) {
				t.Errorf("%s at %d: found what is not there", encoding, at)
			}
		}
	}
}

// TestMatchModel holds the fast way of searching against the plain one.
func TestMatchModel(t *testing.T) {
	t.Parallel()
	texts := []string{"", "a", "aab", "Aa \r\n aB b", "ab ab  ab\tabc", strings.Repeat("a", 200) + "b", " leading", "trailing "}
	needles := []string{"a", "ab", "aab", "a b", "ab a", "b ", " b", " ", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "c", "abc", "g "}
	for _, text := range texts {
		for _, needle := range needles {
			raw := textMail("utf-8", "7bit", []byte(text))
			want := strings.Contains(Fold(text), needle)
			if got := MatchText(raw, Index(raw).Structure, needle, false); got != want {
				t.Errorf("%q in %q: %v", needle, text, got)
			}
		}
	}
}

func TestMatchHeader(t *testing.T) {
	t.Parallel()
	header := []byte("Received: one\r\nReceived: two\r\n words\r\nSubject: =?iso-8859-1?q?Gr=FC=DFe?=\r\nX-Empty:\r\n\r\nX-Body: 1\r\n")
	for _, c := range []struct {
		name, needle string
		want         bool
	}{
		{"received", "two words", true},
		{"RECEIVED", "ONE", true},
		{"Received", "three", false},
		{"Subject", "grüße", true},
		{"Subject", "=?iso-8859-1", true},
		{"X-Empty", "", true},
		{"X-Empty", "x", false},
		{"X-Body", "", false},
		{"To", "", false},
	} {
		if got := MatchHeader(header, c.name, Fold(c.needle)); got != c.want {
			t.Errorf("%s %q: %v", c.name, c.needle, got)
		}
	}
}

func TestSearchForms(t *testing.T) {
	t.Parallel()
	x := Index(crlf(`From: =?utf-8?q?J=C3=B6rg?= "M." <Sender07@Example.TEST>, root
To: "=?utf-8?b?w4Q=?=" <a@b>, Team: x@y, Z <z@y>;, last@y
Cc: Nobody Here
Subject: =?utf-8?q?Zwei?=
 =?utf-8?q?_W=C3=B6rter?=	und   mehr
Message-ID:
 <Folded@Id>

`))
	for _, c := range []struct{ got, want string }{
		{x.From, "jörg m. <sender07@example.test>, <root>"},
		{x.To, "ä <a@b>, team: <x@y>, z <z@y>;, <last@y>"},
		{x.Cc, "nobody here"},
		{x.Bcc, ""},
		{x.Subject, "zwei wörter und mehr"},
		{x.MessageID, "<Folded@Id>"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if !bytes.Contains(x.Envelope, []byte("=?utf-8?q?J=C3=B6rg?= M.")) {
		t.Errorf("the envelope was decoded: %s", x.Envelope)
	}
}
