package sdk

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseHeader(t *testing.T) {
	t.Parallel()
	h := ParseHeader([]byte("From anna Mon Jan 1\r\nSubject: one\r\n two\r\n\tthree \r\nReceived:a\nreceived : b\r\n: nameless\r\nX:\r\n \r\nno field\r\nLast: 1\r\n\r\nBody: x\r\n"))
	want := []Field{{"Subject", "one two\tthree"}, {"Received", "a"}, {"received", "b"}, {"X", ""}, {"Last", "1"}}
	if !reflect.DeepEqual(h.Fields(), want) {
		t.Errorf("%q", h.Fields())
	}
	if h.Get("RECEIVED") != "a" || !reflect.DeepEqual(h.Values("Received"), []string{"a", "b"}) || h.Get("Body") != "" {
		t.Errorf("%q", h.Fields())
	}
	if !h.Has("x") || h.Has("body") {
		t.Error("Has")
	}
	if len(ParseHeader(nil).Fields()) != 0 || ParseHeader([]byte("A: b")).Get("a") != "b" {
		t.Error("a header without an end")
	}
}

func TestDecodeWords(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                                "plain",
		"":                                     "",
		"gr\xfcn":                              "gr\ufffdn",
		"=?utf-8?q?Gr=C3=BC=C3=9Fe?=":          "Grüße",
		"=?UTF-8?B?R3LDvMOfZQ==?= an alle":     "Grüße an alle",
		"=?utf-8?B?R3LDvMOfZQ?=":               "Grüße",
		"=?utf-8?q?a?= =?utf-8?q?b?=":          "ab",
		"=?utf-8?q?a?=\t =?iso-8859-1?q?=E9?=": "aé",
		"=?utf-8?q?a?= b =?utf-8?q?c?=":        "a b c",
		"=?utf-8?q?a_b?=":                      "a b",
		"=?utf-8?q?=C3?= =?utf-8?q?=BC?=":      "ü",
		"=?iso-8859-15?q?=A4_=BD?=":            "€ œ",
		"=?windows-1252?q?=80=81?=":            "€\ufffd",
		"=?iso-8859-1*de?q?=E4?=":              "ä",
		"=?us-ascii?q?=FF?=":                   "\ufffd",
		"x=?utf-8?q?y?=z":                      "xyz",
		"=?koi8-r?q?=C1?=":                     "=?koi8-r?q?=C1?=",
		"=?utf-8?x?a?=":                        "=?utf-8?x?a?=",
		"=?utf-8?q?=4?=":                       "=?utf-8?q?=4?=",
		"=?utf-8?q?=GG?=":                      "=?utf-8?q?=GG?=",
		"=?utf-8?b?***?=":                      "=?utf-8?b?***?=",
		"=?utf-8?q?open":                       "=?utf-8?q?open",
		"=?":                                   "=?",
		"=?=?utf-8?q?a?=":                      "=?a",
	} {
		if got := DecodeWords(in); got != want {
			t.Errorf("%q: %q instead of %q", in, got, want)
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?b?IQ==?=\r\n more\r\n\r\n")
	f.Add("=?iso-8859-15?q?=A4?= =?x\n:\n a\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, field := range ParseHeader([]byte(s)).Fields() {
			if field.Name == "" || len(field.Value) > len(s) {
				t.Fatalf("%q: %+v", s, field)
			}
			if text := DecodeWords(field.Value); !utf8.ValidString(text) || len(text) > 3*len(s) {
				t.Fatalf("%q became %q", field.Value, text)
			}
		}
	})
}

// TestHostileHeadersAreLinear holds that a header of the largest size is read in
// the time that its length takes: quadratic reading takes minutes for this.
func TestHostileHeadersAreLinear(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	folded := "Subject: x\r\n" + strings.Repeat(" \r\n", size/3)
	if f := ParseHeader([]byte(folded)).Fields(); len(f) != 1 || f[0].Value != "x" {
		t.Errorf("%d fields", len(f))
	}
	for _, begun := range []string{"=?u?q?x ", "=?", "=?utf-8?q?", "=?utf-8?q?x?"} {
		if got := DecodeWords(strings.Repeat(begun, size/len(begun))); len(got) < size/4 {
			t.Errorf("%q gives %d octets", begun, len(got))
		}
	}
}
