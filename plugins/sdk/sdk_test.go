//go:build !wasip1

package sdk_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"hauspost/plugins/abi"
	"hauspost/plugins/sdk"
	"hauspost/plugins/sdk/sdktest"
)

func TestEffects(t *testing.T) {
	t.Parallel()
	const anna = "anna@example.org"
	got := new(sdktest.Box).Run(func(c *sdk.Call) error {
		c.Score("A", -1.5, "a good sign")
		c.Reject("B", "no")
		c.Tempfail("C", "later")
		c.Malware(abi.Discard, "D", "has malware in it")
		c.For(anna).Quarantine("E", "odd")
		c.For(anna).Discard("F", "unwanted")
		c.For(anna).Tag("$Family")
		c.AddHeader("X-Hello", "world")
		c.FileInto("Bills/2025")
		c.Copy("copy@example.org")
		c.Redirect("away@example.org")
		c.RequireTLS()
		c.Exempt("known")
		return nil
	})
	want := []abi.Effect{
		{Kind: abi.Score, Symbol: "A", Points: -1.5, Detail: "a good sign"},
		{Kind: abi.Stop, Stop: abi.Reject, Symbol: "B", Detail: "no"},
		{Kind: abi.Stop, Stop: abi.Tempfail, Symbol: "C", Detail: "later"},
		{Kind: abi.Stop, Stop: abi.Discard, Malware: true, Symbol: "D", Detail: "has malware in it"},
		{Kind: abi.Stop, Stop: abi.Quarantine, Symbol: "E", Detail: "odd", Recipient: anna},
		{Kind: abi.Stop, Stop: abi.Discard, Symbol: "F", Detail: "unwanted", Recipient: anna},
		{Kind: abi.Tag, Argument: "$Family", Recipient: anna},
		{Kind: abi.AddHeader, Name: "X-Hello", Argument: "world"},
		{Kind: abi.FileInto, Argument: "Bills/2025"},
		{Kind: abi.Copy, Argument: "copy@example.org"},
		{Kind: abi.Redirect, Argument: "away@example.org"},
		{Kind: abi.RequireTLS},
		{Kind: abi.Exempt, Detail: "known"},
	}
	if got.Err != nil || !reflect.DeepEqual(got.Effects, want) {
		t.Errorf("%+v", got)
	}
}

// TestManyEffects has more of them than one request takes and more than the
// host takes at all, with texts too long.
func TestManyEffects(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", abi.MaxText)
	got := new(sdktest.Box).Run(func(c *sdk.Call) error {
		for i := range 200 {
			c.Propose(abi.Effect{Kind: abi.Score, Symbol: strconv.Itoa(i), Detail: "x" + long, Argument: long, Name: long})
		}
		return nil
	})
	if got.Err != nil || len(got.Effects) != abi.MaxEffects || len(got.Log) != 1 {
		t.Fatalf("%d effects, %v, %v", len(got.Effects), got.Log, got.Err)
	}
	for i, e := range got.Effects {
		if e.Symbol != strconv.Itoa(i) || e.Detail != "x"+long[:abi.MaxText-2] || e.Argument != long[:abi.MaxText] {
			t.Fatalf("effect %d: %+v", i, e)
		}
	}
}

func TestErrorDropsEverything(t *testing.T) {
	t.Parallel()
	box := &sdktest.Box{}
	got := box.Run(func(c *sdk.Call) error {
		c.Score("A", 1, "")
		c.Warn("look ", "here")
		if err := c.Keys().Set("k", []byte("v"), sdk.Forever); err != nil {
			return err
		}
		return errors.New("it broke")
	})
	if got.Err == nil || len(got.Effects) != 0 || len(got.Changes) != 0 || len(box.Keys) != 0 {
		t.Errorf("%+v, keys %v", got, box.Keys)
	}
	want := []sdktest.Line{{Level: 2, Text: "look here"}, {Level: 3, Text: "it broke"}}
	if !reflect.DeepEqual(got.Log, want) {
		t.Errorf("%+v", got.Log)
	}
}

