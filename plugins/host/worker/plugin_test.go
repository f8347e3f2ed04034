package worker

import (
	"context"
	"strings"
	"testing"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

// Code that returns 1 where the state kept in it is not as at first, and
// otherwise changes it.
func remembers(read, write []byte) [][]byte {
	return [][]byte{read, op(0x04, 0x40), i32const(1), op(0x0f, 0x0b), write, ok}
}

func TestGuestsForget(t *testing.T) {
	t.Parallel()
	guests := map[string]func() *builder{
		"memory": func() *builder {
			return newBuilder().stage(remembers(
				append(i32const(100), 0x28, 2, 0),
				append(append(i32const(100), i32const(1)...), 0x36, 2, 0))...)
		},
		"data": func() *builder {
			b := newBuilder()
			b.data = []byte{0, 0, 0, 0}
			return b.stage(remembers(append(i32const(0), 0x28, 2, 0), append(append(i32const(0), i32const(1)...), 0x36, 2, 0))...)
		},
		"exported global": func() *builder {
			b := newBuilder()
			b.export("state", kindGlobal, b.global(typeI32, true, 0x41, 0))
			return b.stage(remembers(op(0x23, 0), append(i32const(1), 0x24, 0))...)
		},
		"hidden global": func() *builder {
			b := newBuilder()
			b.global(typeI64, false, 0x42, 5)
			b.global(typeI32, true, 0x41, 0)
			return b.stage(remembers(op(0x23, 1), append(i32const(1), 0x24, 1))...)
		},
		"size of memory": func() *builder { // memory.size - 1; memory.grow 3
			return newBuilder().stage(remembers(
				append(append(op(0x3f, 0), i32const(1)...), 0x6b),
				append(i32const(3), 0x40, 0, 0x1a))...)
		},
		"grown memory": func() *builder { // grows by one page, looks into it and writes there
			read := append(append(i32const(1), 0x40, 0, 0x1a), append(i32const(70000), 0x28, 2, 0)...)
			return newBuilder().stage(remembers(read, append(append(i32const(70000), i32const(1)...), 0x36, 2, 0))...)
		},
		"table": func() *builder { // table.get 0 is null? table.set 0 the function
			b := newBuilder()
			b.tables = []byte{typeFunc, 0, 1}
			b.elements = []byte{3, 0, 1, 0} // declares function 0
			f := b.fn("", signature{})
			return b.stage(remembers(append(i32const(0), 0x25, 0, 0xd1, 0x45), append(append(i32const(0), 0xd2, byte(f)), 0x26, 0))...)
		},
		"size of a table": func() *builder {
			b := newBuilder()
			b.tables = []byte{typeFunc, 0, 0}
			return b.stage(remembers(op(0xfc, 16, 0), append(append(op(0xd0, typeFunc), i32const(1)...), 0xfc, 15, 0, 0x1a))...)
		},
		"table behind vectors": func() *builder {
			// The number of a vector instruction that is longer than it has to be:
			// some read it as one octet, and the next as an instruction of its own,
			// behind which here a block ends and a table is changed.
			b := newBuilder()
			b.tables = []byte{typeFunc, 0, 1}
			b.elements = []byte{3, 0, 1, 0}
			f := b.fn("", signature{})
			return b.stage(remembers(append(i32const(0), 0x25, 0, 0xd1, 0x45),
				append(append(i32const(0), 0xd2, byte(f)), 0x02, 0x40, 0x0c, 0, 0xfd, 0x80, 0, 0x0b, 0x26, 0))...)
		},
		"vector global": func() *builder {
			b := newBuilder()
			b.global(typeV128, true, append([]byte{0xfd, 12}, make([]byte, 16)...)...)
			return b.stage(remembers(op(0x23, 0, 0xfd, 27, 0), append(i32const(1), 0xfd, 17, 0x24, 0))...)
		},
	}
	// Types of later versions are more than one octet. Who takes the second one, here
	// the number 2 of a type, for an instruction sees a block, whose type is the next
	// octet, and an f64.const instead of what changes the table.
	hidden := func(before ...byte) func() *builder {
		return func() *builder {
			b := newBuilder()
			b.tables = []byte{typeFunc, 0, 1}
			b.elements = []byte{3, 0, 1, 0}
			b.typ(signature{})
			b.typ(signature{results: i32})
			b.typ(signature{results: i64})
			f := b.fn("", signature{})
			write := append(append(i32const(0), 0xd2, byte(f)), append(append(op(0x02, 0x40, 0x0c, 0), before...), 0x41, 0x44, 0x1a, 0x00, 0x0b, 0x1a, 0x0b, 0x26, 0)...)
			return b.stage(remembers(append(i32const(0), 0x25, 0, 0xd1, 0x45), write)...)
		}
	}
	guests["table behind a block"] = hidden(0x02, 0x63, 2)
	guests["table behind a long block"] = hidden(0x02, 0xe3, 0x7f, 2)
	fresh := map[string]bool{"table behind a block": true, "table behind a long block": true,
		"table": true, "table behind vectors": true, "size of a table": true, "vector global": true}
	for name, guest := range guests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := started(t, guest().bytes())
			if p.pooled == fresh[name] {
				t.Errorf("pooled is %v", p.pooled)
			}
			first, err := p.get(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			// Without setting back it does remember: the guest is a test at all.
			if f := first.call(context.Background(), abi.OnMessage, testCall()); f != nil {
				t.Fatal(f.text)
			}
			if f := first.call(context.Background(), abi.OnMessage, testCall()); f == nil {
				t.Fatal("the guest remembers nothing")
			}
			p.put(context.Background(), first)
			for range 5 {
				if f := once(t, p, testCall()); f != nil {
					t.Fatal("the guest remembers:", f.text)
				}
			}
			if p.pooled && len(p.idle) != 1 {
				t.Errorf("%d instances wait", len(p.idle))
			}
		})
	}
}

