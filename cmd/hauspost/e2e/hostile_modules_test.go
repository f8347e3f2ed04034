package e2e

import "bytes"

// assembly is a small module: one function of the type () -> i32 under the name
// on_message, and what can be wrong with the rest.
type assembly struct {
	// code is that of the function, without its end.
	code []byte
	// imports are functions as "module name".
	imports [][2]string
	// takes gives the function a parameter, noMemory hides the memory.
	takes, noMemory bool
}

func vector(items ...[]byte) []byte {
	return append(number(len(items)), bytes.Join(items, nil)...)
}

// number is an unsigned LEB128.
func number(n int) []byte {
	var b []byte
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func name(s string) []byte { return append(number(len(s)), s...) }

func sized(b []byte) []byte { return append(number(len(b)), b...) }

func (a assembly) bytes() []byte {
	const i32, function, memory = 0x7f, 0, 2
	var imports [][]byte
	for _, i := range a.imports {
		imports = append(imports, append(append(name(i[0]), name(i[1])...), function, 1))
	}
	typ := []byte{0x60, 0, 1, i32}
	if a.takes {
		typ = []byte{0x60, 1, i32, 1, i32}
	}
	exports := [][]byte{append(append(name("on_message"), function), number(len(imports))...)}
	if !a.noMemory {
		exports = append(exports, append(name("memory"), memory, 0))
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id      byte
		content []byte
	}{
		{1, vector(typ, []byte{0x60, 2, i32, i32, 1, i32})},
		{2, vector(imports...)},
		{3, vector([]byte{0})},
		{5, vector([]byte{0, 1})},
		{7, vector(exports...)},
		{10, vector(sized(append(append([]byte{0}, a.code...), 0x0b)))},
	} {
		out = append(append(out, s.id), sized(s.content)...)
	}
	return out
}

// Pieces of code: what each leaves behind is the result of on_message.
var (
	codeReturn7     = []byte{0x41, 7}
	codeOK          = []byte{0x41, 0}
	codeUnreachable = []byte{0x00}
	// loop; br 0; end; unreachable
	codeLoop = []byte{0x03, 0x40, 0x0c, 0, 0x0b, 0x00}
	// call 0, which is the function itself
	codeRecurse = []byte{0x10, 0}
	// loop; memory.grow 1; i32.const -1; i32.ne; br_if 0; end; unreachable
	codeGrow = []byte{0x03, 0x40, 0x41, 1, 0x40, 0, 0x41, 0x7f, 0x47, 0x0d, 0, 0x0b, 0x00}
	// i32.load at 2^32 - 8
	codeFar = []byte{0x41, 0x78, 0x28, 2, 0}
	// 1 / 0
	codeDivide = []byte{0x41, 1, 0x41, 0, 0x6d}
	// loop; call 0 (0, 0); drop; br 0; end; unreachable
	codeStorm = []byte{0x03, 0x40, 0x41, 0, 0x41, 0, 0x10, 0, 0x1a, 0x0c, 0, 0x0b, 0x00}
)
