package senderauth

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"pgregory.net/rapid"
)

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, MinRSABits)
	if err != nil {
		panic(err)
	}
	return k
})

var edKey = sync.OnceValue(func() ed25519.PrivateKey {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
})

func testKeys() []Key {
	return []Key{
		{Domain: "example.test", Selector: "r20260401", Private: rsaKey()},
		{Domain: "example.test", Selector: "e20260401", Private: edKey()},
	}
}

func clock() time.Time { return time.Unix(1_775_000_000, 0) }

const plain = "From: Alice <alice@example.test>\r\nTo: bob@example.org\r\nSubject: hello\r\n" +
	"Date: Wed, 1 Apr 2026 01:33:20 +0200\r\nMessage-ID: <1@example.test>\r\n\r\n"

// sign signs in pieces of n octets.
func sign(header, body string, keys []Key, n int) (string, error) {
	s, err := NewSigner([]byte(header), keys, Options{Now: clock})
	if err != nil {
		return "", err
	}
	for rest := []byte(body); len(rest) > 0; {
		piece := rest[:min(n, len(rest))]
		if _, err := s.Write(piece); err != nil {
			return "", err
		}
		rest = rest[len(piece):]
	}
	out, err := s.Sign()
	return string(out), err
}

func mustSign(t testing.TB, header, body string) string {
	t.Helper()
	out, err := sign(header, body, testKeys(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// verify judges the signatures of a message with records for keys; it gives
// one error for each signature, nil where it holds.
func verify(message string, keys []Key) ([]error, error) {
	found, err := dkim.VerifyWithOptions(strings.NewReader(message), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			for _, k := range keys {
				if k.Name() == name {
					r, err := Record(k.Private.Public())
					return []string{r}, err
				}
			}
			return nil, fmt.Errorf("no record at %q", name)
		},
	})
	var results []error
	for _, v := range found {
		results = append(results, v.Err)
	}
	return results, err
}

// holds tells whether both signatures of a message hold, or neither does.
func holds(t testing.TB, message string) bool {
	t.Helper()
	results, err := verify(message, testKeys())
	if err != nil || len(results) != 2 {
		t.Fatalf("%d signatures, %v", len(results), err)
	}
	if (results[0] == nil) != (results[1] == nil) {
		t.Fatalf("one signature holds, the other does not: %v", results)
	}
	return results[0] == nil
}

func TestSignaturesHold(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 300)
	for name, m := range map[string]struct{ header, body string }{
		"plain":                 {plain, "Hello.\r\n"},
		"no empty line":         {strings.TrimSuffix(plain, "\r\n"), "Hello.\r\n"},
		"empty body":            {plain, ""},
		"only empty lines":      {plain, "\r\n\r\n \t\r\n"},
		"only white space":      {plain, " \t "},
		"trailing empty lines":  {plain, "Hello.\r\n\r\n\r\n"},
		"no last line end":      {plain, "Hello."},
		"white space at an end": {plain, "Hello. \t\r\n\t \r\n There  \t you \r\nare "},
		"words beyond buffers":  {plain, long + " " + long + "\r\n" + long},
		"other controls":        {plain, "a\x00b\x0b \x0c c\x1f\r\n\x7f\r\n"},
		"5 MB":                  {plain, strings.Repeat("Words  that go on\tand on, line by line. \r\n", 120_000)},
		"folded": {"From:\r\n Alice\r\n\t<alice@example.test>\r\nSUBJECT :  a\r\n  b \t\r\n \r\nSubject: c\r\n" +
			"X-Unsigned: d\r\nReferences:\r\n <" + long[:60] + "@x>\r\n <" + long[:60] + "@y>\r\n\r\n", "x\r\n"},
		"8-bit":          {"From: J\u00fcrgen <j\u00fc@b\u00fccher.example>\r\nSubject: \xff\xa0\xfe \u00a0x\u2003\r\n\r\n", "\u00e4\xff\r\n"},
		"several":        {"From: a@example.test\r\nTo: b@x\r\nTo: c@x\r\nFrom: d@x\r\nTo: e@x\r\nResent-To: f@x\r\nResent-To: g@x\r\n\r\n", "x\r\n"},
		"a list":         {"From: a@example.test\r\nList-Id: <l.example.test>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n", "x\r\n"},
		"many fields":    {strings.Repeat("Content-Transfer-Encoding: 7bit\r\n", 200) + "From: a@example.test\r\n\r\n", "x\r\n"},
		"signed already": {"DKIM-Signature: v=1; b=zzz\r\n" + plain, "x\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, n := range []int{1, 2, 7, 4096, 1 << 20} {
				if len(m.body) > 1<<20 && n < 4096 {
					continue
				}
				fields, err := sign(m.header, m.body, testKeys(), n)
				if err != nil {
					t.Fatal(err)
				}
				header := m.header
				if !strings.HasSuffix(header, "\r\n\r\n") {
					header += "\r\n"
				}
				results, err := verify(fields+header+m.body, testKeys())
				if err != nil || len(results) < 2 || results[0] != nil || results[1] != nil {
					t.Fatalf("in pieces of %d: %v, %v\n%s", n, results, err, fields)
				}
			}
		})
	}
}

