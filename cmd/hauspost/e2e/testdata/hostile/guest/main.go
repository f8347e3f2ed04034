//go:build wasip1

// Command guest is a plugin that does evil, as the message asks for: the setting
// "field" names the header field that says what. Whatever that is, it first looks
// for anything that is left of an earlier message.
//
// It may import the plugin interface and the sdk alone.
package main

import (
	"errors"
	"os"
	"strings"
	"time"
	"unsafe"

	"hauspost/plugins/abi"
	"hauspost/plugins/sdk"
)

//go:wasmimport hauspost_v1 event
func hostEvent(ptr, room uint32) int32

//go:wasmimport hauspost_v1 effects
func hostEffects(ptr, size uint32) int32

//go:wasmimport hauspost_v1 part_read
func hostPartRead(part, view int32, offset int64, ptr, room uint32) int32

//go:wasmimport hauspost_v1 keys_get
func hostKeysGet(request, size, ptr, room uint32) int32

//go:wasmimport hauspost_v1 log
func hostLog(level int32, ptr, size uint32) int32

// What must be as at first in each call.
var (
	calls int
	kept  [][]byte
	sink  uint32
)

func main() {}

//go:wasmexport on_message
func onMessage() int32 { return sdk.Run(check) }

func check(c *sdk.Call) error {
	calls++
	if calls != 1 || kept != nil {
		return errors.New("I remember another message")
	}
	kept = append(kept, make([]byte, 1<<20))
	header, err := c.Header()
	if err != nil {
		return err
	}
	what, argument, _ := strings.Cut(header.Get(c.Settings().Text("field", "X-Do")), " ")
	if do := deeds[what]; do != nil {
		if err := do(c, argument); err != nil || what == "many" {
			return err
		}
	}
	c.Score("SEEN", 0.5, "the plugin saw it")
	return nil
}

var deeds = map[string]func(c *sdk.Call, argument string) error{
	"loop": func(*sdk.Call, string) error {
		for {
			sink++
		}
	},
	"doze": func(*sdk.Call, string) error {
		for {
			time.Sleep(time.Hour)
		}
	},
	"recurse": func(*sdk.Call, string) error { return recurse(1) },
	"bomb": func(*sdk.Call, string) error {
		for {
			kept = append(kept, make([]byte, 1<<20))
		}
	},
	"panic": func(*sdk.Call, string) error { panic("I am not well") },
	"exit": func(*sdk.Call, string) error {
		os.Exit(3)
		return nil
	},
	"garbage": garbage,
	"many":    many,
	"range":   outOfRange,
	"storm":   storm,
	"chatter": chatter,
	"dns":     lookup,
	"keep": func(c *sdk.Call, key string) error {
		return c.Keys().Set(key, []byte("mine"), sdk.Forever)
	},
	"find": func(c *sdk.Call, key string) error {
		values, err := c.Keys().Get(key)
		if err == nil && values[0].Found {
			c.Score("FOUND", 0.25, string(values[0].Bytes))
		}
		return err
	},
}

func recurse(n int) error {
	if n%2 == 0 {
		return errors.Join(recurse(n+1), nil)
	}
	return errors.Join(recurse(n+2), nil)
}

func at(b []byte) (ptr, size uint32) {
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), uint32(len(b))
}

func want(what string, got, want int32) error {
	if got != want {
		return errors.New(what + " did not give what it had to")
	}
	return nil
}

