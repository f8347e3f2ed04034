//go:build wasip1

// Command guest is the Go guest of the worker's tests: what it does stands in
// the sender of the event.
package main

import (
	"strings"
	"unsafe"

	"hauspost/plugins/abi"
)

//go:wasmimport hauspost_v1 event
func event(buf unsafe.Pointer, size uint32) int32

//go:wasmimport hauspost_v1 part_read
func partRead(part, view int32, offset int64, buf unsafe.Pointer, size uint32) int32

//go:wasmimport hauspost_v1 effects
func effects(buf unsafe.Pointer, size uint32) int32

// calls counts what a guest must not remember.
var (
	calls int
	kept  map[string][]byte
)

func main() {}

//go:wasmexport on_connect
func onConnect() int32 { return 0 }

//go:wasmexport on_message
func onMessage() int32 {
	buf := make([]byte, 4096)
	n := event(unsafe.Pointer(&buf[0]), uint32(len(buf)))
	if n < 0 || int(n) > len(buf) {
		return 1
	}
	var e abi.Event
	if e.Decode(buf[:n]) != nil {
		return 2
	}
	calls++
	switch e.Sender {
	case "panic":
		panic("the guest is not well")
	case "recurse":
		return recurse(int32(n))
	case "bomb":
		kept = map[string][]byte{}
		for {
			kept[e.ID] = append(kept[e.ID], make([]byte, 1<<20)...)
		}
	case "remember":
		if calls != 1 || kept != nil {
			return 3
		}
		kept = map[string][]byte{}
		for range 100 {
			kept[e.ID] = append(kept[e.ID], make([]byte, 40<<10)...)
		}
	case "scan":
		return scan()
	}
	return 0
}

func recurse(n int32) int32 { return recurse(n+1) + 1 }

var chunk [16 << 10]byte

// scan looks for a word in the text of part 0 and proposes a score.
func scan() int32 {
	found := 0
	for at := int64(0); ; {
		n := partRead(0, int32(abi.Text), at, unsafe.Pointer(&chunk[0]), uint32(len(chunk)))
		if n < 0 {
			return n
		}
		if n == 0 {
			break
		}
		at += int64(n)
		found += strings.Count(unsafe.String(&chunk[0], int(n)), "needle")
	}
	list := abi.Effects{List: []abi.Effect{{Kind: abi.Score, Symbol: "NEEDLES", Points: float64(found)}}}
	b := list.Append(nil)
	return effects(unsafe.Pointer(&b[0]), uint32(len(b)))
}