func TestForm(t *testing.T) {
	t.Parallel()
	fields := mustSign(t, plain, "Hello.\r\n")
	for line := range strings.Lines(fields) {
		if !strings.HasSuffix(line, "\r\n") || len(line) > 78+2 {
			t.Errorf("line %q", line)
		}
	}
	first, second, ok := strings.Cut(fields[1:], "\r\nDKIM-Signature:")
	if !ok || !strings.HasPrefix(fields, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=example.test;\r\n\ts=r20260401; t=1775000000;\r\n\th=From:From:") ||
		!strings.HasPrefix(second, " v=1; a=ed25519-sha256; ") {
		t.Fatal(fields)
	}
	for _, tag := range []string{" l=", " z=", " x=", " i=", "\tl=", "\tz=", "\tx=", "\ti="} {
		if strings.Contains(fields, tag) {
			t.Errorf("there is %q in %q", tag, fields)
		}
	}
	h := listed(first)
	for _, name := range []string{"From", "To", "Subject", "Date", "Message-ID"} {
		if h[name] != 2 {
			t.Errorf("%s is listed %d times", name, h[name])
		}
	}
	for _, name := range []string{"Cc", "Reply-To", "In-Reply-To", "References", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "TLS-Required"} {
		if h[name] != 1 {
			t.Errorf("%s is listed %d times", name, h[name])
		}
	}
	h = listed(mustSign(t, "Sender: a@x\r\nList-Id: b\r\nResent-To: c\r\nResent-To: d\r\nReceived: e\r\nBcc: f\r\n"+plain, ""))
	if h["Sender"] != 2 || h["List-Id"] != 2 || h["Resent-To"] != 2 || h["List-Post"] != 0 || h["Resent-From"] != 0 || h["Received"]+h["Bcc"] != 0 {
		t.Errorf("%v", h)
	}
}

// listed counts the names of the first "h=".
func listed(field string) map[string]int {
	_, list, _ := strings.Cut(field, "\th=")
	list, _, _ = strings.Cut(list, ";")
	counts := map[string]int{}
	for name := range strings.SplitSeq(list, ":") {
		counts[strings.TrimSpace(name)]++
	}
	return counts
}

// TestTampering holds what a signature must not survive, and what it must.
func TestTampering(t *testing.T) {
	t.Parallel()
	const body = "Hello there.\r\nBye.\r\n"
	header := strings.TrimSuffix(plain, "\r\n") + "Sender: alice@example.test\r\nList-Id: <a>\r\n\r\n"
	fields := mustSign(t, header, body)
	signed := fields + header + body
	if !holds(t, signed) {
		t.Fatal("the signatures do not hold as they are")
	}
	for _, name := range []string{"From", "From ", "from", "Subject", "To", "Cc", "Date", "Message-ID", "Reply-To", "In-Reply-To", "References",
		"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "TLS-Required", "Sender", "List-Id"} {
		more := name + ": mallory@example.org\r\n"
		if holds(t, fields+more+header+body) || holds(t, fields+strings.TrimSuffix(header, "\r\n")+more+"\r\n"+body) {
			t.Errorf("signatures survive another %s field", name)
		}
	}
	for _, name := range []string{"Received", "List-Post", "Resent-From", "X-Spam", "DKIM-Signature-X"} {
		if !holds(t, name+": something\r\n"+signed) {
			t.Errorf("signatures do not survive a field %s", name)
		}
	}
	for what, changed := range map[string]string{
		"another body":     strings.Replace(signed, "Bye.", "Bye!", 1),
		"an appended line": signed + "PS\r\n",
		"another subject":  strings.Replace(signed, "Subject: hello", "Subject: Hello", 1),
		"a lost field":     strings.Replace(signed, "Subject: hello\r\n", "", 1),
		"another time":     strings.Replace(signed, "t=17", "t=18", 2),
		"joined words":     strings.Replace(signed, "Hello there", "Hellothere", 1),
	} {
		if changed == signed || holds(t, changed) {
			t.Errorf("signatures survive %s", what)
		}
	}
	for what, changed := range map[string]string{
		"spaces in the body":   strings.Replace(signed, "Hello there.", "Hello \t there.  ", 1),
		"empty lines":          signed + "\r\n\r\n",
		"a folded field":       strings.Replace(signed, "Alice <", "Alice\r\n\t <", 1),
		"case of names":        strings.Replace(signed, "\r\nSubject:", "\r\nSUBJECT:", 1),
		"the signature folded": strings.ReplaceAll(signed, ";\r\n\t", ";\r\n    "),
	} {
		if changed == signed || !holds(t, changed) {
			t.Errorf("signatures do not survive %s", what)
		}
	}
}

func TestDomainsInALabels(t *testing.T) {
	t.Parallel()
	keys := []Key{{Domain: "B\u00fccher.example", Selector: "E1", Private: edKey()}}
	fields, err := sign("From: j\u00fc@b\u00fccher.example\r\n\r\n", "x\r\n", keys, 10)
	if err != nil || !strings.Contains(fields, "d=xn--bcher-kva.example;\r\n\ts=e1;") {
		t.Fatalf("%q, %v", fields, err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for what, keys := range map[string][]Key{
		"no keys":    nil,
		"nothing":    {{Domain: "example.test", Selector: "a"}},
		"small RSA":  {{Domain: "example.test", Selector: "a", Private: small}},
		"a literal":  {{Domain: "[192.0.2.1]", Selector: "a", Private: edKey()}},
		"no domain":  {{Selector: "a", Private: edKey()}},
		"bad names":  {{Domain: "example.test", Selector: "a;b", Private: edKey()}},
		"a tag":      {{Domain: "example.test; i=x", Selector: "a", Private: edKey()}},
		"other kind": {{Domain: "example.test", Selector: "a", Private: otherKey{}}},
	} {
		if _, err := sign(plain, "x\r\n", keys, 10); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Record(otherKey{}.Public()); !errors.Is(err, ErrKey) {
		t.Errorf("a record of another kind of key: %v", err)
	}
	if _, err := sign("To: a@x\r\n\r\n", "", testKeys(), 10); !errors.Is(err, ErrNoFrom) {
		t.Errorf("without From: %v", err)
	}
	for _, header := range []string{"From: a\n\n", "From: a\r\nX: b\rc\r\n", "From: a", "From: a\r\n b\n", "From: a\r\r\n"} {
		if _, err := sign(header, "", testKeys(), 10); !errors.Is(err, ErrLineEnd) {
			t.Errorf("header %q: %v", header, err)
		}
	}
	for _, header := range []string{" x\r\nFrom: a\r\n", "From: a\r\nno field\r\n", ": x\r\nFrom: a\r\n", "From: a\r\nX Y: z\r\n", "From: a\r\nX\x00: z\r\n",
		"From: a\r\nFrom\r\n : b\r\n", "From: a\r\n\u00fc: z\r\n", "From: a\r\n \t: z\r\nX\r\n"} {
		if _, err := sign(header, "", testKeys(), 10); !errors.Is(err, ErrHeader) {
			t.Errorf("header %q: %v", header, err)
		}
	}
	for _, body := range []string{"a\n", "a\rb", "a\r", "\r\r\n", "\n\r", "a\r\n\n"} {
		for _, n := range []int{1, 100} {
			if _, err := sign(plain, body, testKeys(), n); !errors.Is(err, ErrLineEnd) {
				t.Errorf("body %q: %v", body, err)
			}
			if _, err := sign(plain+body, "", testKeys(), n); !errors.Is(err, ErrLineEnd) {
				t.Errorf("body %q beside the header: %v", body, err)
			}
		}
	}
}

func TestSignsOnce(t *testing.T) {
	t.Parallel()
	s, err := NewSigner([]byte(plain), testKeys()[1:], Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(); !errors.Is(err, errSigned) {
		t.Errorf("signed again: %v", err)
	}
	if _, err := s.Write([]byte("x")); !errors.Is(err, errSigned) {
		t.Errorf("written to: %v", err)
	}
	broken := []Key{{Domain: "example.test", Selector: "a", Private: brokenKey{edKey()}}}
	if _, err := sign(plain, "", broken, 1); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "a._domainkey.example.test") {
		t.Errorf("a key that fails: %v", err)
	}
}

type otherKey struct{}

func (otherKey) Public() crypto.PublicKey { return "public" }
func (otherKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, io.ErrUnexpectedEOF
}

type brokenKey struct{ ed25519.PrivateKey }

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, io.ErrUnexpectedEOF
}

func TestKeysDoNotShow(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	for _, k := range testKeys() {
		for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(h).Info("signed", "key", k, "keys", []Key{k})
		}
		asJSON, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&log, "%v %+v %#v %s %s\n", k, k, k, []Key{k}, asJSON)
	}
	secrets := []string{rsaKey().D.String(), rsaKey().Primes[0].String(), fmt.Sprint([]byte(edKey()))[1:20], fmt.Sprintf("%x", []byte(edKey()))[:16]}
	for _, secret := range secrets {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%.20s… shows in %s", secret, log.String())
		}
	}
	if !strings.Contains(log.String(), "r20260401._domainkey.example.test") {
		t.Error(log.String())
	}
}

