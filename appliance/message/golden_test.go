package message

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// mails gives the mails under testdata by their names.
func mails(tb testing.TB) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) < 25 {
		tb.Fatalf("%d mails in testdata, %v", len(files), err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		out[strings.TrimSuffix(f, ".eml")] = raw
	}
	return out
}

// TestGolden holds what IMAP lists of the mails under testdata. "go test
// -update" writes the golden files; look at what changed before it is kept.
func TestGolden(t *testing.T) {
	t.Parallel()
	for name, raw := range mails(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			x := Index(raw)
			compare(t, name+".envelope", envelopeGolden(x))
			compare(t, name+".structure", structureGolden(t, raw, x.Structure))
		})
	}
}

func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

func envelopeGolden(x Indexed) []byte {
	var b bytes.Buffer
	narrow := AppendEnvelope(nil, x.Envelope, false)
	fmt.Fprintf(&b, "%s\n", narrow)
	if wide := AppendEnvelope(nil, x.Envelope, true); !bytes.Equal(wide, narrow) {
		fmt.Fprintf(&b, "utf8 %s\n", wide)
	}
	fmt.Fprintf(&b, "from %q\nto %q\ncc %q\nbcc %q\nsubject %q\nid %q\nsent %d\n",
		x.From, x.To, x.Cc, x.Bcc, x.Subject, x.MessageID, x.Sent)
	return b.Bytes()
}

func structureGolden(t *testing.T, raw, blob []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	narrow := AppendBodyStructure(nil, blob, true, false)
	fmt.Fprintf(&b, "%s\n%s\n", narrow, AppendBodyStructure(nil, blob, false, false))
	if wide := AppendBodyStructure(nil, blob, true, true); !bytes.Equal(wide, narrow) {
		fmt.Fprintf(&b, "utf8 %s\n", wide)
	}
	root, err := ParseStructure(blob)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "root %d-%d %d-%d\n", root.HeaderStart, root.HeaderEnd, root.BodyStart, root.BodyEnd)
	eachPart(root, func(path []int, p *Part) {
		fmt.Fprintf(&b, "%s %s/%s %q", dotted(path), p.Type, p.Subtype, snippet(raw[p.BodyStart:p.BodyEnd]))
		if f := p.Filename(); f != "" {
			fmt.Fprintf(&b, " file %q", f)
		}
		b.WriteByte('\n')
	})
	return b.Bytes()
}

func snippet(body []byte) string {
	if len(body) > 40 {
		return string(body[:20]) + "…" + string(body[len(body)-20:])
	}
	return string(body)
}

// eachPart calls f for every part that has a number, by an independent reading
// of the rules of RFC 9051, section 6.4.5.1.
func eachPart(root *Part, f func(path []int, p *Part)) {
	var inMessage func(prefix []int, m *Part)
	var at func(path []int, p *Part)
	at = func(path []int, p *Part) {
		f(path, p)
		for i, c := range p.Children {
			at(append(path[:len(path):len(path)], i+1), c)
		}
		if p.Message != nil {
			inMessage(path, p.Message)
		}
	}
	inMessage = func(prefix []int, m *Part) {
		if m.Children == nil {
			at(append(prefix[:len(prefix):len(prefix)], 1), m)
			return
		}
		for i, c := range m.Children {
			at(append(prefix[:len(prefix):len(prefix)], i+1), c)
		}
	}
	inMessage(nil, root)
}

func dotted(path []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(path), " ", "."), "[]")
}
