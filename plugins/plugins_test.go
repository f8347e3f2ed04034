package plugins

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hauspost/plugins/abi"
	"hauspost/plugins/pack"
)

// offline has Go use nothing but what lies on this disk.
func offline(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{"GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOSUMDB": "off", "GOWORK": "off", "GOTOOLCHAIN": "local"} {
		t.Setenv(name, value)
	}
}

// TestTemplateGo makes a plugin and does with it what its README says, with the
// Go toolchain alone.
func TestTemplateGo(t *testing.T) {
	offline(t)
	dir := filepath.Join(t.TempDir(), "new")
	if err := Template("go", "shouting", dir); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"vet", "."}, {"test", "."}} {
		c := exec.CommandContext(t.Context(), "go", args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	p := built(t, dir, "shouting")
	imports, exports := interfaceOf(t, p.Wasm)
	for _, want := range []string{"memory", "_initialize", "on_message"} {
		if !slices.Contains(exports, want) {
			t.Errorf("the module exports %q, and not %s", exports, want)
		}
	}
	for _, want := range []string{abi.Module + ".header", abi.Module + ".effects"} {
		if !slices.Contains(imports, want) {
			t.Errorf("the module imports %q, and not %s", imports, want)
		}
	}
	for _, i := range imports {
		name, ours := strings.CutPrefix(i, abi.Module+".")
		if ours && slices.Contains([]string{"parts", "part_read", "keys_get", "keys_change", "dns", "service"}, name) {
			t.Errorf("the module imports %s, which its manifest does not need", i)
		}
		if !ours && !strings.HasPrefix(i, abi.WASI+".") {
			t.Errorf("the module imports %s, which no host has", i)
		}
	}
}

// built runs the build command of a new plugin, packs it, and reads its cases.
func built(t *testing.T, dir, id string) *pack.Package {
	t.Helper()
	var said bytes.Buffer
	if err := pack.Compile(t.Context(), dir, &said); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	out := filepath.Join(t.TempDir(), "x"+pack.Extension)
	p, err := pack.Build(dir, out, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.Manifest.ID != id || p.Readme == "" {
		t.Errorf("the package is %+v with a README of %d octets", p.Manifest, len(p.Readme))
	}
	cases, err := pack.Cases(p.Tests)
	if err != nil || len(cases) != 2 {
		t.Fatalf("its tests are %+v, %v", cases, err)
	}
	for _, c := range cases {
		if _, err := p.Manifest.Resolve(c.Settings); err != nil {
			t.Error(err)
		}
	}
	return p
}

// interfaceOf gives what a module imports ("module.name") and exports.
func interfaceOf(t *testing.T, wasm []byte) (imports, exports []string) {
	t.Helper()
	number := func(b *[]byte) int {
		v, n := binary.Uvarint(*b)
		if n <= 0 {
			t.Fatal("the module is malformed")
		}
		*b = (*b)[n:]
		return int(v)
	}
	name := func(b *[]byte) string {
		n := number(b)
		s := string((*b)[:n])
		*b = (*b)[n:]
		return s
	}
	for rest := wasm[8:]; len(rest) > 0; {
		id := rest[0]
		rest = rest[1:]
		size := number(&rest)
		section := rest[:size]
		rest = rest[size:]
		switch id {
		case 2:
			for range number(&section) {
				imports = append(imports, name(&section)+"."+name(&section))
				if section[0] != 0 {
					t.Fatalf("%s is no function", imports[len(imports)-1])
				}
				section = section[1:]
				number(&section)
			}
		case 7:
			for range number(&section) {
				exports = append(exports, name(&section))
				section = section[1:]
				number(&section)
			}
		}
	}
	return imports, exports
}

// TestTemplatesCarryTheInterface holds that a new plugin gets the sources that
// this program was built from, and no tests of ours.
func TestTemplatesCarryTheInterface(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	if err := Template("go", "shouting", dir); err != nil {
		t.Fatal(err)
	}
	found := 0
	err := filepath.WalkDir(filepath.Join(dir, "hauspost/plugins"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		short, err := filepath.Rel(filepath.Join(dir, "hauspost/plugins"), path)
		if err != nil {
			return err
		}
		got, err1 := os.ReadFile(path)
		want, err2 := os.ReadFile(short)
		if err1 != nil || err2 != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not ours: %v, %v", short, err1, err2)
		}
		if strings.HasSuffix(short, "_test.go") {
			t.Errorf("%s is a test of ours", short)
		}
		found++
		return nil
	})
	if err != nil || found < 10 {
		t.Errorf("%d files, %v", found, err)
	}
}

func TestTemplateRefuses(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ lang, id, into, want string }{
		{"cobol", "a-plugin", t.TempDir(), "choose among c, go"},
		{"go", "A plugin", t.TempDir(), "lower-case letters"},
		{"go", "../x", t.TempDir(), "lower-case letters"},
		{"c", "a-plugin", full, "not empty"},
	} {
		if err := Template(c.lang, c.id, c.into); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s: %v, want %q", c.lang, c.id, err, c.want)
		}
	}
}

// TestBundled reads what was built into this program, if anything was, and
// holds that asking for other plugins says what to do.
func TestBundled(t *testing.T) {
	t.Parallel()
	for _, id := range Bundled() {
		p, err := OpenBundled(id)
		if err != nil || p.Manifest.ID != id {
			t.Errorf("%s: %+v, %v", id, p, err)
		}
	}
	want := `build it with "make build"`
	if len(Bundled()) > 0 {
		want = strings.Join(Bundled(), ", ")
	}
	for _, id := range []string{"nothing", "../README", ""} {
		if _, err := OpenBundled(id); !errors.Is(err, ErrNotBundled) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", id, err)
		}
	}
}
