package message

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// check holds everything that is promised of any message.
func check(raw []byte) error {
	x := Index(raw)
	for _, wide := range []bool{false, true} {
		v, err := readAll(AppendEnvelope(nil, x.Envelope, wide), wide)
		if err := errors.Join(err, checkEnvelope(v)); err != nil {
			return fmt.Errorf("envelope: %w", err)
		}
		for _, extended := range []bool{false, true} {
			v, err := readAll(AppendBodyStructure(nil, x.Structure, extended, wide), wide)
			if err != nil {
				return fmt.Errorf("structure: %w", err)
			}
			if err := checkBody(v, extended, wide); err != nil {
				return fmt.Errorf("structure: %w", err)
			}
		}
	}
	for _, form := range []string{x.From, x.To, x.Cc, x.Bcc, x.Subject} {
		if !utf8.ValidString(form) || strings.ContainsAny(form, "\r\n\x00") {
			return fmt.Errorf("search form %q", form)
		}
	}
	root, err := ParseStructure(x.Structure)
	if err != nil {
		return err
	}
	if err := checkRoot(raw, root); err != nil {
		return err
	}
	parts := 0
	return errors.Join(checkPart(root, &parts), checkNumbers(root))
}

func checkRoot(raw []byte, root *Part) error {
	if root.HeaderStart != 0 || root.BodyEnd != len(raw) {
		return fmt.Errorf("the root is %d to %d of %d octets", root.HeaderStart, root.BodyEnd, len(raw))
	}
	header, body := SplitHeader(raw)
	if len(header) != root.HeaderEnd || len(body) != root.Size {
		return fmt.Errorf("header of %d octets, the root's %d", len(header), root.HeaderEnd)
	}
	return nil
}

// checkPart holds the order of offsets and the number of parts.
func checkPart(p *Part, parts *int) error {
	if *parts++; *parts > MaxParts {
		return errors.New("too many parts")
	}
	if p.HeaderStart > p.HeaderEnd || p.HeaderEnd != p.BodyStart || p.BodyStart > p.BodyEnd || p.Size != p.BodyEnd-p.BodyStart {
		return fmt.Errorf("offsets of %+v", p)
	}
	if p.Type == "" || p.Subtype == "" || p.Encoding == "" && p.Children == nil {
		return fmt.Errorf("type of %+v", p)
	}
	if (p.Type == "multipart") != (p.Children != nil) {
		return fmt.Errorf("children of %+v", p)
	}
	at := p.BodyStart
	inner := p.Children
	if p.Message != nil {
		inner = []*Part{p.Message}
		if p.Message.HeaderStart != p.BodyStart || p.Message.BodyEnd != p.BodyEnd {
			return fmt.Errorf("message at %+v in %+v", p.Message, p)
		}
	}
	for _, c := range inner {
		if c.HeaderStart < at || c.BodyEnd > p.BodyEnd {
			return fmt.Errorf("%+v is not within %+v", c, p)
		}
		at = c.BodyEnd
		if err := checkPart(c, parts); err != nil {
			return err
		}
	}
	return nil
}

// checkNumbers holds that each number finds its part, and no other does.
func checkNumbers(root *Part) error {
	var err error
	eachPart(root, func(path []int, p *Part) {
		if len(path) > 20 {
			return
		}
		if q, ok := root.Find(path); !ok || q != p {
			err = fmt.Errorf("part %s is not found", dotted(path))
		}
		if q, ok := root.Find(append(path[:len(path):len(path)], 1)); ok && p.Children == nil && p.Message == nil {
			err = fmt.Errorf("part %s.1 is %+v", dotted(path), q)
		}
		for _, s := range []Section{SectionBody, SectionHeader, SectionText, SectionMIME} {
			start, end, ok := root.Section(path, s)
			if ok != (s == SectionBody || s == SectionMIME || p.Message != nil) || start > end || end > root.BodyEnd {
				err = fmt.Errorf("section %d of %s is %d to %d, %v", s, dotted(path), start, end, ok)
			}
		}
	})
	return err
}

func FuzzIndex(f *testing.F) {
	for _, raw := range mails(f) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := check(raw); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzSearch(f *testing.F) {
	for _, raw := range mails(f) {
		f.Add(raw, "text")
	}
	f.Fuzz(func(t *testing.T, raw []byte, needle string) {
		needle = Fold(needle)
		if Fold(needle) != needle {
			t.Fatalf("%q folds again", needle)
		}
		blob := Index(raw).Structure
		if MatchText(raw, blob, needle, false) && !MatchText(raw, blob, needle, true) {
			t.Fatalf("%q is in the body, but not in the text", needle)
		}
		header, _ := SplitHeader(raw)
		if _, ok := Field(header, "subject"); ok != MatchHeader(header, "Subject", "") {
			t.Fatal("Field and MatchHeader disagree")
		}
		all := HeaderFields(header, nil, true)
		if len(all) < len(header) {
			t.Fatalf("%d octets of a header of %d", len(all), len(header))
		}
	})
}

// FuzzBlob reads blobs that the package never made.
func FuzzBlob(f *testing.F) {
	for _, raw := range mails(f) {
		f.Add(Index(raw).Structure)
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		AppendBodyStructure(nil, blob, true, false)
		AppendEnvelope(nil, blob, false)
		EnvelopeDate(blob)
		MatchText([]byte("a: b\r\n\r\ntext"), blob, "text", true)
		if p, err := ParseStructure(blob); err == nil {
			eachPart(p, func(_ []int, p *Part) { p.Filename() })
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("=E4=\r\n b  \r\n"), "iso-8859-1")
	f.Add([]byte("aGVsbG8="), "utf-7")
	f.Fuzz(func(t *testing.T, body []byte, charset string) {
		for _, encoding := range []string{"base64", "quoted-printable", "8bit"} {
			prefix := []byte("kept")
			out, err := DecodeTransfer(prefix, body, encoding)
			if err != nil || !bytes.HasPrefix(out, prefix) || len(out) > len(prefix)+len(body) {
				t.Fatalf("%s: %q, %v", encoding, out, err)
			}
		}
		appendCharset(nil, body, charset)
		appendDecodedWords(nil, body)
	})
}
