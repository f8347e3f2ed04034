package message

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
)

// crlf makes a mail of text.
func crlf(text string) []byte { return []byte(strings.ReplaceAll(text, "\n", "\r\n")) }

// addressesOf renders the addresses of one To header.
func addressesOf(t *testing.T, to string) string {
	t.Helper()
	env := string(AppendEnvelope(nil, Index(crlf("To: "+to+"\n\n")).Envelope, true))
	env = strings.TrimPrefix(env, "(NIL NIL NIL NIL NIL ")
	return strings.TrimSuffix(env, " NIL NIL NIL NIL)")
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"", "NIL"},
		{" , ,", "NIL"},
		{"a@b", `((NIL NIL "a" "b"))`},
		{"A <a@b>", `(("A" NIL "a" "b"))`},
		{`"A \"B\" \\C" <a@b>`, `(("A \"B\" \\C" NIL "a" "b"))`},
		{`"A" B "C D"<a@b>`, `(("A B C D" NIL "a" "b"))`},
		{"A\n\tB\n <a@b>", `(("A B" NIL "a" "b"))`},
		{"J. R. R. T <a@b>", `(("J. R. R. T" NIL "a" "b"))`},
		{"a@b (A (nested \\) x))", `(("A (nested ) x)" NIL "a" "b"))`},
		{"(c) a . (c) b @ (c) c . d (D)", `(("D" NIL "a.b" "c.d"))`},
		{"<a@b> (A)", `(("A" NIL "a" "b"))`},
		{`"a b"@c, "a\"b"@c`, `((NIL NIL "a b" "c")(NIL NIL "a\"b" "c"))`},
		{"<@x,@y:a@b>", `((NIL "@x,@y" "a" "b"))`},
		{"G:;", `((NIL NIL "G" NIL)(NIL NIL NIL NIL))`},
		{`"G; H": a@b, C <c@d>; e@f`, `((NIL NIL "G; H" NIL)(NIL NIL "a" "b")("C" NIL "c" "d")(NIL NIL NIL NIL)(NIL NIL "e" "f"))`},
		{"G: a@b", `((NIL NIL "G" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL))`},
		{"G:a@b;,H:;", `((NIL NIL "G" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL)(NIL NIL "H" NIL)(NIL NIL NIL NIL))`},
		{"root", `((NIL NIL "root" ""))`},
		{"<root>", `((NIL NIL "root" ""))`},
		{"<>", `((NIL NIL "" ""))`},
		{"A <>", `(("A" NIL "" ""))`},
		{"Anna Example", `(("Anna Example" NIL "" ""))`},
		{"Anna a@b", `(("Anna" NIL "a" "b"))`},
		{"a@b; c@d", `((NIL NIL "a" "b")(NIL NIL "c" "d"))`},
		{"A <a@b> B <c@d>", `(("A" NIL "a" "b")("B" NIL "c" "d"))`},
		{"<a@b> junk, c@d", `((NIL NIL "a" "b")(NIL NIL "c" "d"))`},
		{"=?utf-8?q?A=2C_B?= <a@b>", `(("=?utf-8?q?A=2C_B?=" NIL "a" "b"))`},
		{"=?utf-8?q?A,_<B>?= <a@b>", `((NIL NIL "=?utf-8?q?A" "")("_" NIL "B" "")("?=" NIL "a" "b"))`},
		{"a@[192.0.2.1]", `((NIL NIL "a" "[192.0.2.1]"))`},
		{"a@[192.0.2.1", `((NIL NIL "a" "[192.0.2.1"))`},
		{"a@", `((NIL NIL "a" ""))`},
		{"@b", `((NIL NIL "" "b"))`},
		{"<@b>", `((NIL NIL "" "b"))`},
		{"<a@b", `((NIL NIL "a" "b"))`},
		{"Jürgen <j@b>", `(("Jürgen" NIL "j" "b"))`},
		{`""`, "NIL"},
		{`"" <a@b>`, `((NIL NIL "a" "b"))`},
		{"(only a comment)", "NIL"},
	} {
		if got := addressesOf(t, c.in); got != c.want {
			t.Errorf("%q:\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"Mon, 2 Feb 2026 10:00:00 +0100", "2026-02-02T10:00:00+01:00"},
		{"Mon, 2 Feb 2026 10:00:00 +0100 (CET)", "2026-02-02T10:00:00+01:00"},
		{"2 Feb 2026 10:00 -0330", "2026-02-02T10:00:00-03:30"},
		{"Mon,\n  02\tFeb 2026\n 10:00:00\n GMT", "2026-02-02T10:00:00Z"},
		{"Fri, 21 Nov 97 09:55:06 EST", "1997-11-21T09:55:06-05:00"},
		{"21 Nov 03 09:55 Z", "2003-11-21T09:55:00Z"},
		{"21 Nov 101 09:55:06 PDT", "2001-11-21T09:55:06-07:00"},
		{"Mon Feb  2 10:00:00 2026", "2026-02-02T10:00:00Z"},
		{"Mon Feb  2 10:00:00 +0100 2026", "2026-02-02T10:00:00+01:00"},
		{"2-Feb-2026 10:00:00 +0100", "2026-02-02T10:00:00+01:00"},
		{"Mon(comment), 2(x)Feb 2026 10:00:00+0100", "2026-02-02T10:00:00+01:00"},
		{"Monday, 2 February 2026 10:00:00-0100", "2026-02-02T10:00:00-01:00"},
		{"2 Feb 2026", "2026-02-02T00:00:00Z"},
		{"2 Feb 2026 10:00:00 +99999", "2026-02-02T10:00:00Z"},
		{"", ""},
		{"yesterday", ""},
		{"32 Feb 2026 10:00:00 +0000", ""},
		{"2 Feb 2026 25:00:00 +0000", ""},
		{"2 Feb 2026 10:xx:00 +0000", ""},
		{"2 Feb 99999999999999999999 10:00:00 +0000", ""},
		{"Feb 2026 10:00:00", ""},
	} {
		x := Index(crlf("Date: " + c.in + "\n\n"))
		d, ok := EnvelopeDate(x.Envelope)
		got, sent := "", int64(0)
		if ok {
			got, sent = d.Format(time.RFC3339), d.Unix()
		}
		if got != c.want || x.Sent != sent {
			t.Errorf("%q: got %q, sent %d; want %q", c.in, got, x.Sent, c.want)
		}
	}
	if _, ok := EnvelopeDate(Index(nil).Envelope); ok {
		t.Error("a mail without Date has one")
	}
}

func TestSections(t *testing.T) {
	t.Parallel()
	raw := mails(t)["testdata/attached"]
	root, err := ParseStructure(Index(raw).Structure)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path  []int
		s     Section
		start string
		end   string
	}{
		{nil, SectionBody, "From: a@", "--0--\r\n"},
		{nil, SectionHeader, "From: a@", "boundary=\"0\"\r\n\r\n"},
		{nil, SectionText, "--0\r\n", "--0--\r\n"},
		{[]int{1}, SectionBody, "See below.", "See below."},
		{[]int{1}, SectionMIME, "\r\n", "\r\n"},
		{[]int{2}, SectionBody, "From: \"C", "--1--"},
		{[]int{2}, SectionMIME, "Content-Type: message", "attachment\r\n\r\n"},
		{[]int{2}, SectionHeader, "From: \"C", "boundary=\"1\"\r\n\r\n"},
		{[]int{2}, SectionText, "--1\r\n", "--1--"},
		{[]int{2, 1}, SectionBody, "Caf=E9", "Caf=E9"},
		{[]int{2, 2}, SectionMIME, "Content-Type: app", "data.bin\r\n\r\n"},
		{[]int{3, 1}, SectionBody, "one line", "no end"},
		{[]int{3, 1}, SectionMIME, "Subject: plain one", "test\r\n\r\n"},
	} {
		start, end, ok := root.Section(c.path, c.s)
		if !ok {
			t.Errorf("%v %d: not found", c.path, c.s)
			continue
		}
		got := string(raw[start:end])
		if !strings.HasPrefix(got, c.start) || !strings.HasSuffix(got, c.end) {
			t.Errorf("%v %d: %q", c.path, c.s, got)
		}
	}
	for _, c := range []struct {
		path []int
		s    Section
	}{
		{nil, SectionMIME}, {[]int{1}, SectionHeader}, {[]int{1}, SectionText}, {[]int{0}, SectionBody},
		{[]int{4}, SectionBody}, {[]int{-1}, SectionBody}, {[]int{1, 1}, SectionBody}, {[]int{2, 3}, SectionBody},
		{[]int{3, 2}, SectionBody}, {[]int{3, 1, 1}, SectionBody}, {[]int{2, 1}, SectionHeader},
	} {
		if start, end, ok := root.Section(c.path, c.s); ok {
			t.Errorf("%v %d: found at %d to %d", c.path, c.s, start, end)
		}
	}
}

