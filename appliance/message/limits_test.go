package message

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// hostile are mails made to be expensive.
func hostile() map[string][]byte {
	var nested, messages, same, short bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&nested, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		messages.WriteString("Content-Type: message/rfc822\r\n\r\n")
		same.WriteString("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n")
	}
	for i := range 120 {
		fmt.Fprintf(&short, "Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%[1]s\r\n", strings.Repeat("a", i+1))
	}
	short.WriteString("\r\n" + strings.Repeat("--b\r\n", 200000))
	mixed := "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	addresses := strings.Repeat("a,", 120000)
	part := "--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: " + strings.Repeat("a,", 1000) + "\r\n\r\n"
	return map[string][]byte{
		"nested multiparts":  nested.Bytes(),
		"nested messages":    messages.Bytes(),
		"one boundary":       same.Bytes(),
		"prefixes":           short.Bytes(),
		"parts":              []byte(mixed + strings.Repeat("--b\r\n\r\nx\r\n", 300000)),
		"empty parts":        []byte(mixed + strings.Repeat("--b\n", 500000)),
		"a long header":      []byte("Subject: s\r\n" + strings.Repeat("X-A: "+strings.Repeat("x", 70)+"\r\n", 50000) + "From: late@x\r\n\r\n"),
		"a long field":       []byte("Subject: " + strings.Repeat("x", 4<<20) + "\r\nFrom: late@x\r\n\r\n"),
		"folds":              []byte("From: " + strings.Repeat("\r\n ", 500000)),
		"no header end":      bytes.Repeat([]byte("junk "), 400000),
		"addresses":          []byte("From: " + addresses + "\r\nTo: " + addresses + "\r\n\r\n"),
		"messages":           []byte(mixed + strings.Repeat(part, 1000)),
		"open comments":      []byte("From: " + strings.Repeat("(", 200000) + "\r\n\r\n"),
		"open quotes":        []byte("From: " + strings.Repeat("\" \\", 60000) + "\r\n\r\n"),
		"open angles":        []byte("From: " + strings.Repeat("<@a", 80000) + "\r\n\r\n"),
		"groups":             []byte("From: " + strings.Repeat("a:;", 80000) + "\r\n\r\n"),
		"parameters":         []byte("Content-Type: text/plain" + strings.Repeat(";a=", 80000) + "\r\n\r\n"),
		"quoted parameters":  []byte("Content-Type: text/plain" + strings.Repeat(";a=\"", 60000) + "\r\n\r\n"),
		"comments in a type": []byte("Content-Type: text/plain; a=" + strings.Repeat(" (", 120000) + "\r\n\r\n"),
		"encoded words":      []byte("Subject: " + strings.Repeat("=?a?q?", 40000) + "\r\n\r\n"),
		"tiny words":         []byte("Subject: " + strings.Repeat("=?a?q?b?= ", 25000) + "\r\n\r\n"),
		"continuations":      []byte("Content-Type: text/plain" + strings.Repeat(";name*1=a", 27000) + "\r\n\r\n"),
		"languages":          []byte("Content-Language: " + strings.Repeat("a,", 120000) + "\r\n\r\n"),
		"quotes in a name":   []byte("Subject: " + strings.Repeat("\\\"", 120000) + "\r\n\r\n"),
	}
}

// TestHostile holds the grammar and the limits for mails made to be expensive,
// and that what is kept of them is small.
func TestHostile(t *testing.T) {
	t.Parallel()
	for name, raw := range hostile() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := check(raw); err != nil {
				t.Errorf("%.300s", err.Error())
			}
			x := Index(raw)
			if len(x.Structure) > 2*maxStructure || len(x.Envelope) > 6*MaxHeader {
				t.Errorf("envelope of %d octets, structure of %d", len(x.Envelope), len(x.Structure))
			}
			if strings.Contains(x.From, "late") {
				t.Error("read beyond the limit of a header")
			}
			MatchText(raw, x.Structure, "not in there", true)
		})
	}
}

// TestMemory holds how much is allocated for mails made to be expensive. It is
// not parallel, as it counts what the whole process allocates.
func TestMemory(t *testing.T) {
	for name, raw := range hostile() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		x := Index(raw)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(8<<20+2*len(raw)) {
			t.Errorf("%s: %d octets allocated for %d", name, used, len(raw))
		}
		runtime.KeepAlive(x)
	}
}

// TestAllocations holds that an ordinary mail costs only what is kept of it.
func TestAllocations(t *testing.T) {
	raw := ordinary(4 << 10)
	x := Index(raw)
	indexer := new(indexer) // the pool forgets some under the race detector
	if n := testing.AllocsPerRun(100, func() { indexer.index(raw) }); n > 6 {
		t.Errorf("Index allocates %v times", n)
	}
	if kept := indexer.size(); kept > 16<<10 {
		t.Errorf("%d octets of buffers for a mail of %d", kept, len(raw))
	}
	dst := make([]byte, 0, 16<<10)
	n := testing.AllocsPerRun(100, func() {
		AppendEnvelope(dst, x.Envelope, false)
		AppendBodyStructure(dst, x.Structure, true, false)
	})
	if n > 0 {
		t.Errorf("rendering allocates %v times", n)
	}
}

func TestPartLimits(t *testing.T) {
	t.Parallel()
	all := hostile()
	count := func(name string) (parts, depth int) {
		root, err := ParseStructure(Index(all[name]).Structure)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var walk func(p *Part, at int)
		walk = func(p *Part, at int) {
			parts++
			depth = max(depth, at)
			for _, c := range p.Children {
				walk(c, at+1)
			}
			if p.Message != nil {
				walk(p.Message, at+1)
			}
		}
		walk(root, 0)
		return parts, depth
	}
	for _, name := range []string{"parts", "empty parts"} {
		if parts, _ := count(name); parts != MaxParts {
			t.Errorf("%s: %d parts", name, parts)
		}
	}
	for _, name := range []string{"nested multiparts", "nested messages", "one boundary"} {
		if _, depth := count(name); depth != MaxDepth {
			t.Errorf("%s: %d deep", name, depth)
		}
	}
	if n := strings.Count(string(Index(all["addresses"]).Envelope), `"a"`); n != 3*MaxAddresses {
		t.Errorf("%d addresses", n)
	}
}