func TestGoGuestForgets(t *testing.T) {
	t.Parallel()
	p := started(t, goGuest(t, "guest"))
	if !p.pooled {
		t.Fatal("a Go guest is not pooled")
	}
	instances := map[*instance]bool{}
	for range 5 {
		i, err := p.get(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		instances[i] = true
		before := i.mod.Memory().Size()
		if f := i.call(context.Background(), abi.OnMessage, from("remember")); f != nil {
			t.Fatal(f.text)
		}
		if i.mod.Memory().Size() <= before {
			t.Error("the memory did not grow")
		}
		p.put(context.Background(), i)
		if i.mod.Memory().Size() != before {
			t.Error("the memory stays grown")
		}
	}
	if len(instances) != 1 {
		t.Errorf("%d instances were made", len(instances))
	}
}

func from(sender string) *call {
	c := testCall()
	c.event = (&abi.Event{Stage: abi.OnMessage, ID: "m1", Sender: sender}).Append(nil)
	return c
}

func TestFailures(t *testing.T) {
	t.Parallel()
	wasm := goGuest(t, "guest")
	load := loadOf(wasm)
	load.Stages = append(load.Stages, abi.OnConnect)
	load.Memory = 24 << 20
	p := startedAs(t, wasm, load)
	for _, c := range []struct{ sender, kind, text string }{
		{"panic", link.FailTrap, "unreachable in "},
		{"recurse", link.FailMemory, "more memory"}, // its stacks lie in its memory
		{"bomb", link.FailMemory, "it wanted more memory than its 24576 KB: "},
	} {
		f := once(t, p, from(c.sender))
		if f == nil || f.kind != c.kind || !strings.Contains(f.text, c.text) {
			t.Errorf("%s: %+v", c.sender, f)
		}
		if f != nil && strings.Contains(f.text, "not well") {
			t.Errorf("%s: what the guest wrote stands in its failure: %s", c.sender, f.text)
		}
		if f := once(t, p, from("remember")); f != nil {
			t.Errorf("after %s: %+v", c.sender, f)
		}
	}
}

func TestTraps(t *testing.T) {
	t.Parallel()
	wasi := func(name string) func(*builder) uint32 {
		return func(b *builder) uint32 { return b.imp(abi.WASI, name, wasiFunctions[name].typ) }
	}
	for name, c := range map[string]struct {
		imports    func(*builder) uint32
		code       []byte
		kind, text string
	}{
		"unreachable":  {nil, op(0x00), link.FailTrap, "unreachable"},
		"out of range": {nil, append(i32const(-8), 0x28, 2, 0), link.FailTrap, "out of bounds memory access"},
		"division":     {nil, append(append(i32const(1), i32const(0)...), 0x6d), link.FailTrap, "integer divide by zero"},
		"recursion":    {nil, op(0x10, 0), link.FailTrap, "stack overflow"},
		"result":       {nil, i32const(7), link.FailTrap, "it returned 7"},
		"exit":         {wasi("proc_exit"), append(callOp(0, 3), i32const(0)...), link.FailExit, "code 3"},
		"good exit":    {wasi("proc_exit"), append(callOp(0, 0), i32const(0)...), link.FailExit, "code 0"},
		"memory":       {nil, append(append(i32const(1000), 0x40, 0), 0x00), link.FailMemory, "more memory"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBuilder()
			if c.imports != nil {
				c.imports(b)
			}
			p := started(t, b.stage(c.code).bytes())
			for range 2 {
				f := once(t, p, testCall())
				if f == nil || f.kind != c.kind || !strings.Contains(f.text, c.text) || strings.ContainsAny(f.text, "\n\t") {
					t.Fatalf("%+v", f)
				}
			}
		})
	}
}

func TestWhatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	const dnsDenied = `the module imports dns of hauspost_v1, for which there is no grant: it needs "dns"`
	none := func(*link.Load) {}
	for name, c := range map[string]struct {
		wasm []byte
		load func(*link.Load)
		text string
	}{
		"garbage":   {[]byte("MZ and so on"), none, "no WebAssembly module"},
		"component": {[]byte("\x00asm\x0d\x00\x01\x00"), none, "components do not work"},
		"cut":       {newBuilder().stage(ok).bytes()[:40], none, "damaged"},
		"no memory": {func() []byte { b := &builder{min: 1}; return b.stage(ok).bytes() }(), none, `does not export its memory`},
		"no stage":  {newBuilder().bytes(), none, "exports no such function"},
		"bad stage": {func() []byte {
			b := newBuilder()
			b.fn("on_message", signature{params: i32, results: i32}, ok)
			return b.bytes()
		}(), none, "has the type (i32) -> i32; it must be () -> i32"},
		"no grant": {imports(abi.Module, "dns", hostFunctions["dns"].typ), func(l *link.Load) { l.Imports = []string{"event"} }, dnsDenied},
		"forged version": {imports("hauspost_v9", "event", signature{i32 + i32, i32}), none,
			"the module imports event of hauspost_v9: this box has version 1"},
		"new call":       {imports(abi.Module, "teleport", signature{}), none, "this box does not have"},
		"other module":   {imports("env", "abort", signature{}), none, "there is only hauspost_v1 and wasi_snapshot_preview1"},
		"wrong type":     {imports(abi.Module, "event", signature{i32, i32}), none, "with the type (i32) -> i32; it is (i32, i32) -> i32"},
		"reserved name":  {newBuilder().export(globalPrefix+"0", kindMemory, 0).stage(ok).bytes(), none, "are the host's"},
		"too much":       {func() []byte { b := newBuilder(); b.min = 600; return b.stage(ok).bytes() }(), none, "needs 38400 KB of memory from the start"},
		"invalid":        {newBuilder().stage(op(0x6a)).bytes(), none, "cannot be compiled"},
		"strange limits": {newBuilder().stage(ok).bytes(), func(l *link.Load) { l.Memory = 5 }, "its limit of memory"},
	} {
		t.Run(name, func(t *testing.T) {
			load := loadOf(c.wasm)
			c.load(load)
			p, err := newPlugin(context.Background(), load, c.wasm, "")
			if err == nil {
				p.close()
				t.Fatal("it was loaded")
			}
			if !strings.Contains(err.Error(), c.text) {
				t.Error(err)
			}
		})
	}
}

func imports(mod, name string, s signature) []byte {
	b := newBuilder()
	b.imp(mod, name, s)
	return b.stage(ok).bytes()
}

func TestFailureAtStart(t *testing.T) {
	t.Parallel()
	b := newBuilder().stage(ok)
	b.fn("_initialize", signature{}, op(0x00))
	wasm := b.bytes()
	p, err := newPlugin(context.Background(), loadOf(wasm), wasm, "")
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if err := p.start(context.Background(), testPages()); err == nil || !strings.Contains(err.Error(), "fails when it starts: unreachable") {
		t.Error(err)
	}
}

// A module's own upper bound of its memory holds, though rewriting drops it.
func TestOwnLimit(t *testing.T) {
	t.Parallel()
	b := newBuilder()
	b.max = 2
	// memory.grow 1 must give 1, memory.grow 1 again must fail.
	code := append(append(i32const(1), 0x40, 0), append(append(i32const(1), 0x40, 0), 0x6a)...)
	p := started(t, b.stage(code).bytes())
	if f := once(t, p, testCall()); f != nil {
		t.Error(f.text) // 1 + -1 = 0
	}
}