func TestHeaderFields(t *testing.T) {
	t.Parallel()
	header := crlf("From a@b today\nSubject: one\n folded\nX-A : 1\nsubject: two\nno field\nX-B: 2\n\nBody: 3\n")
	names := func(s ...string) (b [][]byte) {
		for _, n := range s {
			b = append(b, []byte(n))
		}
		return b
	}
	for _, c := range []struct {
		names [][]byte
		not   bool
		want  string
	}{
		{names("SUBJECT"), false, "Subject: one\n folded\nsubject: two\n\n"},
		{names("x-a", "X-B"), false, "X-A : 1\nX-B: 2\n\n"},
		{names("subject", "x-b"), true, "From a@b today\nX-A : 1\nno field\n\n"},
		{names("To"), false, "\n"},
		{names("Body"), false, "\n"},
		{names(), true, "From a@b today\nSubject: one\n folded\nX-A : 1\nsubject: two\nno field\nX-B: 2\n\n"},
	} {
		if got := HeaderFields(header, c.names, c.not); string(got) != string(crlf(c.want)) {
			t.Errorf("%q %v: %q", c.names, c.not, got)
		}
	}
	if got := HeaderFields([]byte("A: 1"), names("a"), false); string(got) != "A: 1\r\n\r\n" {
		t.Errorf("without a line end: %q", got)
	}
	if n := CountField(header, "SubJect"); n != 2 {
		t.Errorf("%d subjects", n)
	}
	if n := CountField(header, "body"); n != 0 {
		t.Error("the body was counted")
	}
	for _, c := range []struct{ in, want string }{
		{"Subject: plain  \n", "plain"},
		{"Subject:\n", ""},
		{"Subject: =?utf-8?q?Gr=C3=BC?=\n =?UTF-8?B?w59l?= an =?x-none?q?a=3F?=\n", "Grüße an a?"},
		{"Subject: =?utf-8?b?w7w=?= =?iso-8859-1*de?q?=fc?=\n", "üü"},
		{"Subject: =?utf-8?q?=C3?= =?utf-8?q?=BC_cut?=\n", "ü cut"},
		{"Subject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=\n", "日本"},
		{"Subject: =?utf-7?q?+AOQ-?= +AOQ-\n", "ä +AOQ-"},
		{"Subject: =?utf-8?x?abc?= =?broken =?utf-8?q?ok?=\n", "=?utf-8?x?abc?= =?broken ok"},
		{"Subject: Gr\xfc\xdfe\n", "Grüße"},
		{"Subject: =?utf-8?q?=FF=FE?=\n", "\uFFFD"},
	} {
		if got, ok := Field(crlf(c.in), "subject"); !ok || got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
	if _, ok := Field(header, "To"); ok {
		t.Error("found a To that is not there")
	}
}

func TestSplitHeader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ header, body string }{
		{"A: 1\r\n\r\n", "x\r\n\r\n"}, {"A: 1\n\n", "x"}, {"\r\n", "x"}, {"A: 1\r\n", ""}, {"", ""},
		{"A: 1\r\n \r\nB: 2\r\n\r\n", ""}, {"A: 1\r\n\n", "x"},
	} {
		header, body := SplitHeader([]byte(c.header + c.body))
		if string(header) != c.header || string(body) != c.body {
			t.Errorf("%q %q: %q %q", c.header, c.body, header, body)
		}
	}
}