// garbage proposes what makes no sense, from octets that are no message to
// effects that are none.
func garbage(*sdk.Call, string) error {
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(i*i>>3 ^ 0xa5)
	}
	err := want("noise", hostEffects(at(noise)), int32(abi.ErrInvalid))
	nan := 0.0
	odd := abi.Effects{List: []abi.Effect{
		{Kind: 77, Symbol: "ODD"},
		{Kind: abi.Score, Symbol: "NAN", Points: nan / nan},
		{Kind: abi.Score, Symbol: "HUGE", Points: 1e300, Detail: "a\r\nb\x00\x1b[2J\xff"},
		{Kind: abi.Stop, Stop: 99},
		{Kind: abi.Stop, Stop: abi.Discard},
		{Kind: abi.AddHeader, Name: "Bcc", Argument: "x@example.org\r\n\r\nbody"},
		{Kind: abi.FileInto, Argument: "../../etc"},
		{Kind: abi.Score, Symbol: "STRANGER", Recipient: "nobody@example.org"},
	}}
	return errors.Join(err, want("odd effects", hostEffects(at(odd.Append(nil))), 0))
}

// many proposes ten thousand effects.
func many(*sdk.Call, string) error {
	taken, refused := 0, 0
	for range 10_000 {
		one := abi.Effects{List: []abi.Effect{{Kind: abi.Score, Symbol: "MANY", Points: 0.001}}}
		switch hostEffects(at(one.Append(nil))) {
		case 0:
			taken++
		case int32(abi.ErrTooBig):
			refused++
		}
	}
	if taken != abi.MaxEffects || refused != 10_000-abi.MaxEffects {
		return errors.New("another number of effects was taken")
	}
	return nil
}

// outOfRange has the host read and write where there is no memory, and read
// parts that there are not.
func outOfRange(*sdk.Call, string) error {
	const far = 0xffff_fff0
	b := make([]byte, 64)
	ptr, size := at(b)
	return errors.Join(
		want("event at the end", hostEvent(far, 64), int32(abi.ErrFault)),
		want("event of 4 GB", hostEvent(ptr, 0xffff_ffff), int32(abi.ErrFault)),
		want("effects", hostEffects(far, 64), int32(abi.ErrFault)),
		want("log", hostLog(1, far, 64), int32(abi.ErrFault)),
		want("level", hostLog(-5, ptr, size), int32(abi.ErrInvalid)),
		want("a request", hostKeysGet(far, 64, ptr, size), int32(abi.ErrFault)),
		want("part_read", hostPartRead(0, 0, 0, far, 64), int32(abi.ErrFault)),
		want("an offset", hostPartRead(0, 0, -1, ptr, size), int32(abi.ErrInvalid)),
		want("far behind", hostPartRead(0, 0, 1<<62, ptr, size), 0),
		want("a part", hostPartRead(1<<30, 0, 0, ptr, size), int32(abi.ErrNotFound)),
		want("no part", hostPartRead(-1, 0, 0, ptr, size), int32(abi.ErrNotFound)),
		want("a view", hostPartRead(0, 99, 0, ptr, size), int32(abi.ErrInvalid)),
	)
}

// storm calls the host until its budget is used up, and then some.
func storm(c *sdk.Call, _ string) error {
	for range abi.MaxCalls {
		hostEvent(0, 0)
	}
	err := want("a call more", hostEvent(0, 0), int32(abi.ErrBudget))
	if err == nil {
		err = errors.New("the budget is used up")
	}
	return err
}

// chatter writes lines in all ways that there are, and then 100 MB at a time.
func chatter(c *sdk.Call, _ string) error {
	const line = "\x1b[31mlook at me"
	for range 5000 {
		c.Info(line)
		_, _ = os.Stdout.WriteString(line + "\n")
	}
	page := []byte(strings.Repeat(line, 1<<16))
	for range 100 {
		ptr, size := at(page)
		hostLog(2, ptr, size)
		_, _ = os.Stdout.Write(page)
	}
	return nil
}

// lookup asks for the addresses of a name.
func lookup(c *sdk.Call, name string) error {
	records, err := c.Lookup(name, "A")
	switch {
	case err == abi.ErrAgain:
		c.Score("NO_ANSWER", 0.25, "the name server does not answer")
		return nil
	case err == nil && len(records) == 1:
		c.Score("ANSWER", 0.25, records[0])
		return nil
	case err == nil:
		return errors.New("other records")
	}
	return err
}