func TestEventIsSeen(t *testing.T) {
	t.Parallel()
	want := abi.Event{Stage: abi.OnSubmit, ID: "m1", Time: 12, Sender: "anna@example.org", Size: 7,
		Recipients: slices(1000), Account: "anna@example.org"}
	got := (&sdktest.Box{Event: want}).Run(func(c *sdk.Call) error {
		if !reflect.DeepEqual(c.Event, want) {
			t.Errorf("%+v", c.Event)
		}
		if first, second := c.Now(), c.Now(); first < want.Time || second <= first {
			t.Errorf("the clock says %d, then %d", first, second)
		}
		return nil
	})
	if got.Err != nil {
		t.Error(got.Err)
	}
}

func slices(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.Itoa(i) + "@example.org"
	}
	return list
}

func TestRandomRepeats(t *testing.T) {
	t.Parallel()
	octets := func(seed uint64) string {
		var b [40]byte
		(&sdktest.Box{Seed: seed}).Run(func(c *sdk.Call) error { return c.Random(b[:]) })
		return string(b[:])
	}
	first, again := octets(1), octets(1)
	if first != again || first == octets(2) || octets(0) == string(make([]byte, 40)) {
		t.Error("random octets do not follow the seed")
	}
}

const mixed = "From: anna@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nnobody sees this\r\n--b\r\n" +
	"Content-Type: text/plain; charset=iso-8859-15\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n5 =A4\r\n--b\r\n" +
	"Content-Type: text/html\r\n\r\n<style>p{}</style><p>one &amp; two</p>three\r\n--b\r\n" +
	"Content-Type: application/octet-stream; name=x\r\nContent-Disposition: attachment; filename=\"=?utf-8?q?f=C3=BCr.bin?=\"\r\n" +
	"Content-Transfer-Encoding: base64\r\nContent-ID: <c@x>\r\n\r\nAAEC\r\n/w==\r\n--b\r\n" +
	"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninside\r\n--b--\r\nafter\r\n"

func TestParts(t *testing.T) {
	t.Parallel()
	got := (&sdktest.Box{Raw: mixed}).Run(func(c *sdk.Call) error {
		parts, err := c.Parts()
		if err != nil || len(parts) != 6 {
			t.Fatalf("%+v, %v", parts, err)
		}
		for i, want := range []struct {
			kind   string
			parent int32
		}{{"multipart/mixed", -1}, {"text/plain", 0}, {"text/html", 0}, {"application/octet-stream", 0}, {"message/rfc822", 0}, {"text/plain", 4}} {
			if p := parts[i]; p.Type != want.kind || p.Parent != want.parent || p.Index != int32(i) {
				t.Errorf("part %d: %+v", i, p)
			}
		}
		if p := parts[3]; p.Disposition != "attachment" || p.Filename != "für.bin" || p.ContentID != "c@x" || p.Encoding != "base64" {
			t.Errorf("%+v", p)
		}
		for _, want := range []struct {
			part int
			view abi.View
			text string
		}{
			{1, abi.Raw, "5 =A4"}, {1, abi.Decoded, "5 \xa4"}, {1, abi.Text, "5 €"},
			{2, abi.Text, "one & two\nthree"},
			{3, abi.Raw, "AAEC\r\n/w=="}, {3, abi.Decoded, "\x00\x01\x02\xff"},
			{5, abi.PartHeader, "Subject: inner\r\n\r\n"}, {5, abi.Text, "inside"},
		} {
			if b, err := parts[want.part].Bytes(want.view, 1000); err != nil || string(b) != want.text {
				t.Errorf("part %d, view %d: %q, %v", want.part, want.view, b, err)
			}
		}
		if _, err := parts[3].Bytes(abi.Text, 10); err != abi.ErrInvalid {
			t.Errorf("the text of an octet stream: %v", err)
		}
		if _, err := parts[3].Open(abi.Text).Read(make([]byte, 10)); err != abi.ErrInvalid {
			t.Errorf("the text of an octet stream: %v", err)
		}
		if h, err := parts[5].Header(); err != nil || h.Get("subject") != "inner" {
			t.Errorf("%+v, %v", h, err)
		}
		return nil
	})
	if got.Err != nil {
		t.Error(got.Err)
	}
}

