package wire

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"
)

func TestReaderLines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, in string
		limit    int
		want     string
		err      error
	}{
		{"crlf", "a1 NOOP\r\nrest", 100, "a1 NOOP", nil},
		{"bare lf", "a1 NOOP\nrest", 100, "a1 NOOP", nil},
		{"empty", "\r\n", 100, "", nil},
		{"at the limit", "12345\r\n", 5, "12345", nil},
		{"over the limit", "123456\r\n", 5, "", ErrLineTooLong},
		{"far over the limit", strings.Repeat("x", 100000), 5000, "", ErrLineTooLong},
		{"NUL", "a\x00b\r\n", 100, "", ErrLine},
		{"bare CR", "a\rb\r\n", 100, "", ErrLine},
		{"cut off", "a1 NO", 100, "", io.EOF},
		{"longer than a buffer", strings.Repeat("y", 9000) + "\r\n", 10000, strings.Repeat("y", 9000), nil},
	} {
		for _, src := range []io.Reader{strings.NewReader(test.in), iotest.OneByteReader(strings.NewReader(test.in))} {
			var r Reader
			r.Reset(src)
			got, err := r.Line(nil, test.limit)
			if !errors.Is(err, test.err) || err == nil && string(got) != test.want {
				t.Errorf("%s: %q, %v", test.name, got, err)
			}
		}
	}
}

// TestReaderHoldsNothing makes sure that a waiting reader has no buffer.
func TestReaderHoldsNothing(t *testing.T) {
	t.Parallel()
	var r Reader
	r.Reset(strings.NewReader("a1 NOOP\r\n"))
	if _, err := r.Line(nil, 100); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(); !errors.Is(err, io.EOF) || r.buf != nil {
		t.Errorf("%v, buffer %v", err, r.buf)
	}
}

