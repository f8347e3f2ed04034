package imapd

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hauspost/appliance/message"
)

// TestDecoder holds that decoding in blocks gives what decoding all at once
// gives, however the octets come in.
func TestDecoder(t *testing.T) {
	t.Parallel()
	fragment := rapid.SampledFrom([]string{
		"a", "Zm9v", "=", "==", "=4", "=41", "=0A", " ", "   ", "\t", "\r", "\n", "\r\n", "=\r\n", " =\r\n", " \r\n", "é", "!",
		"abcdefghij", "\x00",
	})
	rapid.Check(t, func(t *rapid.T) {
		encoding := rapid.SampledFrom([]string{"", "7bit", "BASE64", "Quoted-Printable"}).Draw(t, "encoding")
		list := rapid.SliceOfN(fragment, 0, 60).Draw(t, "fragments")
		raw := []byte(strings.Join(list, ""))
		for _, run := range []string{strings.Repeat("=", 20), strings.Repeat(" ", 20)} {
			raw = bytes.ReplaceAll(raw, []byte(run), []byte("x"))
		}
		want, err := message.DecodeTransfer(nil, raw, encoding)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		d, err := newDecoder(&got, encoding, 64)
		if err != nil {
			t.Fatal(err)
		}
		for rest := raw; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			if k, err := d.Write(rest[:n]); k != n || err != nil {
				t.Fatal(k, err)
			}
			rest = rest[n:]
		}
		if err := d.end(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("%s of %q:\n%q, want\n%q", encoding, raw, got.Bytes(), want)
		}
	})
}

// TestDecoderIsBounded: what cannot be told without what follows is not
// gathered without an end.
func TestDecoderIsBounded(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"=", " ", "\r", "A", "A=", "!"} {
		for _, encoding := range []string{"base64", "quoted-printable"} {
			d, err := newDecoder(io.Discard, encoding, 64)
			if err != nil {
				t.Fatal(err)
			}
			for range 1000 {
				if _, err := io.WriteString(d, text); err != nil || len(d.in) >= 64 || cap(d.in) > 128 {
					t.Fatalf("%s of %q: %d octets are held, %v", encoding, text, len(d.in), err)
				}
			}
		}
	}
	if _, err := newDecoder(io.Discard, "x-uuencode", 64); !errors.Is(err, message.ErrEncoding) {
		t.Error(err)
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	x := window{w: &got, skip: 3, left: 4}
	var err error
	for _, piece := range []string{"ab", "cde", "f", "ghi", "never"} {
		if _, err = io.WriteString(&x, piece); err != nil {
			break
		}
	}
	if got.String() != "defg" || x.n != 4 || !errors.Is(err, io.EOF) {
		t.Errorf("%q, %d, %v", got.String(), x.n, err)
	}
	count := window{skip: 1, left: 100}
	if _, err := io.WriteString(&count, "\x00bc"); err != nil || count.n != 2 || count.nul {
		t.Errorf("%+v, %v", count, err)
	}
	if _, err := io.WriteString(&count, "\x00"); err != nil || count.n != 3 || !count.nul {
		t.Errorf("%+v, %v", count, err)
	}
}