func TestReadsInPieces(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789abcdef", 200_000)
	got := (&sdktest.Box{Raw: "Subject: long\r\n\r\n" + body}).Run(func(c *sdk.Call) error {
		parts, err := c.Parts()
		if err != nil {
			return err
		}
		if err := iotest.TestReader(parts[0].Open(abi.Raw), []byte(body)); err != nil {
			t.Error(err)
		}
		for _, n := range []int{0, 1, 511, 4096, 1 << 20, 1<<20 + 1, len(body), len(body) + 1, 1 << 30} {
			b, err := parts[0].Bytes(abi.Raw, n)
			if err != nil || string(b) != body[:min(n, len(body))] {
				t.Errorf("%d octets: %d, %v", n, len(b), err)
			}
			var r io.Reader = parts[0].Open(abi.Raw)
			if b, err = io.ReadAll(io.LimitReader(r, int64(n))); err != nil || string(b) != body[:min(n, len(body))] {
				t.Errorf("%d octets by Open: %d, %v", n, len(b), err)
			}
		}
		return nil
	})
	if got.Err != nil {
		t.Error(got.Err)
	}
}

func TestStagesWithoutMessage(t *testing.T) {
	t.Parallel()
	(&sdktest.Box{Event: abi.Event{Stage: abi.OnConnect}}).Run(func(c *sdk.Call) error {
		if _, err := c.Header(); err != abi.ErrStage {
			t.Errorf("header: %v", err)
		}
		if _, err := c.Parts(); err != abi.ErrStage {
			t.Errorf("parts: %v", err)
		}
		return nil
	})
}

func TestKeys(t *testing.T) {
	t.Parallel()
	box := &sdktest.Box{Event: abi.Event{Time: 1000e9}, Keys: map[string]abi.Value{"old": {Found: true, Expires: 1000}}}
	got := box.Run(func(c *sdk.Call) error {
		keys := c.Keys()
		for _, err := range []error{
			keys.Set("value", []byte("v"), sdk.Minute), keys.Add("count", 2, sdk.Forever), keys.Add("count", -5, sdk.Day),
			keys.Set("gone", nil, 0), keys.Delete("gone"),
		} {
			if err != nil {
				return err
			}
		}
		v, err := keys.Get("value", "count", "gone", "old")
		want := []abi.Value{{Found: true, Bytes: []byte("v"), Expires: 1060}, {Found: true, Number: -3, Expires: 1000 + sdk.Day}, {}, {}}
		if err != nil || !reflect.DeepEqual(v, want) {
			t.Errorf("%+v, %v", v, err)
		}
		if err := keys.Set(strings.Repeat("k", abi.MaxKey+1), nil, 0); err != abi.ErrTooBig {
			t.Errorf("a key too long: %v", err)
		}
		if v, err := keys.Get(); v != nil || err != nil {
			t.Errorf("no keys: %v, %v", v, err)
		}
		return nil
	})
	if got.Err != nil || len(got.Changes) != 5 || len(box.Keys) != 2 {
		t.Errorf("%+v, %v", got, box.Keys)
	}
	box.Event.Time = 1060e9
	box.Run(func(c *sdk.Call) error {
		if v, err := c.Keys().Get("value", "count"); err != nil || v[0].Found || v[1].Number != -3 {
			t.Errorf("a minute later: %+v, %v", v, err)
		}
		return nil
	})
}