// TestAnyBody signs bodies of odd white space in odd pieces and has the other
// implementation judge them.
func TestAnyBody(t *testing.T) {
	t.Parallel()
	token := rapid.SampledFrom([]string{"\r\n", " ", "\t", "a", "word", "\r\n\r\n", " \r\n", "\x00", "\xff", strings.Repeat("x", 4095), strings.Repeat("y", 5000)})
	keys := testKeys()[1:]
	rapid.Check(t, func(t *rapid.T) {
		body := strings.Join(rapid.SliceOfN(token, 0, 20).Draw(t, "body"), "")
		subject := strings.ReplaceAll(strings.Join(rapid.SliceOfN(token, 0, 8).Draw(t, "subject"), ""), "\r\n", "\r\n\t")
		header := "Subject:" + subject + "\r\n" + plain
		fields, err := sign(header, body, keys, rapid.IntRange(1, 6000).Draw(t, "piece"))
		if err != nil {
			t.Fatal(err)
		}
		if results, err := verify(fields+header+body, keys); err != nil || len(results) != 1 || results[0] != nil {
			t.Fatalf("%v, %v", results, err)
		}
	})
}

func FuzzSign(f *testing.F) {
	f.Add([]byte(plain), []byte("Hello.\r\n"))
	f.Add([]byte("From: a\r\nSubject: b\r\n\tc\r\n"), []byte("\r\n \r\nx"))
	keys := testKeys()[1:]
	f.Fuzz(func(t *testing.T, header, body []byte) {
		fields, err := sign(string(header), string(body), keys, 100)
		if err != nil {
			return
		}
		for line := range strings.Lines(fields) {
			if !strings.HasSuffix(line, "\r\n") || len(line) > 80 {
				t.Fatalf("line %q", line)
			}
		}
		if !strings.HasPrefix(string(header), "\r\n") && !bytes.Contains(header, []byte("\r\n\r\n")) {
			header = append(header[:len(header):len(header)], '\r', '\n')
		}
		results, err := verify(fields+string(header)+string(body), keys)
		if err != nil || len(results) == 0 || results[0] != nil {
			t.Fatalf("%v, %v: %q", results, err, fields)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	for _, size := range []int{4 << 10, 40 << 10, 5 << 20} {
		body := bytes.Repeat([]byte(strings.Repeat("words and more ", 5)+"\r\n"), size/77)
		for name, keys := range map[string][]Key{"rsa+ed25519": testKeys(), "ed25519": testKeys()[1:]} {
			b.Run(fmt.Sprintf("%dKB/%s", size>>10, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					s, err := NewSigner([]byte(plain), keys, Options{})
					if err != nil {
						b.Fatal(err)
					}
					for rest := body; len(rest) > 0; {
						n, err := s.Write(rest[:min(len(rest), 32<<10)])
						if err != nil {
							b.Fatal(err)
						}
						rest = rest[n:]
					}
					if _, err := s.Sign(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
