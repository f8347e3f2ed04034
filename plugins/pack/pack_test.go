package pack

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// module is the smallest WebAssembly module.
const module = "\x00asm\x01\x00\x00\x00"

const manifest = `id = "hello"
name = "Hello"
version = "1.0.0"
description = "Greets every message."
abi = 1
stages = ["on_message"]
[needs]
header = true
effects = ["addheader"]
fields = ["X-Hello"]
`

// filesOf are the files of a small package; changes replace or add files, and
// an empty text takes one away.
func filesOf(changes map[string]string) map[string][]byte {
	files := map[string][]byte{
		ManifestFile:    []byte(manifest),
		ModuleFile:      []byte(module),
		ReadmeFile:      []byte("# Hello\n"),
		"tests/one.eml": []byte("Subject: x\r\n\r\n"),
		"tests/one.toml": []byte("stage = \"on_message\"\n[[expect]]\nkind = \"addheader\"\nname = \"X-Hello\"\n" +
			"argument = \"hello\"\n"),
	}
	for name, text := range changes {
		if text == "" {
			delete(files, name)
			continue
		}
		files[name] = []byte(text)
	}
	return files
}

// packageOf is a package of these files.
func packageOf(t *testing.T, changes map[string]string, key ed25519.PrivateKey) *Package {
	t.Helper()
	files := filesOf(changes)
	if key != nil {
		files[signatureFile] = sign(digest(files), key)
	}
	p, err := fromFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func lay(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	key, err := NewKey(filepath.Join(t.TempDir(), "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestBuildAndOpen(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), t.TempDir()
	lay(t, dir, filesOf(map[string]string{"main.go": "package main", "signature": "of an older build", "tests/notes.txt": "x"}))
	key := newKey(t)
	a, b := filepath.Join(out, "a.hauspost"), filepath.Join(out, "b.hauspost")
	for _, path := range []string{a, b} {
		if _, err := Build(dir, path, key); err != nil {
			t.Fatal(err)
		}
	}
	first, err1 := os.ReadFile(a)
	second, err2 := os.ReadFile(b)
	if err := errors.Join(err1, err2); err != nil || !bytes.Equal(first, second) {
		t.Fatalf("two builds of the same files differ (%v)", err)
	}
	p, err := Open(a)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Signer.Equal(key.Public()) || p.Manifest.ID != "hello" || string(p.Wasm) != module || p.Readme != "# Hello\n" {
		t.Errorf("%+v", p)
	}
	if err := fstest.TestFS(p.Tests, "one.eml", "one.toml"); err != nil {
		t.Error(err)
	}
	if names := slices.Sorted(maps.Keys(p.files)); len(names) != 6 {
		t.Errorf("the archive holds %q", names)
	}
	if err := os.Remove(filepath.Join(dir, "signature")); err != nil {
		t.Fatal(err)
	}
	folder, err := Open(dir)
	if err != nil || folder.Digest != p.Digest || folder.Signer != nil {
		t.Errorf("the folder is another package than its archive, or is signed: %v", err)
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	for name, change := range map[string]map[string]string{
		"another module":   {ModuleFile: module + "\x00\x02\x01x"},
		"another manifest": {ManifestFile: strings.Replace(manifest, "1.0.0", "1.0.1", 1)},
		"a file more":      {LicenseFile: "none"},
		"a file less":      {ReadmeFile: ""},
		"renamed":          {"tests/one.eml": "", "tests/two.eml": "Subject: x\r\n\r\n"},
		"no key":           {signatureFile: "hauspost signature 1\n\n\n"},
		"empty":            {signatureFile: "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := filesOf(nil)
			files[signatureFile] = sign(digest(files), key)
			for name, text := range change {
				files[name] = []byte(text)
				if text == "" {
					delete(files, name)
				}
			}
			if _, err := fromFiles(files); !errors.Is(err, ErrSignature) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key.pem")
	key, err := NewKey(path)
	if err != nil {
		t.Fatal(err)
	}
	read, err := ReadKey(path)
	if err != nil || !read.Equal(key) {
		t.Errorf("the key came back otherwise: %v", err)
	}
	if _, err := NewKey(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a key was overwritten: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKey(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
}

func TestNoPackages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change map[string]string
		want   string
	}{
		"no manifest":    {map[string]string{ManifestFile: ""}, "has no plugin.toml"},
		"no module":      {map[string]string{ModuleFile: ""}, "build the plugin first"},
		"no WebAssembly": {map[string]string{ModuleFile: "\x7fELF"}, "no WebAssembly"},
		"a component":    {map[string]string{ModuleFile: "\x00asm\x0d\x00\x01\x00"}, "no WebAssembly"},
		"a large README": {map[string]string{ReadmeFile: strings.Repeat("x", maxText+1)}, "larger than 1024 KiB"},
		"much text":      {map[string]string{ManifestFile: strings.Repeat("#", maxManifest+1)}, "larger than 64 KiB"},
		"too many tests": {many(maxFiles), "more than 1000 files"},
		"large all in all": {map[string]string{ModuleFile: module + strings.Repeat("x", maxModule-8), "tests/a.eml": strings.Repeat("x", maxTest),
			"tests/b.eml": strings.Repeat("x", maxTest), "tests/c.eml": strings.Repeat("x", maxTest), "tests/d.eml": strings.Repeat("x", maxTest),
			"tests/e.eml": strings.Repeat("x", maxTest), "tests/f.eml": strings.Repeat("x", maxTest), "tests/g.eml": strings.Repeat("x", maxTest),
			"tests/h.eml": strings.Repeat("x", maxTest)}, "64 MiB together"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := filesOf(c.change)
			tree := fstest.MapFS{}
			for name, data := range files {
				tree[name] = &fstest.MapFile{Data: data}
			}
			_, err := OpenFS(tree)
			if !errors.Is(err, ErrBadPackage) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("as a folder: %v, want %q", err, c.want)
			}
			data, err := zipped(files)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = OpenArchive(data); !errors.Is(err, ErrBadPackage) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("as an archive: %v, want %q", err, c.want)
			}
		})
	}
}

func many(n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		files["tests/"+strings.Repeat("a", i%50+1)+strings.Repeat("b", i/50+1)+".eml"] = "x"
	}
	return files
}

func TestFolderWithTraps(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	lay(t, filepath.Dir(secret), map[string][]byte{"secret": []byte("s3cret")})
	for name, trap := range map[string]func(path string) error{
		"a link out":   func(path string) error { return os.Symlink(secret, path) },
		"a folder":     func(path string) error { return os.Mkdir(path, 0o700) },
		"a named pipe": mkfifo,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			lay(t, dir, filesOf(map[string]string{ReadmeFile: ""}))
			if err := trap(filepath.Join(dir, ReadmeFile)); err != nil {
				t.Fatal(err)
			}
			if p, err := Open(dir); !errors.Is(err, ErrBadPackage) {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

// TestHostileArchives gives archives that would harm who unpacks them in good
// faith.
func TestHostileArchives(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		add  func(z *zip.Writer) error
		want string
	}{
		"up":         {entry("../../etc/passwd", 0o644), "does not belong"},
		"absolute":   {entry("/etc/passwd", 0o644), "does not belong"},
		"deep":       {entry("tests/a/b.eml", 0o644), "does not belong"},
		"backslash":  {entry(`tests\..\x.eml`, 0o644), "does not belong"},
		"hidden":     {entry("tests/.x.eml", 0o644), "does not belong"},
		"unknown":    {entry("run.sh", 0o755), "does not belong"},
		"other case": {entry("Plugin.toml", 0o644), "does not belong"},
		"a link":     {entry(LicenseFile, fs.ModeSymlink|0o777), "no plain file"},
		"a device":   {entry(LicenseFile, fs.ModeDevice|0o600), "no plain file"},
		"twice":      {entry(ReadmeFile, 0o644), "twice"},
		"a bomb":     {bomb(LicenseFile, 20<<20), "larger than"},
		"many": {func(z *zip.Writer) error {
			for range 5 * maxFiles {
				if err := entry("tests/a.eml", 0o644)(z); err != nil {
					return err
				}
			}
			return nil
		}, "more than 1000"},
		"another method": {func(z *zip.Writer) error {
			_, err := z.CreateRaw(&zip.FileHeader{Name: LicenseFile, Method: 99})
			return err
		}, "cannot be unpacked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			z := zip.NewWriter(&b)
			for name, data := range filesOf(nil) {
				w, err := z.Create(name)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(data); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(c.add(z), z.Close()); err != nil {
				t.Fatal(err)
			}
			_, err := OpenArchive(b.Bytes())
			if !errors.Is(err, ErrBadPackage) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func entry(name string, mode fs.FileMode) func(*zip.Writer) error {
	return func(z *zip.Writer) error {
		h := &zip.FileHeader{Name: name}
		h.SetMode(mode)
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write([]byte("x"))
		}
		return err
	}
}

func bomb(name string, size int) func(*zip.Writer) error {
	return func(z *zip.Writer) error {
		w, err := z.Create(name)
		for chunk := make([]byte, 1<<20); err == nil && size > 0; size -= len(chunk) {
			_, err = w.Write(chunk)
		}
		return err
	}
}

// TestOtherZips holds that what common zip programs add is taken: an entry for
// the folder of tests.
func TestOtherZips(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if _, err := z.Create("tests/"); err != nil {
		t.Fatal(err)
	}
	for name, data := range filesOf(nil) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	p, err := OpenArchive(b.Bytes())
	if err != nil || p.Digest != packageOf(t, nil, nil).Digest {
		t.Errorf("%v", err)
	}
}

func FuzzOpenArchive(f *testing.F) {
	data, err := zipped(filesOf(nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := OpenArchive(data)
		if err != nil {
			return
		}
		// What can be read can be packed, and is the same then.
		again, err := zipped(p.files)
		if err != nil {
			t.Fatal(err)
		}
		q, err := OpenArchive(again)
		if err != nil || q.Digest != p.Digest {
			t.Fatalf("packed again it is another package: %v", err)
		}
	})
}

func TestCompile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ build, want string }{
		"good":        {`["cp", "made", "plugin.wasm"]`, ""},
		"fails":       {`["sh", "-c", "echo why; exit 3"]`, "exit status 3"},
		"no program":  {`["/there/is/none"]`, "no such file"},
		"no outcome":  {`["true"]`, "left no plugin.wasm"},
		"no command":  {"", "no [build] command"},
		"no manifest": {`["`, "plugin.toml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			text := manifest
			if c.build != "" {
				text += "[build]\ncommand = " + c.build + "\n"
			}
			lay(t, dir, map[string][]byte{ManifestFile: []byte(text), "made": []byte(module)})
			var said bytes.Buffer
			err := Compile(t.Context(), dir, &said)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if name == "fails" && said.String() != "why\n" {
				t.Errorf("what it said was lost: %q", said.String())
			}
		})
	}
}