func TestReaderLiteral(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("0123456789", 20000)
	var r Reader
	r.Reset(strings.NewReader("line\r\n" + big + "next\r\n"))
	if _, err := r.Line(nil, 100); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if w, err := r.Copy(&got, int64(len(big))); w != nil || err != nil || got.String() != big {
		t.Fatal(w, err, got.Len())
	}
	if line, err := r.Line(nil, 100); string(line) != "next" || err != nil {
		t.Errorf("%q %v", line, err)
	}
	// A writer that fails does not move the place in the stream.
	r.Reset(strings.NewReader(big + "next\r\n"))
	full := errors.New("full")
	if w, err := r.Copy(failing{full}, int64(len(big))); !errors.Is(w, full) || err != nil {
		t.Fatal(w, err)
	}
	if line, err := r.Line(nil, 100); string(line) != "next" || err != nil {
		t.Errorf("%q %v", line, err)
	}
	r.Reset(strings.NewReader("abc"))
	if _, err := r.Literal(nil, 4); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	r.Reset(strings.NewReader("abc"))
	if err := r.Discard(1 << 40); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestTrailingLiteral(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]Literal{
		"a APPEND x {310}":             {Size: 310},
		"a APPEND x {310+}":            {Size: 310, NonSync: true},
		"a APPEND x ~{0}":              {Binary: true},
		"{7+}":                         {Size: 7, NonSync: true},
		`a "never closed {5+}`:         {Size: 5, NonSync: true},
		"{99999999999999999999999999}": {Size: MaxLiteral},
		"{4611686018427387904+}":       {Size: MaxLiteral, NonSync: true},
	} {
		if got, found := TrailingLiteral([]byte(line)); !found || got != want {
			t.Errorf("%s: %+v, %v", line, got, found)
		}
	}
	for _, line := range []string{"", "}", "{}", "{+}", "{-1}", "{1 }", "{x}", "1}", "{1}x", "{1++}"} {
		if got, found := TrailingLiteral([]byte(line)); found {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

func TestParserStrings(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`atom`: "atom", `"a b"`: "a b", `"q\"\\x"`: `q"\x`, `""`: "", "{3}\r\na\r\n": "a\r\n", "{3+}\r\nabc": "abc",
		`a]b`: "a]b", `"ü"`: "ü",
	} {
		p := NewParser([]byte(in))
		if got, err := p.AString(); err != nil || got != want || p.End() != nil {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	for _, in := range []string{"", `"`, `"a`, `"a\`, `"a\b"`, "\"a\r\nb\"", "{5}\r\nabc", "{3}abc", "{3}", "{x}\r\n", "(", "{{3}\r\nabc", "\"\xff\"", "{3}\r\na\x00b"} {
		if got, err := NewParser([]byte(in)).AString(); err == nil {
			t.Errorf("%q: %q", in, got)
		}
	}
	if s, ok, err := NewParser([]byte("nil")).NString(); s != "" || ok || err != nil {
		t.Error(s, ok, err)
	}
	if _, _, err := NewParser([]byte("nill")).NString(); err == nil {
		t.Error("nill is no NIL")
	}
}

func TestParserNumbers(t *testing.T) {
	t.Parallel()
	if n, err := NewParser([]byte("9223372036854775807")).Number64(); n != 1<<63-1 || err != nil {
		t.Error(n, err)
	}
	for _, in := range []string{"9223372036854775808", "18446744073709551616", "99999999999999999999999", "", "-1"} {
		if n, err := NewParser([]byte(in)).Number64(); err == nil {
			t.Error(in, n)
		}
	}
	if _, err := NewParser([]byte("4294967296")).Number(); err == nil {
		t.Error("33 bits")
	}
}

func TestParserDepth(t *testing.T) {
	t.Parallel()
	p := NewParser([]byte(strings.Repeat("(", 1000)))
	var item func() error
	item = func() error { return p.List(item) }
	var syntax *SyntaxError
	if err := item(); !errors.As(err, &syntax) || p.Offset() > MaxDepth+1 {
		t.Error(err, p.Offset())
	}
}

func TestSets(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]Range{
		"1":                       {{1, 1}},
		"*":                       {{9, 9}},
		"2:*":                     {{2, 9}},
		"*:2":                     {{2, 9}},
		"12:*":                    {{9, 12}},
		"3,1,2":                   {{1, 3}},
		"1:3,2:5,8":               {{1, 5}, {8, 8}},
		"5:4":                     {{4, 5}},
		"*,*:*,1:*":               {{1, 9}},
		"4294967295":              {{4294967295, 4294967295}},
		"1:4294967295,4294967295": {{1, 4294967295}},
	} {
		s, err := NewParser([]byte(in)).Set()
		if err != nil {
			t.Error(in, err)
			continue
		}
		got := s.Resolve(9)
		if len(got) != len(want) {
			t.Errorf("%s: %v", in, got)
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: %v", in, got)
			}
		}
	}
	for _, in := range []string{"", "0", "1:", ":1", "1,", ",", "a", "4294967296", "-1", "1:0"} {
		if s, err := NewParser([]byte(in)).Set(); err == nil {
			t.Error(in, s)
		}
	}
	if got := string(AppendSet(nil, []uint32{1, 2, 3, 5, 7, 8})); got != "1:3,5,7:8" {
		t.Error(got)
	}
	if s, err := NewParser([]byte("$")).Set(); err != nil || !s.Saved {
		t.Error(s, err)
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", -(3*3600 + 1800))
	at := time.Date(2025, 2, 1, 9, 5, 7, 0, zone)
	text := string(AppendDateTime(nil, at))
	if text != `" 1-Feb-2025 09:05:07 -0330"` {
		t.Error(text)
	}
	p := NewParser([]byte(text))
	if got, err := p.DateTime(); err != nil || !got.Equal(at) || p.End() != nil {
		t.Error(got, err)
	}
	for _, in := range []string{`"01-Feb-2025 09:05:07"`, `"32-Jan-2025 09:05:07 +0000"`, `"1-Foo-2025 09:05:07 +0000"`,
		`"1-Feb-25 09:05:07 +0000"`, `"1-Feb-2025 25:05:07 +0000"`, `1-Feb-2025`, `"`, `""`, `"1-Feb-2025 09:05:07 +0000x`} {
		if got, err := NewParser([]byte(in)).DateTime(); err == nil {
			t.Error(in, got)
		}
	}
	if d, err := NewParser([]byte("1-jan-1970")).Date(); d != 0 || err != nil {
		t.Error(d, err)
	}
	if d, err := NewParser([]byte(`"31-Dec-1969"`)).Date(); d != -1 || err != nil {
		t.Error(d, err)
	}
	if _, err := NewParser([]byte("30-Feb-2025")).Date(); err == nil {
		t.Error("30 February")
	}
}

func TestUTF7(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"INBOX": "INBOX", "R&D": "R&-D", "Entwürfe": "Entw&APw-rfe", "~peter/mail/台北/日本語": "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
		"😀": "&2D3eAA-", "&&": "&-&-",
	} {
		if got := EncodeUTF7(name); got != text {
			t.Errorf("%s: %s", name, got)
		}
		if got, err := DecodeUTF7(text); err != nil || got != name {
			t.Errorf("%s: %s %v", text, got, err)
		}
	}
	for _, bad := range []string{"&", "&AA", "&bogus", "&AOQ", "&AGE-", "&2D0-", "&3gA-", "&AOR-", "&AOQ-&AOQ-", "&!!-", "\xff", "&A-", "R&D"} {
		if got, err := DecodeUTF7(bad); err == nil {
			t.Errorf("%s: %q", bad, got)
		}
	}
}

// TestPattern compares Match with a regular expression.
func TestPattern(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab/*%]{0,70}`).Draw(t, "pattern")
		name := rapid.StringMatching(`[ab/]{0,70}`).Draw(t, "name")
		var re strings.Builder
		re.WriteString(`\A`)
		for _, c := range pattern {
			switch c {
			case '*':
				re.WriteString(`(?s:.*)`)
			case '%':
				re.WriteString(`[^/]*`)
			default:
				re.WriteRune(c)
			}
		}
		re.WriteString(`\z`)
		p := CompilePattern(pattern)
		for range 2 {
			if got, want := p.Match(name), regexp.MustCompile(re.String()).MatchString(name); got != want {
				t.Fatalf("%q on %q: %v", pattern, name, got)
			}
		}
	})
}

func TestPatternInbox(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"inbox", "INBOX", true}, {"iNb%", "INBOX", true}, {"inbox/%", "INBOX/a", true}, {"INBOX/A", "INBOX/a", false},
		{"inboxes", "INBOXES", false}, {"*", "ä/ö", true}, {"%", "ä/ö", false}, {"", "", true},
		{strings.Repeat("*a", 2000) + "b", strings.Repeat("a", 1000), false},
		{strings.Repeat("a", 64), strings.Repeat("a", 64), true},
		{strings.Repeat("a", 63) + "*", strings.Repeat("a", 64), true},
		{strings.Repeat("a", MaxPattern+1), strings.Repeat("a", MaxPattern+1), false},
	} {
		if got := CompilePattern(test.pattern).Match(test.name); got != test.want {
			t.Errorf("%.20q on %.20q: %v", test.pattern, test.name, got)
		}
	}
}

