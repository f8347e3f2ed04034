package esmtp

import (
	"testing"

	"hauspost/appliance/envelope"
)

func TestCutPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, path, rest string
		ok             bool
	}{
		{"<>", "", "", true},
		{"<a@b> SIZE=1", "a@b", " SIZE=1", true},
		{`<"a>b"@c> X`, `"a>b"@c`, " X", true},
		{`<"a\">b"@c>`, `"a\">b"@c`, "", true},
		{`<"a b"@c>`, `"a b"@c`, "", true},
		{"<a b@c>", "", "", false},
		{"<<a@b>>", "", "", false},
		{"<a@b", "", "", false},
		{`<"a@b>`, "", "", false},
		{`<"a\`, "", "", false},
		{"a@b", "", "", false},
		{"", "", "", false},
	} {
		path, rest, ok := cutPath(c.in)
		if ok != c.ok || ok && (path != c.path || rest != c.rest) {
			t.Errorf("cutPath(%q) = %q, %q, %v", c.in, path, rest, ok)
		}
	}
}

func TestParsePath(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a@b.test":                         "a@b.test",
		"@x.test:a@b.test":                 "a@b.test",
		"@x.test,@y.test:a@b.test":         "a@b.test",
		`@x.test:"a:b"@b.test`:             `"a:b"@b.test`,
		`"@x.test:a"@b.test`:               `"@x.test:a"@b.test`,
		"@x.test:":                         "",
		"@x.test":                          "",
		"@x.test,y.test:a@b.test":          "",
		"@x..test:a@b.test":                "",
		"@[1.2.3.4]:a@b.test":              "",
		"@x.test:@y.test:a@b.test":         "",
		"a@b.test:25":                      "",
		"\"a\u0085\"@b.test":               "",
		"a\u2028b@b.test":                  "",
		"a\u202emoc.b@b.test":              "",
		"\u2066a\u2069@b.test":             "",
		"a@b.test\x00":                     "",
		"\xff@b.test":                      "",
		"ä@b.test":                         "ä@b.test",
		"a@ü.test":                         "a@xn--tda.test",
		"a@[192.0.2.1]":                    "a@[192.0.2.1]",
		"a@[IPv6:2001:DB8::1]":             "a@[IPv6:2001:db8::1]",
		"@a.test,@b.test,@c.test:x@y.test": "x@y.test",
	} {
		a, ok := parsePath(in)
		if ok != (want != "") || a.String() != want {
			t.Errorf("parsePath(%q) = %q, %v, want %q", in, a, ok, want)
		}
	}
}

func TestXtext(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"": true, "abc": true, "a+2Bb": true, "a+3D": true, "+20": true,
		"+": false, "+2": false, "+2b": false, "a=b": false, "a b": false, "ä": false,
		"+0A": false, "+0D": false, "+1F": false, "+7F": false, "+7E": true, "+FF": true,
	} {
		if isXtext(s) != want {
			t.Errorf("isXtext(%q) = %v", s, !want)
		}
	}
}

func TestOrcpt(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"rfc822;a@b.test": true, "rfc822;a+0D": false, "x;": false, ";a": false, "a@b.test": false,
		"utf-8;jürgen@b.test": true, `utf-8;j\x{FC}rgen@b.test`: true, `UTF-8;a\x{2B}b@b.test`: true, `utf-8;\x{1F600}@b.test`: true,
		`utf-8;a\x{0D}\x{0A}X:y`: false, `utf-8;a\x{A}`: false, `utf-8;a\x{00000a}`: false, `utf-8;a\x{7F}`: false, `utf-8;a\x{85}`: false,
		`utf-8;a\x{2028}`: false, `utf-8;a\x{D800}`: false, `utf-8;a\x{110000}`: false, `utf-8;a\x{FFFFFFFF}`: false,
		"utf-8;a+0Ab": false, "utf-8;a+2Bb": true, "utf-8;a b": false, "utf-8;a\u0085": false,
	} {
		if isOrcpt(s) != want {
			t.Errorf("isOrcpt(%q) = %v", s, !want)
		}
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	if got := printable("a\r\nb\x1b\u0085ü\xff"); got != "a??b??ü?" {
		t.Errorf("got %q", got)
	}
	if got := printable(string(make([]byte, 1000))); len(got) != 256 {
		t.Errorf("%d octets", len(got))
	}
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"a@b", "@x:a@b", `"a\"b"@c`, "<", `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := parsePath(s)
		if !ok {
			return
		}
		b, ok := parsePath(a.String())
		if !ok || a != b {
			t.Errorf("%q became %q, which became %q, %v", s, a, b, ok)
		}
		if hasControl(a.String()) {
			t.Errorf("%q has a control character", a)
		}
	})
}

// TestParamsOffered: a parameter is known where its extension is there.
func TestParamsOffered(t *testing.T) {
	t.Parallel()
	all, none := offered{auth: true, dsn: true, tls: true}, offered{}
	for _, s := range []string{"AUTH=<>", "RET=FULL", "ENVID=x", "REQUIRETLS"} {
		var m Mail
		if r := mailParams(s, &m, all); r != nil {
			t.Errorf("%s: %v", s, r)
		}
		if r := mailParams(s, &m, none); r != errUnknownParam {
			t.Errorf("%s where it is not offered: %v", s, r)
		}
	}
	for _, s := range []string{"NOTIFY=NEVER", "ORCPT=rfc822;x"} {
		var rcpt envelope.Recipient
		if r := rcptParams(s, &rcpt, true); r != nil {
			t.Errorf("%s: %v", s, r)
		}
		if r := rcptParams(s, &rcpt, false); r != errUnknownParam {
			t.Errorf("%s where it is not offered: %v", s, r)
		}
	}
}
