package relay

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hauspost/appliance/envelope"
	"hauspost/appliance/transfer"
)

// TestDots compares the bulk copy with the rule, over any blocks.
func TestDots(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOf(rapid.SampledFrom([]string{"", ".", "..", "x", ".x", "x.", "x.y"})).Draw(t, "lines")
		open := rapid.Bool().Draw(t, "open")
		text, want := "", ""
		for i, l := range lines {
			end := "\r\n"
			if open && i == len(lines)-1 {
				end = ""
			}
			text += l + end
			if strings.HasPrefix(l, ".") {
				want += "."
			}
			want += l + end
		}
		if text != "" && !strings.HasSuffix(text, "\r\n") {
			want += "\r\n"
		}
		want += ".\r\n"
		var b bytes.Buffer
		d := &dotWriter{w: &b}
		rest := text
		var check lineEnds
		for rest != "" {
			n := rapid.IntRange(1, len(rest)).Draw(t, "block")
			if !check.good([]byte(rest[:n])) {
				t.Fatalf("good line ends are refused in %q", text)
			}
			if err := d.write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := d.end(); err != nil || b.String() != want || check.open {
			t.Fatalf("%q became %q, want %q (%v)", text, b.String(), want, err)
		}
	})
}

// TestLineEnds compares the counting of octets with looking at each.
func TestLineEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"\r", "\n", "\r\n", "x", "."})).Draw(t, "text"), "")
		want := true
		for i := range len(text) {
			switch text[i] {
			case '\r':
				want = want && i+1 < len(text) && text[i+1] == '\n'
			case '\n':
				want = want && i > 0 && text[i-1] == '\r'
			}
		}
		got := true
		var l lineEnds
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "block")
			got = l.good([]byte(rest[:n])) && got
			rest = rest[n:]
		}
		if got = got && !l.open; got != want {
			t.Fatalf("%q: %v, want %v", text, got, want)
		}
	})
}

// TestHeaderIsASCII: the empty line is found wherever a block ends.
func TestHeaderIsASCII(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"a: b\r\n\r\nü": true, "a: ü\r\n\r\nx": false, "\r\nü": true, "a: b\r\n": true, "a: ü": false,
		"a: " + strings.Repeat("x", 2*blockSize) + "\r\n\r\nü":    true,
		"a: " + strings.Repeat("x", 2*blockSize) + "ü\r\n\r\n":    false,
		"a: " + strings.Repeat("x", blockSize-6) + "\r\n\r\nü":    true,
		"a: " + strings.Repeat("x", blockSize-5) + "\r\n\r\nü":    true,
		"a: " + strings.Repeat("x", blockSize-4) + "\r\n\r\nü":    true,
		"a: " + strings.Repeat("x", blockSize-3) + "\r\n\r\nü":    true,
		"a: " + strings.Repeat("x", blockSize-4) + "\r\nb: ü\r\n": false,
	} {
		for _, small := range []bool{true, false} {
			a := &attempt{m: &transfer.Message{Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(header)), nil }}}
			if small {
				a.small = []byte(header)
			}
			if got, err := a.headerIsASCII(); err != nil || got != want {
				t.Errorf("%.20q (%d octets, small %v): %v, %v", header, len(header), small, got, err)
			}
		}
	}
}

// TestOrcpt holds the spellings of RFC 3461 and RFC 6533.
func TestOrcpt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		address, orcpt string
		utf8           bool
		want           string
	}{
		{"a@far.example", "", false, "rfc822;a@far.example"},
		{"a+b=c@far.example", "", false, "rfc822;a+2Bb+3Dc@far.example"},
		{`"a b"@far.example`, "", false, `rfc822;"a+20b"@far.example`},
		{"jürgen@far.example", "", true, `utf-8;j\x{FC}rgen@far.example`},
		{"a@far.example", "rfc822;x@y.example", false, "rfc822;x@y.example"},
		{"a@far.example", "utf-8;jürgen@y.example", true, "utf-8;jürgen@y.example"},
		{"a@far.example", "utf-8;jürgen@y.example", false, `utf-8;j\x{FC}rgen@y.example`},
		{"a@far.example", "rfc822;x y", false, ""},
		{"a@far.example", "rfc822;x\r\nRCPT TO:<z@z.example>", true, ""},
		{"a@far.example", "rfc822;x\u0085y", true, ""},
	} {
		r := envelope.Recipient{Address: envelope.MustAddress(c.address), ORcpt: c.orcpt}
		if got := orcpt(&r, c.utf8); got != c.want {
			t.Errorf("%s, %q: %q, want %q", c.address, c.orcpt, got, c.want)
		}
	}
}

// TestParameters: nothing that came from elsewhere breaks out of its line.
func TestParameters(t *testing.T) {
	t.Parallel()
	k := &conn{ext: extensions{dsn: true, size: true, eightBit: true}}
	a := &attempt{m: &transfer.Message{
		Sender: envelope.MustAddress(`"a b"@box.example`), Size: 7, Body: "8BITMIME\r\nX", Ret: "FULL NOTIFY=NEVER", EnvID: "x\r\nDATA",
	}}
	if got, want := a.mailCommand(k, false), `MAIL FROM:<"a b"@box.example> SIZE=7`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	r := envelope.Recipient{Address: envelope.MustAddress("a@far.example"), Notify: "NEVER\r\nDATA", ORcpt: strings.Repeat("x", 501)}
	if got, want := rcptCommand(k, &r, false), "RCPT TO:<a@far.example>"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	*a.m = transfer.Message{Body: "8BITMIME", Ret: "HDRS", EnvID: "id", RequireTLS: true}
	if got, want := a.mailCommand(k, true), "MAIL FROM:<> BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=id"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestParseEHLO(t *testing.T) {
	t.Parallel()
	rep := &reply{lines: []string{
		"250-mx.example PIPELINING", "250-size 1000", "250-Pipelining", "250-AUTH=LOGIN PLAIN", "250-AUTH XOAUTH2", "250-LIMITS RCPTMAX=5 MAILMAX=x FOO",
		"250-", "250 SIZEUP",
	}}
	e := parseEHLO(rep)
	if !e.pipelining || !e.size || e.maxSize != 1000 || strings.Join(e.auth, " ") != "LOGIN PLAIN XOAUTH2" || e.rcptMax != 5 || e.mailMax != 0 || e.chunking {
		t.Errorf("%+v", e)
	}
	if e := parseEHLO(&reply{lines: []string{"250 mx.example", "250 SIZE 99999999999999999999999"}}); !e.size || e.maxSize < 0 {
		t.Errorf("%+v", e)
	}
}