func TestDecodeTransfer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ encoding, in, want string }{
		{"", "a\x00b", "a\x00b"},
		{"7BIT", "=41", "=41"},
		{"Base64", "aGVsbG8=", "hello"},
		{"base64", "aGVs\r\nbG8=\r\n", "hello"},
		{"base64", "a G-V!s\tbG8", "hello"},
		{"base64", "aGVsbG8=aGVsbG8=", "hellohello"},
		{"base64", "aGVsbA==", "hell"},
		{"base64", "a", ""},
		{"base64", "====", ""},
		{"quoted-printable", "a=3Db=\r\nc =20 \t\r\nd=\ne= \r\nf", "a=bc  \r\ndef"},
		{"Quoted-Printable", "=e4=E4=zz=4", "\xe4\xe4=zz=4"},
		{"quoted-printable", "x=", "x"},
		{"quoted-printable", "line\nline\r\n", "line\nline\r\n"},
	} {
		got, err := DecodeTransfer([]byte(">"), []byte(c.in), c.encoding)
		if err != nil || string(got) != ">"+c.want {
			t.Errorf("%s %q: %q, %v", c.encoding, c.in, got, err)
		}
	}
	got, err := DecodeTransfer([]byte(">"), []byte("x"), "x-uuencode")
	if !errors.Is(err, ErrEncoding) || string(got) != ">" {
		t.Errorf("x-uuencode: %q, %v", got, err)
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"", ""}, {"ABC xyz", "abc xyz"}, {" a \t\r\n b ", " a b "}, {"ÄÖÜ ß", "äöü ß"},
		{"ΣΊΣΥΦΟΣ", "σίσυφοσ"}, {"ς", "σ"}, {"\u212a\u017f", "ks"}, {"a\u00a0\u2003b", "a b"},
		{"a\x00b", "a b"}, {"\xff", "\uFFFD"}, {"ПРИВЕТ", "привет"},
	} {
		if got := Fold(c.in); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		once := Fold(string(r))
		if Fold(once) != once {
			t.Errorf("%U folds to %q and on", r, once)
		}
		if upper := string(unicode.ToUpper(r)); Fold(upper) != once {
			t.Errorf("%U and its upper case differ", r)
		}
	}
}

