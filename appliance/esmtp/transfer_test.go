package esmtp

import (
	"context"
	"strings"
	"testing"

	"hauspost/appliance/reply"
)

// sink is a Content in memory.
type sink struct {
	strings.Builder
	committed, discarded bool
	size                 int64
	answer               *reply.Reply
	answered             []error
}

func (s *sink) Commit(_ context.Context, size int64) *reply.Reply {
	s.committed, s.size = true, size
	return s.answer
}
func (s *sink) Answered(err error) { s.answered = append(s.answered, err) }
func (s *sink) Discard()           { s.discarded = true }

// reference reads content after DATA in the plainest way: it looks for the end
// in the whole, undoes the dots line by line and looks for what is forbidden.
func reference(stream string) (text, rest string, end, bad bool) {
	i := strings.Index("\r\n"+stream, "\r\n.\r\n")
	if i < 0 {
		return "", "", false, false
	}
	raw, rest := stream[:i], stream[i+3:]
	bad = badForm(raw)
	lines := strings.SplitAfter(raw, "\r\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, ".")
	}
	return strings.Join(lines, ""), rest, true, bad
}

func badForm(raw string) bool {
	return strings.ContainsAny(strings.ReplaceAll(raw, "\r\n", ""), "\r\n\x00")
}

// feedAll feeds p in pieces of at most n octets.
func feedAll(t *transfer, p string, n int) (used int, end bool) {
	for used < len(p) && !end {
		piece := p[used:min(used+n, len(p))]
		var took int
		took, end = t.feed([]byte(piece))
		used += took
	}
	return used, end
}

// TestTransferExhaustive compares with the reference all streams of up to eight
// of the octets that matter, in pieces of every length.
func TestTransferExhaustive(t *testing.T) {
	t.Parallel()
	const alphabet = "\r\n.x\x00"
	longest := 8
	if testing.Short() {
		longest = 6
	}
	stream := make([]byte, longest)
	count := 0
	var walk func(n int)
	walk = func(n int) {
		s := string(stream[:n])
		for piece := 1; piece <= max(1, min(n, 3)); piece++ {
			checkStream(t, s, piece)
		}
		checkStream(t, s, n+1)
		count++
		if n == longest || t.Failed() {
			return
		}
		for _, c := range []byte(alphabet) {
			stream[n] = c
			walk(n + 1)
		}
	}
	walk(0)
	t.Logf("%d streams", count)
}

func checkStream(t *testing.T, s string, piece int) {
	t.Helper()
	text, rest, wantEnd, bad := reference(s)
	k := &sink{}
	tr := transfer{sink: k, via: ViaData, maxSize: 1 << 20, maxLine: 1 << 20}
	used, end := feedAll(&tr, s, piece)
	tr.finish()
	switch {
	case end != wantEnd:
		t.Fatalf("%q in pieces of %d: end is %v, want %v", s, piece, end, wantEnd)
	case !end:
		return
	case s[used:] != rest:
		t.Fatalf("%q in pieces of %d: left %q, want %q", s, piece, s[used:], rest)
	case bad != (tr.fault != nil):
		t.Fatalf("%q in pieces of %d: fault is %v, want %v", s, piece, tr.fault, bad)
	case bad != k.discarded:
		t.Fatalf("%q in pieces of %d: discarded is %v, want %v", s, piece, k.discarded, bad)
	case !bad && (k.String() != text || tr.size != int64(len(text))):
		t.Fatalf("%q in pieces of %d: text is %q, want %q", s, piece, k.String(), text)
	}
}

func TestTransferChunks(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a", "\r\n", "a\r\n.\r\nb", ".", "..\r\n", "a\rb", "a\nb", "a\r", "\n", "\x00", "\r\n\r\n"} {
		for piece := 1; piece <= 3; piece++ {
			k := &sink{}
			tr := transfer{sink: k, via: ViaBdat, maxSize: 1 << 20, maxLine: 1 << 20}
			if used, end := feedAll(&tr, s, piece); used != len(s) || end {
				t.Errorf("%q: used %d, end %v", s, used, end)
			}
			tr.finish()
			if bad := badForm(s); bad != (tr.fault != nil) {
				t.Errorf("%q: fault is %v, want %v", s, tr.fault, bad)
			} else if !bad && k.String() != s {
				t.Errorf("%q: text is %q", s, k.String())
			}
		}
	}
}

func TestTransferLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, stream string
		size         int64
		line         int
		want         *reply.Reply
	}{
		{"exactly the size", "12345678\r\n.\r\n", 10, 100, nil},
		{"one octet too many", "12345678\r\n.\r\n", 9, 100, errTooLarge},
		{"dots do not count", "..2345678\r\n.\r\n", 10, 100, nil},
		{"exactly the line", "1234\r\n12345678\r\n.\r\n", 100, 10, nil},
		{"line too long", "1234\r\n12345678\r\n.\r\n", 100, 9, errLongText},
		{"the first fault counts", "a\nb\r\n" + strings.Repeat("x", 200) + "\r\n.\r\n", 100, 100, errBareNewline},
		{"nul", "a\x00b\r\n.\r\n", 100, 100, errNul},
	} {
		for piece := 1; piece < 5; piece++ {
			k := &sink{}
			tr := transfer{sink: k, via: ViaData, maxSize: c.size, maxLine: c.line}
			if used, end := feedAll(&tr, c.stream, piece); !end || used != len(c.stream) {
				t.Errorf("%s: used %d, end %v", c.name, used, end)
			}
			if tr.fault != c.want {
				t.Errorf("%s in pieces of %d: fault %v, want %v", c.name, piece, tr.fault, c.want)
			}
		}
	}
}
