package wire

import (
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzStrings writes a string and reads it again.
func FuzzStrings(f *testing.F) {
	for _, s := range []string{"", "a b", `"\`, "\r\n", "ä", "\xff", "{5+}", "NIL", strings.Repeat("x", 2000)} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, quoted bool) {
		if strings.IndexByte(s, 0) >= 0 {
			return
		}
		for _, text := range [][]byte{AppendString(nil, s, quoted), AppendAString(nil, s, quoted)} {
			p := NewParser(append(text, " end"...))
			got, err := p.AString()
			if err != nil || got != s || p.Space() != nil {
				t.Fatalf("%q became %q, then %q, %v", s, text, got, err)
			}
		}
	})
}

// FuzzNames writes a mailbox name in modified UTF-7 and reads it again; and no
// two spellings mean the same name.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"INBOX", "R&D", "Entwürfe", "&APw-", "&", "&-", "😀", "\x7f", "&AOQ-&AOQ-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if name, err := DecodeUTF7(s); err == nil && isASCII(s) {
			if again := EncodeUTF7(name); again != s && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Fatalf("%q and %q are both %q", s, again, name)
			}
		}
		if strings.ToValidUTF8(s, "") != s {
			return
		}
		if got, err := DecodeUTF7(EncodeUTF7(s)); err != nil || got != s {
			t.Fatalf("%q became %q, %v", s, got, err)
		}
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// FuzzReader reads the same octets in pieces of one and at once.
func FuzzReader(f *testing.F) {
	f.Add("a1 LOGIN {3+}\r\nabc {2}\r\nxy\r\na2 NOOP\r\n")
	f.Add("a\x00\r\n\r\r\n{99999999999999999999}\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		var one, all Reader
		one.Reset(iotest.OneByteReader(strings.NewReader(in)))
		all.Reset(strings.NewReader(in))
		for {
			a, errA := one.Line(nil, 1000)
			b, errB := all.Line(nil, 1000)
			if (errA == nil) != (errB == nil) || errA == nil && string(a) != string(b) {
				t.Fatalf("%q %v and %q %v", a, errA, b, errB)
			}
			if errA != nil {
				return
			}
			l, found := TrailingLiteral(a)
			if !found || l.Size > 1000 {
				continue
			}
			a, errA = one.Literal(nil, int(l.Size))
			b, errB = all.Literal(nil, int(l.Size))
			if (errA == nil) != (errB == nil) || string(a) != string(b) {
				t.Fatalf("%q %v and %q %v", a, errA, b, errB)
			}
		}
	})
}

// FuzzParser runs every reader of the grammar over anything: no panic, no
// reading backwards.
func FuzzParser(f *testing.F) {
	for _, s := range []string{`(a "b" {1}` + "\r\nc)", "1:*,5,$", `"01-Feb-2025 10:00:00 +0000"`, `\Seen`, "1-Feb-2025", "~{2+}\r\nab", "NIL", "a.b[", "BODY.PEEK["} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, read := range []func(p *Parser) error{
			func(p *Parser) error { _, err := p.AString(); return err },
			func(p *Parser) error { _, _, err := p.NString(); return err },
			func(p *Parser) error { _, err := p.Set(); return err },
			func(p *Parser) error { _, err := p.Date(); return err },
			func(p *Parser) error { _, err := p.DateTime(); return err },
			func(p *Parser) error { _, err := p.Flags(); return err },
			func(p *Parser) error { _, err := p.Pattern(); return err },
			func(p *Parser) error { _, err := p.Announced(); return err },
			func(p *Parser) error { _, err := p.Name(); return err },
			func(p *Parser) error { _, err := p.Tag(); return err },
			func(p *Parser) error { return p.List(func() error { _, err := p.AString(); return err }) },
		} {
			p := NewParser([]byte(in))
			if err := read(p); err == nil && p.Offset() > len(in) {
				t.Fatalf("read %d of %d octets", p.Offset(), len(in))
			}
			_ = p.End()
		}
		CompilePattern(in).Match("INBOX/a")
	})
}