func TestWriter(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := Writer{Dst: &out}
	w.Grab()
	w.B = append(w.B, "* OK first"...)
	w.End()
	w.B = append(w.B, "* half a resp"...)
	if !w.Drop() {
		t.Error("nothing of it was sent")
	}
	w.B = append(w.B, "* OK second"...)
	w.End()
	w.B = append(w.B, "* long "...)
	w.Write(make([]byte, flushAt))
	if w.Drop() {
		t.Error("its beginning was sent")
	}
	w.End()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	w.Release()
	if w.B != nil || !strings.HasPrefix(out.String(), "* OK first\r\n* OK second\r\n* long ") {
		t.Errorf("%.60q", out.String())
	}
	w.Dst = failing{io.ErrClosedPipe}
	w.Grab()
	w.B = append(w.B, "x"...)
	w.End()
	for range 2 {
		if w.Flush() == nil || w.Err() == nil {
			t.Error("a failed writer stays failed")
		}
	}
}

func TestAppendStrings(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1001)
	for _, test := range []struct {
		in   string
		utf8 bool
		want string
	}{
		{"", false, `""`}, {`a"b\c`, false, `"a\"b\\c"`}, {"a\r\nb", false, "{4}\r\na\r\nb"}, {"ä", false, "{2}\r\nä"},
		{"ä", true, `"ä"`}, {"\xff", true, "{1}\r\n\xff"}, {long, true, "{1001}\r\n" + long}, {"a\x00", true, "{2}\r\na\x00"},
	} {
		if got := string(AppendString(nil, test.in, test.utf8)); got != test.want {
			t.Errorf("%q: %q", test.in, got)
		}
	}
	for in, want := range map[string]string{"Subject": "Subject", "": `""`, "nil": `"nil"`, "a b": `"a b"`} {
		if got := string(AppendAString(nil, in, false)); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	if got := string(AppendText(nil, "a\r\n* BYE\x00ü")); got != "a  * BYE ?" {
		t.Errorf("%q", got)
	}
	if got := string(AppendMailbox(nil, "ä", false)); got != `"&AOQ-"` {
		t.Error(got)
	}
	if got := string(AppendMailbox(nil, "ä", true)); got != `"ä"` {
		t.Error(got)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	got, err := NewParser([]byte(`(\SEEN \deleted $Forwarded)`)).Flags()
	if err != nil || strings.Join(got, " ") != `\Seen \Deleted $Forwarded` {
		t.Error(got, err)
	}
	for _, in := range []string{`(\Recent)`, `(\)`, `(\*)`, `(a b`, `a`, `(` + strings.Repeat("k", 101) + `)`} {
		if got, err := NewParser([]byte(in)).Flags(); err == nil {
			t.Error(in, got)
		}
	}
}

// pieces notes how much it was given at a time, and fails after that many.
type pieces struct {
	sizes []int
	all   []byte
	most  int
}

func (p *pieces) Write(b []byte) (int, error) {
	if len(p.sizes) == p.most {
		return 0, io.ErrClosedPipe
	}
	p.sizes, p.all = append(p.sizes, len(b)), append(p.all, b...)
	return len(b), nil
}

// TestWriterPieces: a time limit is for 64 KB, however much is written at once.
func TestWriterPieces(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("0123456789"), 20_000)
	for name, write := range map[string]func(w *Writer) error{
		"literal":  func(w *Writer) error { _, err := w.Write(long); return err },
		"response": func(w *Writer) error { w.B = append(w.B, long...); return w.Flush() },
	} {
		dst := &pieces{most: 100}
		if err := write(&Writer{Dst: dst}); err != nil || !bytes.Equal(dst.all, long) {
			t.Errorf("%s: %d of %d octets, %v", name, len(dst.all), len(long), err)
		}
		if !slices.Equal(dst.sizes, []int{64 << 10, 64 << 10, 64 << 10, 200_000 - 192<<10}) {
			t.Errorf("%s: written in pieces of %v", name, dst.sizes)
		}
		broken := &Writer{Dst: &pieces{most: 1}}
		if err := write(broken); !errors.Is(err, io.ErrClosedPipe) || broken.Err() == nil {
			t.Errorf("%s: a connection that breaks gives %v", name, err)
		}
	}
}
