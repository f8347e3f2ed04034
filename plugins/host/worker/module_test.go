package worker

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"

	"hauspost/plugins/abi"
)

// What is rewritten is the same module to wazero.
func TestRewrite(t *testing.T) {
	t.Parallel()
	b := newBuilder()
	b.imp(abi.WASI, "sched_yield", wasiFunctions["sched_yield"].typ)
	b.max = 3
	b.global(typeI32, true, 0x41, 1)
	b.global(typeF64, false, append([]byte{0x44}, make([]byte, 8)...)...)
	b.global(typeI64, true, 0x42, 2)
	b.data = []byte("data")
	wasm := b.stage(ok).bytes()
	m, err := parseModule(wasm)
	if err != nil {
		t.Fatal(err)
	}
	again, err := parseModule(m.rewrite())
	if err != nil {
		t.Fatal(err)
	}
	if len(again.exports) != len(m.exports)+2 || again.maxPages != 0 || again.minPages != 1 {
		t.Errorf("%+v", again)
	}
	for _, index := range []uint32{0, 2} {
		if e := again.exports[globalName(index)]; e.kind != kindGlobal || e.index != index {
			t.Error(index, e)
		}
	}
}

// Memory is the same with merged data.
func TestMergeData(t *testing.T) {
	t.Parallel()
	segment := func(at int32, data string) []byte {
		b := append(appendS32([]byte{0, 0x41}, at), 0x0b)
		return appendName(b, data)
	}
	section := func(list ...[]byte) []byte {
		b := appendU32(nil, uint32(len(list)))
		for _, s := range list {
			b = append(b, s...)
		}
		return b
	}
	m := &module{}
	got, ok := m.mergeData(section(segment(10, "ab"), segment(12, "cd"), segment(20, "e"), segment(500, ""), segment(-10, "end"), segment(5000, "f")))
	want := section(segment(10, "abcd\x00\x00\x00\x00\x00\x00e"), segment(500, ""), segment(5000, "f"), segment(-10, "end"))
	if !ok || string(got) != string(want) {
		t.Errorf("%q", got)
	}
	for _, other := range [][]byte{
		section(segment(10, "abc"), segment(12, "d")),
		section(segment(10, "abc"), segment(9, "de")),
		section([]byte{1, 1, 'x'}),
		section([]byte{0, 0x23, 0, 0x0b, 0}),
		append(section(segment(1, "a")), 0),
	} {
		if got, ok := m.mergeData(other); ok {
			t.Errorf("%q became %q", other, got)
		}
	}
	m.namesData = true
	if _, ok := m.mergeData(section(segment(1, "a"))); ok {
		t.Error("segments that have names were merged")
	}
}

func FuzzModule(f *testing.F) {
	b := newBuilder()
	b.host("event")
	b.max = 3
	b.global(typeI32, true, 0x41, 1)
	b.data = []byte("data")
	b.tables = []byte{typeFunc, 0, 1}
	f.Add(b.stage(op(0x02, 0x40, 0x0e, 1, 0, 0, 0x0b), op(0xfc, 9, 0), ok).bytes())
	f.Add(newBuilder().stage(op(0xfd, 12), make([]byte, 16), op(0x1a), ok).bytes())
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x0a\xff\xff\xff\xff\x0f"))
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	f.Cleanup(func() { _ = r.Close(ctx) })
	f.Fuzz(func(t *testing.T, wasm []byte) {
		m, err := parseModule(wasm)
		if err != nil {
			return
		}
		_ = m.check(abi.Stages(), 1<<20)
		_ = checkImports(m.imports, nil)
		out := m.rewrite()
		if m.check([]abi.Stage{abi.OnMessage}, 1<<20) != nil || len(wasm) > 1<<16 {
			return
		}
		// What wazero takes, it takes rewritten too.
		code, err := r.CompileModule(ctx, wasm)
		if err != nil {
			return
		}
		_ = code.Close(ctx)
		if code, err = r.CompileModule(ctx, out); err != nil {
			t.Fatal(err)
		}
		if m.poolable() {
			for _, g := range m.mutable {
				if code.ExportedMemories()["memory"] == nil {
					t.Fatal("no memory for", g)
				}
			}
		}
		_ = code.Close(ctx)
	})
}