// TestManyKeys needs several requests by count, by the request's size and by
// that of the reply.
func TestManyKeys(t *testing.T) {
	t.Parallel()
	got := new(sdktest.Box).Run(func(c *sdk.Call) error {
		var changes []abi.Change
		names := slices(2500)
		for i, name := range names {
			changes = append(changes, abi.Change{Op: abi.OpSet, Key: []byte(name), Bytes: bytes.Repeat([]byte{byte(i)}, i%500)})
		}
		if err := c.Keys().Change(changes...); err != nil {
			return err
		}
		values, err := c.Keys().Get(names...)
		if err != nil || len(values) != len(names) {
			t.Fatalf("%d values, %v", len(values), err)
		}
		for i, v := range values {
			if !v.Found || !bytes.Equal(v.Bytes, changes[i].Bytes) {
				t.Fatalf("value %d: %+v", i, v)
			}
		}
		return nil
	})
	if got.Err != nil || len(got.Changes) != 2500 {
		t.Errorf("%d changes, %v", len(got.Changes), got.Err)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	box := &sdktest.Box{DNS: map[abi.Question]abi.Answer{
		{Name: "example.org", Type: "TXT"}: {Records: []string{"v=spf1 -all"}},
		{Name: "broken.test", Type: "A"}:   {Status: int32(abi.ErrAgain)},
	}}
	box.Run(func(c *sdk.Call) error {
		if txt, err := c.Lookup("Example.Org.", "TXT"); err != nil || !reflect.DeepEqual(txt, []string{"v=spf1 -all"}) {
			t.Errorf("%q, %v", txt, err)
		}
		if a, err := c.Lookup("example.org", "A"); a != nil || err != nil {
			t.Errorf("%q, %v", a, err)
		}
		if _, err := c.Lookup("broken.test", "A"); err != abi.ErrAgain {
			t.Errorf("%v", err)
		}
		questions := make([]abi.Question, 70)
		questions[69] = abi.Question{Name: "example.org", Type: "TXT"}
		answers, err := c.LookupAll(questions)
		if err != nil || len(answers) != 70 || answers[0].Status != abi.DNSNone || len(answers[69].Records) != 1 {
			t.Errorf("%+v, %v", answers, err)
		}
		return nil
	})
}

func TestService(t *testing.T) {
	t.Parallel()
	box := &sdktest.Box{Raw: mixed, Services: map[string]func(request, content []byte) ([]byte, error){
		"echo":   func(request, content []byte) ([]byte, error) { return append(request, content...), nil },
		"long":   func([]byte, []byte) ([]byte, error) { return make([]byte, 90<<10), nil },
		"broken": func([]byte, []byte) ([]byte, error) { return nil, errors.New("away") },
	}}
	box.Run(func(c *sdk.Call) error {
		if b, err := c.Service("echo", []byte("hi")); err != nil || string(b) != "hi" {
			t.Errorf("%q, %v", b, err)
		}
		if b, err := c.Service("long", nil); err != nil || len(b) != 90<<10 {
			t.Errorf("%d octets, %v", len(b), err)
		}
		if _, err := c.Service("broken", nil); err != abi.ErrAgain {
			t.Errorf("%v", err)
		}
		if _, err := c.Service("none", nil); err != abi.ErrNotFound {
			t.Errorf("%v", err)
		}
		parts, err := c.Parts()
		if err != nil {
			return err
		}
		if b, err := parts[3].Service("echo", abi.Decoded, []byte(">")); err != nil || string(b) != ">\x00\x01\x02\xff" {
			t.Errorf("%q, %v", b, err)
		}
		return nil
	})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	box := &sdktest.Box{Settings: map[string][]string{
		"text": {"a"}, "float": {"-1.5"}, "int": {"1_000"}, "hex": {"0x1F"}, "yes": {"true"}, "no": {"false"},
		"list": {"a", "b"}, "empty": {}, "limits.size": {"7"},
	}}
	got := box.Run(func(c *sdk.Call) error {
		s := c.Settings()
		if s.Text("text", "x") != "a" || s.Text("none", "x") != "x" {
			t.Error("texts")
		}
		if s.Number("float", 0) != -1.5 || s.Number("int", 0) != 1000 || s.Number("hex", 0) != 31 || s.Number("text", 3) != 3 || s.Number("limits.size", 0) != 7 {
			t.Error("numbers")
		}
		if !s.Truth("yes", false) || s.Truth("no", true) || !s.Truth("text", true) || s.Truth("none", false) {
			t.Error("truth")
		}
		if !reflect.DeepEqual(s.List("list"), []string{"a", "b"}) || len(s.List("empty", "x")) != 0 || len(s.List("none", "x")) != 1 {
			t.Error("lists")
		}
		return nil
	})
	if got.Err != nil {
		t.Error(got.Err)
	}
}
