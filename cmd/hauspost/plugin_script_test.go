package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// idleModule is a module with a memory and an on_message that has nothing to
// say.
var idleModule = bytes.Join([][]byte{
	[]byte("\x00asm\x01\x00\x00\x00"),
	[]byte("\x01\x05\x01\x60\x00\x01\x7f"), // a type: () -> i32
	[]byte("\x03\x02\x01\x00"),             // a function of it
	[]byte("\x05\x03\x01\x00\x01"),         // a memory of one page
	[]byte("\x07\x17\x02\x06memory\x02\x00\x0aon_message\x00\x00"),
	[]byte("\x0a\x06\x01\x04\x00\x41\x00\x0b"), // i32.const 0
}, nil)

// goCache is where the Go toolchain keeps what it built.
var goCache = sync.OnceValue(func() string {
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
})

func wasm(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), "plugin.wasm"), idleModule, 0o644))
}

func spoil(ts *testscript.TestScript, _ bool, args []string) {
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(files) != 1 {
		ts.Fatalf("%d files are called %s", len(files), args[0])
	}
	data, err := os.ReadFile(files[0])
	ts.Check(err)
	data[len(data)-1] ^= 1
	ts.Check(os.WriteFile(files[0], data, 0o600))
}

func addSettings(ts *testscript.TestScript, _ bool, args []string) {
	data := ts.ReadFile(args[0]) + ts.ReadFile(args[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(data), 0o600))
}
