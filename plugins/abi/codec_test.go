package abi

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// message is what all messages of the interface are.
type message interface {
	Append([]byte) []byte
	Decode([]byte) error
}

// blank makes one empty message of each type.
func blank() []message {
	return []message{
		&Event{}, &Client{}, &Fact{}, &Finding{}, &Settings{}, &Setting{}, &Parts{}, &Part{},
		&KeysRequest{}, &KeysReply{}, &Value{}, &KeysChange{}, &Change{},
		&DNSRequest{}, &Question{}, &DNSReply{}, &Answer{},
		&ServiceRequest{}, &ServiceReply{}, &Effects{}, &Effect{},
	}
}

func name(m message) string { return reflect.TypeOf(m).Elem().Name() }

func TestEmptyMessages(t *testing.T) {
	t.Parallel()
	for _, m := range blank() {
		if b := m.Append(nil); len(b) != 0 {
			t.Errorf("%s: the empty message is % x", name(m), b)
		}
		if err := m.Decode(nil); err != nil {
			t.Errorf("%s: %v", name(m), err)
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	e := Effects{List: []Effect{{Kind: Score, Detail: strings.Repeat("x", 300)}}}
	want := e.Append(nil)
	if got := e.Append([]byte("before")); !bytes.Equal(got, append([]byte("before"), want...)) {
		t.Errorf("% x", got)
	}
}

// TestLengths crosses every border of the octets that a length takes.
func TestLengths(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 100, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 16370, 16379, 16380, 16384, 16390, 1 << 21, 1<<21 + 5} {
		in := Settings{List: []Setting{{Name: "n", Values: []string{strings.Repeat("v", n), ""}}, {Name: "after"}}}
		var out Settings
		if err := out.Decode(in.Append(nil)); err != nil || !reflect.DeepEqual(in, out) {
			t.Errorf("%d octets do not come back: %v", n, err)
		}
	}
}

func TestDecodeForgetsWhatWasThere(t *testing.T) {
	t.Parallel()
	e := Event{ID: "old", Recipients: []string{"old"}, Client: Client{Port: 25}}
	if err := e.Decode((&Event{Sender: "new"}).Append(nil)); err != nil || !reflect.DeepEqual(e, Event{Sender: "new"}) {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestDecodeCopies(t *testing.T) {
	t.Parallel()
	b := (&Change{Op: OpSet, Key: []byte("key"), Bytes: []byte("value")}).Append(nil)
	var c Change
	if err := c.Decode(b); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if string(c.Key) != "key" || string(c.Bytes) != "value" {
		t.Errorf("%q %q", c.Key, c.Bytes)
	}
	if c.Key = append(c.Key, "!!!!"...); string(c.Bytes) != "value" {
		t.Errorf("to append to one field changes another: %q", c.Bytes)
	}
}

// TestTextsAreUTF8 keeps one stray octet, in a file name for example, from
// making a whole message useless to guests in other languages.
func TestTextsAreUTF8(t *testing.T) {
	t.Parallel()
	var p Part
	if err := p.Decode((&Part{Filename: "gr\xfc\xdfe.pdf", Type: "a/b"}).Append(nil)); err != nil {
		t.Fatal(err)
	}
	if p.Filename != "gr\ufffd\ufffde.pdf" || p.Type != "a/b" {
		t.Errorf("%+v", p)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for what, b := range map[string]string{
		"tag without value":          "\x08",
		"tag cut off":                "\x88",
		"length cut off":             "\x12\x80",
		"length beyond the end":      "\x12\x05abcd",
		"enormous length":            "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"number of eleven octets":    "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80\x01",
		"number above 64 bits":       "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
		"field 0":                    "\x00\x01",
		"field number above 29 bits": "\x80\x80\x80\x80\x10\x01",
		"group":                      "\x0b\x0c",
		"end of a group":             "\x0c",
		"wire type 6":                "\x0e",
		"wire type 7":                "\x0f",
		"double cut off":             "\x81\x01\x00\x00\x00",
		"unknown fixed32 cut off":    "\x9d\x06\x00",
		"no UTF-8":                   "\x12\x01\xff",
		"fault in a message within":  "\x2a\x01\x08",
		"fault in an element":        "\x52\x02\x0a\x05",
	} {
		var e Event
		if err := e.Decode([]byte(b)); !errors.Is(err, ErrWire) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTolerated(t *testing.T) {
	t.Parallel()
	unknown := "\xa0\x06\x01" + "\xa1\x06\x01\x02\x03\x04\x05\x06\x07\x08" + "\xa2\x06\x03abc" + "\xa5\x06\x01\x02\x03\x04"
	for what, c := range map[string]struct {
		in   string
		want Event
	}{
		"unknown fields":               {unknown + "\x12\x01a" + unknown, Event{ID: "a"}},
		"unknown fields within":        {"\x2a" + string(rune(len(unknown)+3)) + unknown + "\x0a\x01a", Event{Client: Client{Address: "a"}}},
		"another wire type":            {"\x10\x07\x0a\x01x\x12\x01a", Event{ID: "a"}},
		"the last one counts":          {"\x12\x01a\x12\x01b", Event{ID: "b"}},
		"a message in two pieces":      {"\x2a\x03\x0a\x01a\x2a\x02\x10\x19", Event{Client: Client{Address: "a", Port: 25}}},
		"an element that is empty":     {"\x3a\x00\x52\x00", Event{Recipients: []string{""}, Facts: []Fact{{}}}},
		"any truth":                    {"\x70\x02", Event{Junk: true}},
		"a longer number than needed":  {"\x08\x84\x80\x00", Event{Stage: OnMessage}},
		"an int32 of more than 32 bit": {"\x08\x84\x80\x80\x80\x10", Event{Stage: OnMessage}},
		"fields in another order":      {"\x32\x01s\x12\x01i", Event{ID: "i", Sender: "s"}},
	} {
		var e Event
		if err := e.Decode([]byte(c.in)); err != nil || !reflect.DeepEqual(e, c.want) {
			t.Errorf("%s: %+v, %v", what, e, err)
		}
	}
}

func TestDoubles(t *testing.T) {
	t.Parallel()
	for _, f := range []float64{0, math.Copysign(0, -1), 1, -2.5, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), math.NaN()} {
		var out Effect
		if err := out.Decode((&Effect{Points: f}).Append(nil)); err != nil || math.Float64bits(out.Points) != math.Float64bits(f) {
			t.Errorf("%v came back as %v, %v", f, out.Points, err)
		}
	}
}

// TestAllocationIsBounded sends the message that costs most for its length:
// nothing but empty elements.
func TestAllocationIsBounded(t *testing.T) {
	const n = 32 << 10
	b := bytes.Repeat([]byte{1<<3 | octets, 0}, n)
	for _, m := range blank() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := m.Decode(b)
		runtime.ReadMemStats(&after)
		if most := uint64(64 * len(b)); after.TotalAlloc-before.TotalAlloc > most {
			t.Errorf("%s: %d octets of memory for %d (%v)", name(m), after.TotalAlloc-before.TotalAlloc, len(b), err)
		}
	}
}
