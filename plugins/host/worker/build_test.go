package worker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

// builder assembles small modules.
type builder struct {
	types     []signature
	imports   []imported
	functions []function
	globals   [][]byte
	exports   []byte
	nExports  uint32
	min, max  uint32
	tables    []byte
	elements  []byte
	data      []byte
}

type function struct {
	typ  uint32
	code []byte
}

func newBuilder() *builder {
	b := &builder{min: 1}
	return b.export("memory", kindMemory, 0)
}

func (b *builder) typ(s signature) uint32 {
	for i, t := range b.types {
		if t == s {
			return uint32(i)
		}
	}
	b.types = append(b.types, s)
	return uint32(len(b.types) - 1)
}

// host imports a host call; all imports come before the first function.
func (b *builder) host(name string) uint32 { return b.imp(abi.Module, name, hostFunctions[name].typ) }

func (b *builder) imp(mod, name string, s signature) uint32 {
	b.typ(s)
	b.imports = append(b.imports, imported{mod, name, s})
	return uint32(len(b.imports) - 1)
}

func (b *builder) export(name string, kind byte, index uint32) *builder {
	b.exports = appendU32(append(appendName(b.exports, name), kind), index)
	b.nExports++
	return b
}

// fn adds a function with the given code, without its end, and exports it.
func (b *builder) fn(name string, s signature, code ...[]byte) uint32 {
	b.functions = append(b.functions, function{b.typ(s), append(bytes.Join(code, nil), 0x0b)})
	index := uint32(len(b.imports) + len(b.functions) - 1)
	if name != "" {
		b.export(name, kindFunction, index)
	}
	return index
}

// stage adds the function of on_message.
func (b *builder) stage(code ...[]byte) *builder {
	b.fn("on_message", signature{results: i32}, code...)
	return b
}

// global adds a global whose initial value is a constant expression.
func (b *builder) global(typ byte, mutable bool, init ...byte) uint32 {
	g := []byte{typ, 0}
	if mutable {
		g[1] = 1
	}
	b.globals = append(b.globals, append(append(g, init...), 0x0b))
	return uint32(len(b.globals) - 1)
}

func (b *builder) bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	vector := func(id byte, n int, content []byte) {
		if n > 0 {
			out = appendSection(out, id, append(appendU32(nil, uint32(n)), content...))
		}
	}
	var c []byte
	for _, t := range b.types {
		c = appendName(appendName(append(c, 0x60), t.params), t.results)
	}
	vector(sectionType, len(b.types), c)
	c = nil
	for _, i := range b.imports {
		c = appendU32(append(appendName(appendName(c, i.module), i.name), kindFunction), b.typ(i.typ))
	}
	vector(sectionImport, len(b.imports), c)
	c = nil
	for _, f := range b.functions {
		c = appendU32(c, f.typ)
	}
	vector(sectionFunction, len(b.functions), c)
	if b.tables != nil {
		vector(sectionTable, 1, b.tables)
	}
	if b.max > 0 {
		vector(sectionMemory, 1, appendU32(appendU32([]byte{1}, b.min), b.max))
	} else {
		vector(sectionMemory, 1, appendU32([]byte{0}, b.min))
	}
	vector(sectionGlobal, len(b.globals), bytes.Join(b.globals, nil))
	vector(sectionExport, int(b.nExports), b.exports)
	if b.elements != nil {
		vector(sectionElement, 1, b.elements)
	}
	c = nil
	for _, f := range b.functions {
		c = append(appendU32(c, uint32(len(f.code)+1)), 0) // no locals
		c = append(c, f.code...)
	}
	vector(sectionCode, len(b.functions), c)
	if b.data != nil {
		vector(sectionData, 1, append(appendU32([]byte{0, 0x41, 0, 0x0b}, uint32(len(b.data))), b.data...))
	}
	return out
}

// Pieces of code.
func i32const(v int32) []byte { return appendS32([]byte{0x41}, v) }

func op(code ...byte) []byte { return code }

func callOp(f uint32, args ...int32) []byte {
	var b []byte
	for _, a := range args {
		b = append(b, i32const(a)...)
	}
	return appendU32(append(b, 0x10), f)
}

var ok = i32const(0)

// allImports are all host calls.
func allImports() []string {
	var list []string
	for name := range hostFunctions {
		list = append(list, name)
	}
	return list
}

func loadOf(wasm []byte) *link.Load {
	return &link.Load{
		ID: "test", SHA256: sha256.Sum256(wasm), Stages: []abi.Stage{abi.OnMessage}, Imports: allImports(),
		Effects: []abi.Kind{abi.Score}, Memory: 32 << 20, Seed: [32]byte{1},
	}
}

// testPages are those of this process.
var testPages = sync.OnceValue(openPages)

// started makes a plugin that is ready.
func started(t testing.TB, wasm []byte) *plugin {
	t.Helper()
	return startedAs(t, wasm, loadOf(wasm))
}

func startedAs(t testing.TB, wasm []byte, load *link.Load) *plugin {
	t.Helper()
	p, err := newPlugin(context.Background(), load, wasm, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	if err := p.start(context.Background(), testPages()); err != nil {
		t.Fatal(err)
	}
	return p
}

// once calls on_message in an instance, as a run does.
func once(t testing.TB, p *plugin, c *call) *failure {
	t.Helper()
	i, err := p.get(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	f := i.call(context.Background(), abi.OnMessage, c)
	if f != nil {
		i.close()
	} else {
		p.put(context.Background(), i)
	}
	return f
}

func testCall() *call {
	c := newCall(1e18, [32]byte{7})
	c.event = (&abi.Event{Stage: abi.OnMessage, ID: "m1"}).Append(nil)
	return c
}

func withMessage(t testing.TB, raw string) *call {
	t.Helper()
	c := testCall()
	c.content = newContent(fileOf(t, raw))
	t.Cleanup(c.content.close)
	return c
}

// fileOf gives an open file without a name and without seals.
func fileOf(t testing.TB, s string) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("message", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "message")
	if _, err := f.WriteString(s); err != nil {
		t.Fatal(err)
	}
	return f
}

// goGuests are the Go guests of the tests, built once each.
var goGuests sync.Map

// goGuest builds a guest of a file in testdata.
func goGuest(t testing.TB, name string) []byte {
	t.Helper()
	build := sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "guest")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		out := filepath.Join(dir, "plugin.wasm")
		cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", out, "./testdata/"+name)
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, &exec.Error{Name: string(text), Err: err}
		}
		return os.ReadFile(out)
	})
	f, _ := goGuests.LoadOrStore(name, build)
	wasm, err := f.(func() ([]byte, error))()
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}