func TestReadsOtherVersions(t *testing.T) {
	t.Parallel()
	for _, blob := range [][]byte{nil, {1}, {2, 0, 0}, {1, 9}, []byte("\x01\x04\x00\x00\x00\x05")} {
		if got := string(AppendBodyStructure([]byte("> "), blob, true, false)); got != "> "+emptyBody+" NIL NIL NIL NIL)" {
			t.Errorf("structure of %q: %s", blob, got)
		}
		if _, err := ParseStructure(blob); !errors.Is(err, ErrStructure) {
			t.Errorf("parse %q: %v", blob, err)
		}
	}
	if got := string(AppendEnvelope(nil, []byte{7, 'x'}, false)); got != emptyEnvelope {
		t.Errorf("envelope: %s", got)
	}
}

// TestKeepsNothing holds that an Index does not change with the memory of raw.
func TestKeepsNothing(t *testing.T) {
	t.Parallel()
	for name, raw := range mails(t) {
		copied := bytes.Clone(raw)
		x := Index(copied)
		want := fmt.Sprintf("%v", x)
		for i := range copied {
			copied[i] = 'X'
		}
		if got := fmt.Sprintf("%v", x); got != want {
			t.Errorf("%s changed", name)
		}
		if !bytes.Equal(Index(raw).Structure, x.Structure) {
			t.Errorf("%s is not always the same", name)
		}
	}
}
