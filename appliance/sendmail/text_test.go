package sendmail

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func mend(in io.Reader, dots bool, limit int64) (string, *text, error) {
	t := newText(in, dots, limit)
	header, rest, err := t.header()
	if err != nil {
		return "", t, err
	}
	out := bytes.NewBuffer(header)
	err = t.body(out, rest)
	return out.String(), t, err
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"Subject: x\n\nbody\n", "Subject: x\r\n\r\nbody\r\n"},
		{"Subject: x\r\n\r\nbody\r\n", "Subject: x\r\n\r\nbody\r\n"},
		{"Subject: x\r\r\n\r\r\nbody\r\r\n", "Subject: x\r\n\r\nbody\r\n"},
		{"Subject: x\n y\n\tz\n\nbody", "Subject: x\r\n y\r\n\tz\r\n\r\nbody\r\n"},
		{"Subject: x\n \n\nbody", "Subject: x\r\n\r\nbody\r\n"},
		{"Subject: x", "Subject: x\r\n\r\n"},
		{"", "\r\n"},
		{"\n", "\r\n"},
		{"hello\nworld\n", "\r\nhello\r\nworld\r\n"},
		{"hello", "\r\nhello\r\n"},
		{" hello\n", "\r\n hello\r\n"},
		{"Subject: x\nhello\n\nmore\n", "Subject: x\r\n\r\nhello\r\n\r\nmore\r\n"},
		{"From root Thu Jan 1\nSubject: x\n\n>From y\n", "Subject: x\r\n\r\n>From y\r\n"},
		{"Subject : x\n\n", "Subject : x\r\n\r\n"},
		// A CR alone must not make a header field.
		{"Subject: x\rBcc: evil@example.net\n\nb", "Subject: x Bcc: evil@example.net\r\n\r\nb\r\n"},
		{"A: b\n\none\rtwo\r\rthree\r", "A: b\r\n\r\none\r\ntwo\r\n\r\nthree\r\n"},
		{"A: b\n\none\n.\ntwo\n", "A: b\r\n\r\none\r\n"},
		{"A: b\n\none\r\n.\r\ntwo\n", "A: b\r\n\r\none\r\n"},
		{"A: b\n\none\n.", "A: b\r\n\r\none\r\n"},
		{"A: b\n.\n\nbody\n", "A: b\r\n\r\n"},
		{"A: b\n\n..\n.x\n", "A: b\r\n\r\n..\r\n.x\r\n"},
	} {
		got, _, err := mend(strings.NewReader(c.in), true, 1<<20)
		if err != nil || got != c.want {
			t.Errorf("%q becomes %q, %v; want %q", c.in, got, err, c.want)
		}
		if got, _, err := mend(iotest.OneByteReader(strings.NewReader(c.in)), true, 1<<20); err != nil || got != c.want {
			t.Errorf("%q octet by octet becomes %q, %v; want %q", c.in, got, err, c.want)
		}
	}
	if got, _, err := mend(strings.NewReader("A: b\n\none\n.\ntwo\n"), false, 1<<20); err != nil || got != "A: b\r\n\r\none\r\n.\r\ntwo\r\n" {
		t.Errorf("with -i a dot ends the message: %q, %v", got, err)
	}
}

func TestTextLimits(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		in   io.Reader
		want error
	}{
		"NUL in the header":    {strings.NewReader("A: b\x00\n\n"), errNul},
		"NUL in the body":      {strings.NewReader("A: b\n\nx\x00"), errNul},
		"endless header":       {strings.NewReader("A: b\n" + strings.Repeat("B: c\n", 100_000)), errHeader},
		"endless header field": {strings.NewReader("A: " + strings.Repeat("b", 300_000)), errHeader},
		"too large":            {strings.NewReader("A: b\n\n" + strings.Repeat("x", 1<<20)), errTooLarge},
		"a fault in the body":  {io.MultiReader(strings.NewReader("A: b\n\nx"), iotest.ErrReader(broken)), broken},
		"a fault at the begin": {iotest.ErrReader(broken), broken},
	} {
		if _, _, err := mend(c.in, true, 1<<20); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	exact := "A: b\r\n\r\n" + strings.Repeat("x", 1000) + "\r\n"
	if _, _, err := mend(strings.NewReader(exact), true, int64(len(exact))); err != nil {
		t.Errorf("a message of exactly the limit: %v", err)
	}
	if _, _, err := mend(strings.NewReader(exact), true, int64(len(exact))-1); !errors.Is(err, errTooLarge) {
		t.Errorf("a message of one octet more than the limit: %v", err)
	}
	for in, want := range map[string]bool{"A: b\n\nx": false, "A: b\n\nä": true, "A: ä\n\n": true} {
		if _, text, err := mend(strings.NewReader(in), true, 1<<20); err != nil || text.eight != want {
			t.Errorf("%q has octets above 127: %v %v, want %v", in, text.eight, err, want)
		}
	}
}

// Whatever comes in, what goes out is what the box takes, and mending it once
// more changes nothing.
func TestTextIsWellFormed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		in := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
			"\r", "\n", "\r\n", "A: b", "x", " ", ".", ":", "From ", "\xff", strings.Repeat("long ", 14_000),
		}), 0, 20).Draw(rt, "in"), "")
		out, _, err := mend(strings.NewReader(in), false, 1<<30)
		if errors.Is(err, errHeader) && strings.Contains(in, ":") {
			return
		}
		if err != nil {
			rt.Fatal(err)
		}
		c := &checked{in: strings.NewReader(out), left: int64(len(out))}
		if _, err := io.ReadAll(c); err != nil {
			rt.Fatalf("%q became %q: %v", in, out, err)
		}
		if !strings.HasSuffix(out, "\r\n") {
			rt.Fatalf("%q became %q, which does not end", in, out)
		}
		if again, _, err := mend(strings.NewReader(out), false, 1<<30); err != nil || again != out {
			rt.Fatalf("%q became %q and then %q, %v", in, out, again, err)
		}
	})
}
