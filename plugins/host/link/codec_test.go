package link

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"hauspost/plugins/abi"
)

// samples has every frame, each once with everything in it and once empty.
func samples() []Frame {
	hash := [32]byte{1, 2, 31: 255}
	return []Frame{
		&Configure{},
		&Configure{Plugins: 3, Parallel: 4, Cache: "/data/cache", Memory: 1 << 40},
		&Load{},
		&Load{ID: "hello", SHA256: hash, Stages: []abi.Stage{abi.OnMessage, abi.OnTimer}, Imports: []string{"event", "dns"},
			Effects: []abi.Kind{abi.Score, abi.Exempt}, Memory: 32 << 20, Settings: []byte("settings"), Seed: hash},
		&Run{},
		&Run{ID: math.MaxUint64, Event: bytes.Repeat([]byte{7}, abi.MaxEvent), Chain: []Step{{Plugin: 1, Time: -5, Seed: hash}, {Time: math.MaxInt64}}, HasFile: true},
		&Answer{},
		&Answer{ID: 9, Errno: abi.ErrAgain, Data: bytes.Repeat([]byte{1}, abi.MaxReply)},
		&Cancel{},
		&Cancel{ID: 77},
		&Loading{},
		&Loading{Plugin: 300, Start: true},
		&Ready{},
		&Ready{Plugins: []Loaded{{Error: "no"}, {Took: time.Second, Pooled: true, Memory: 3 << 20}}, Walls: []string{"landlock", ""}, Missing: []string{"seccomp"}, Compiler: true},
		&Result{},
		&Result{Run: 5, Position: 2, Failure: FailTrap, Text: "unreachable", Effects: []byte{1}, Changes: []byte{2, 3}, Log: []string{"a", "ü"},
			Memory: 1 << 33, Took: -1, Last: true},
		&More{},
		&More{Run: 4, Position: 1, Effects: []byte("e"), Changes: bytes.Repeat([]byte{3}, MaxPiece)},
		&Ask{Kind: AskKeys},
		&Ask{ID: 3, Run: 4, Position: 5, Kind: AskService, Data: []byte("request"), HasFile: true},
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, f := range samples() {
		b := Append(nil, f)
		if len(b) > MaxFrame {
			t.Errorf("%T has %d octets", f, len(b))
		}
		got, err := Decode(b)
		if err != nil {
			t.Errorf("%T: %v", f, err)
		} else if !reflect.DeepEqual(got, f) {
			t.Errorf("got %+v, want %+v", got, f)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	refused := map[string][]byte{
		"nothing":                  nil,
		"an unknown kind":          {99},
		"kind zero":                {0},
		"too long":                 append(Append(nil, &Cancel{}), make([]byte, MaxFrame)...),
		"a list longer than it is": {kindReady, 0xff, 0xff, 0xff, 0xff, 0x0f},
		"a text longer than it is": {kindMore, 1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"a number that never ends": {kindCancel, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"a truth value of 2":       append(Append(nil, &Ask{Kind: AskKeys})[:6], 2),
		"an unknown question":      Append(nil, &Ask{Kind: 9}),
		"a positive errno":         Append(nil, &Answer{Errno: 1}),
		"a position beyond 31 bit": {kindMore, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 0},
	}
	for _, f := range samples() {
		b := Append(nil, f)
		if len(b) > 500 {
			continue
		}
		for n := range b {
			refused[string(b[:n])] = b[:n]
		}
		refused["with more behind "+string(b)] = append(b, 0)
	}
	for name, b := range refused {
		if f, err := Decode(b); !errors.Is(err, ErrFrame) {
			t.Errorf("%q gives %+v, %v", name, f, err)
		}
	}
}

// FuzzDecode: whatever a worker sends, a frame is refused or is the same again
// after encoding it.
func FuzzDecode(f *testing.F) {
	for _, s := range samples() {
		if b := Append(nil, s); len(b) < 1000 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrFrame) {
				t.Fatal(err)
			}
			return
		}
		again := Append(nil, first)
		second, err := Decode(again)
		if err != nil {
			t.Fatalf("%+v cannot be decoded again: %v", first, err)
		}
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("%+v became %+v", first, second)
		}
	})
}
