package sdk_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sort"
	"testing"

	"hauspost/plugins/abi"
)

// build makes a guest of a folder of testdata, as authors do.
func build(t *testing.T, folder string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plugin.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", file, "./testdata/"+folder)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// module is what the tests want to know of a WebAssembly module.
type module struct {
	imports map[string][]string
	exports []string
}

// section is what is left of a section of a module.
type section struct{ b []byte }

func (s *section) number() int {
	n, size := binary.Uvarint(s.b)
	s.b = s.b[size:]
	return int(n)
}

func (s *section) take(n int) []byte {
	b := s.b[:n]
	s.b = s.b[n:]
	return b
}

func (s *section) name() string { return string(s.take(s.number())) }

// read finds the imports and exports (core specification 5.5.5 and 5.5.10).
// The module is what the Go toolchain has made, so it is taken to be sound.
func read(t *testing.T, wasm []byte) module {
	t.Helper()
	if !bytes.HasPrefix(wasm, []byte("\x00asm\x01\x00\x00\x00")) {
		t.Fatal("this is no WebAssembly module")
	}
	m := module{imports: map[string][]string{}}
	for all := (section{wasm[8:]}); len(all.b) > 0; {
		id := all.take(1)[0]
		s := section{all.take(all.number())}
		switch id {
		case 2:
			for range s.number() {
				from, name := s.name(), s.name()
				if kind := s.take(1)[0]; kind != 0 {
					t.Fatalf("%s.%s is no function", from, name)
				}
				s.number()
				m.imports[from] = append(m.imports[from], name)
			}
		case 7:
			for range s.number() {
				m.exports = append(m.exports, s.name())
				s.take(1)
				s.number()
			}
		}
	}
	for _, list := range m.imports {
		sort.Strings(list)
	}
	sort.Strings(m.exports)
	return m
}

// TestGuests builds guests and looks at what they import, which is what an
// owner will be asked for, and export.
func TestGuests(t *testing.T) {
	t.Parallel()
	for _, want := range []struct {
		folder           string
		imports, exports []string
		largest          int
	}{
		{"empty", []string{"effects", "event", "log"}, []string{"_initialize", "memory", "on_message"}, 2_000_000},
		{"guest", []string{"clock", "dns", "effects", "event", "header", "keys_change", "keys_get", "log", "part_read", "parts", "random", "reply", "service", "settings"},
			[]string{"_initialize", "memory", "on_message", "on_timer"}, 2_400_000},
	} {
		t.Run(want.folder, func(t *testing.T) {
			t.Parallel()
			wasm := build(t, want.folder)
			m := read(t, wasm)
			if got := m.imports[abi.Module]; !reflect.DeepEqual(got, want.imports) {
				t.Errorf("it imports %q", got)
			}
			if !reflect.DeepEqual(m.exports, want.exports) {
				t.Errorf("it exports %q", m.exports)
			}
			if len(m.imports) != 2 || m.imports[abi.WASI] == nil {
				t.Errorf("it imports from %v", m.imports)
			}
			if len(wasm) > want.largest {
				t.Errorf("it has %d octets, which should be at most %d", len(wasm), want.largest)
			}
			t.Logf("%d octets; of WASI: %q", len(wasm), m.imports[abi.WASI])
		})
	}
}
