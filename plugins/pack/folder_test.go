package pack

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hauspost/plugins/abi"
)

func mkfifo(path string) error { return unix.Mkfifo(path, 0o600) }

var installed = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

func newFolder(t *testing.T) *Folder {
	t.Helper()
	f, err := OpenFolder(filepath.Join(t.TempDir(), "plugins"), func() time.Time { return installed })
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// called gives the changes that make the package another plugin.
func called(id, version string) map[string]string {
	text := strings.Replace(manifest, `"hello"`, `"`+id+`"`, 1)
	return map[string]string{ManifestFile: strings.Replace(text, "1.0.0", version, 1)}
}

func names(t *testing.T, f *Folder) []string {
	t.Helper()
	entries, err := f.List()
	ok(t, err)
	var out []string
	for _, e := range entries {
		out = append(out, e.ID+" "+e.Version)
	}
	return out
}

func TestInstall(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	key := newKey(t)
	p := packageOf(t, nil, key)
	granted, err := p.Manifest.Needs.Less("header")
	ok(t, err)
	e, err := f.Install(p, granted, "hello-1.0.0.hauspost")
	ok(t, err)
	got, err := f.Get("hello")
	ok(t, err)
	if !reflect.DeepEqual(got, e) {
		t.Errorf("installed %+v, listed %+v", e, got)
	}
	if !e.Enabled || e.Version != "1.0.0" || e.Signer != KeyText(p.Signer) || e.Source != "hello-1.0.0.hauspost" || !e.Installed.Equal(installed) ||
		e.Granted.Header || !e.Granted.same(granted) || !isHex32(e.Seed) || e.Previous != nil {
		t.Errorf("%+v", e)
	}
	q, err := f.Load(e)
	if err != nil || q.Digest != p.Digest || q.WasmSHA256 != p.WasmSHA256 {
		t.Errorf("loaded as another one: %v", err)
	}
	if _, err := f.Install(p, Grants{}, ""); !errors.Is(err, ErrInstalled) {
		t.Errorf("twice: %v", err)
	}
	other := packageOf(t, called("other", "1.0.0"), nil)
	if _, err := f.Install(other, Grants{Body: true}, ""); !errors.Is(err, ErrTooMuch) || !strings.Contains(err.Error(), "body") {
		t.Errorf("more than it needs: %v", err)
	}
	if _, err := f.Get("other"); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("what was refused: %v", err)
	}
	for _, path := range []string{f.dir, f.Path(e.ID, e.Pin), filepath.Join(f.dir, lockName)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others can read %s: %v", path, err)
		}
	}
}

func TestChangedFilesDoNotLoad(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(dir string) error{
		"module": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, ModuleFile), []byte(module+"\x00\x02\x01x"), 0o600)
		},
		"no file": func(dir string) error { return os.Remove(filepath.Join(dir, ModuleFile)) },
		"manifest": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, ManifestFile), []byte(manifest+"\n# changed\n"), 0o600)
		},
		"a test": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "tests/new.toml"), []byte("x = 1"), 0o600)
		},
		"signed by another": func(dir string) error {
			files, err := filesBelow(dir)
			if err != nil {
				return err
			}
			key, err := NewKey(filepath.Join(dir, "key"))
			return errors.Join(err, os.WriteFile(filepath.Join(dir, signatureFile), sign(digest(files), key), 0o600))
		},
		"unsigned": func(dir string) error { return os.Remove(filepath.Join(dir, signatureFile)) },
		"gone":     os.RemoveAll,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			p := packageOf(t, nil, newKey(t))
			e, err := f.Install(p, p.Manifest.Needs, "")
			ok(t, err)
			ok(t, change(f.Path(e.ID, e.Pin)))
			if _, err := f.Load(e); !errors.Is(err, ErrChanged) {
				t.Errorf("%v", err)
			}
			// The same package again mends it.
			e, err = f.Update(p, p.Manifest.Needs, "")
			ok(t, err)
			if _, err := f.Load(e); err != nil || e.Previous != nil {
				t.Errorf("mended: %v, %+v", err, e)
			}
		})
	}
}

func TestUpdateAndBack(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	key := newKey(t)
	first := packageOf(t, nil, key)
	granted, err := first.Manifest.Needs.Less("header")
	ok(t, err)
	before, err := f.Install(first, granted, "one")
	ok(t, err)
	if _, err := f.Back("hello"); !errors.Is(err, ErrNoPrevious) {
		t.Errorf("back from the first: %v", err)
	}

	text := strings.Replace(manifest, "1.0.0", "1.1.0", 1)
	text = strings.Replace(text, "header = true", "header = true\nbody = true", 1)
	second := packageOf(t, map[string]string{ManifestFile: text}, key)
	asks, keeps, err := f.Asks(second)
	ok(t, err)
	if !asks.same(Grants{Body: true}) || !keeps.same(granted) {
		t.Errorf("it asks for %+v and keeps %+v: what was denied before is not asked for again", asks, keeps)
	}
	for name, stranger := range map[string]*Package{
		"unsigned":          packageOf(t, map[string]string{ManifestFile: text}, nil),
		"signed by another": packageOf(t, map[string]string{ManifestFile: text}, newKey(t)),
	} {
		if _, err := f.Update(stranger, keeps, ""); !errors.Is(err, ErrSigner) {
			t.Errorf("%s: %v", name, err)
		}
	}
	after, err := f.Update(second, keeps.With(asks), "two")
	ok(t, err)
	if after.Version != "1.1.0" || !after.Granted.Body || after.Granted.Header || after.Seed != before.Seed || after.Previous == nil || after.Previous.Version != "1.0.0" {
		t.Errorf("%+v", after)
	}
	back, err := f.Back("hello")
	ok(t, err)
	if !reflect.DeepEqual(back.Pin, before.Pin) || back.Previous.Version != "1.1.0" {
		t.Errorf("back is %+v, was %+v", back, before)
	}
	if _, err := f.Load(back); err != nil {
		t.Error(err)
	}

	// A third version takes the place of the one that nobody can go back to.
	_, err = f.Update(packageOf(t, called("hello", "1.2.0"), key), granted, "three")
	ok(t, err)
	if got := folders(t, f); len(got) != 2 || !strings.HasPrefix(got[0], "hello-1.0.0-") || !strings.HasPrefix(got[1], "hello-1.2.0-") {
		t.Errorf("the folder holds %q", got)
	}
}

func folders(t *testing.T, f *Folder) []string {
	t.Helper()
	list, err := os.ReadDir(f.dir)
	ok(t, err)
	var out []string
	for _, d := range list {
		if d.IsDir() {
			out = append(out, d.Name())
		}
	}
	return out
}

func TestOrderEnableGrantRemove(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	for _, id := range []string{"aa", "bb", "cc", "dd"} {
		p := packageOf(t, called(id, "1.0.0"), nil)
		_, err := f.Install(p, p.Manifest.Needs, "")
		ok(t, err)
	}
	ok(t, f.Order([]string{"cc", "aa"}))
	if got := strings.Join(names(t, f), ","); got != "cc 1.0.0,aa 1.0.0,bb 1.0.0,dd 1.0.0" {
		t.Errorf("the order is %s", got)
	}
	for _, ids := range [][]string{{"aa", "zz"}, {"aa", "aa"}} {
		if err := f.Order(ids); !errors.Is(err, ErrNotInstalled) {
			t.Errorf("%q: %v", ids, err)
		}
	}
	ok(t, f.Enable("bb", false))
	ok(t, f.Grant("bb", Grants{Header: true}))
	if err := f.Grant("bb", Grants{Keys: true}); !errors.Is(err, ErrTooMuch) {
		t.Errorf("%v", err)
	}
	e, err := f.Get("bb")
	if err != nil || e.Enabled || !e.Granted.same(Grants{Header: true}) {
		t.Errorf("%+v, %v", e, err)
	}
	ok(t, f.Remove("aa"))
	if err := f.Remove("aa"); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("%v", err)
	}
	if got := strings.Join(names(t, f), ","); got != "cc 1.0.0,bb 1.0.0,dd 1.0.0" || len(folders(t, f)) != 3 {
		t.Errorf("left are %s in %q", got, folders(t, f))
	}
}

// TestAtOnce installs from many sides: no change is lost.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	var wg sync.WaitGroup
	for i := range 12 {
		// Each opens the folder itself, as processes do.
		g, err := OpenFolder(f.dir, f.now)
		ok(t, err)
		p := packageOf(t, called(fmt.Sprintf("plugin-%c", 'a'+i), "1.0.0"), nil)
		wg.Go(func() {
			if _, err := g.Install(p, Grants{}, ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := names(t, f); len(got) != 12 {
		t.Errorf("installed are %q", got)
	}
}

// TestCrash cuts an update off after each step that it makes on the disk: what
// is there then is the old state or the new one, and the next change cleans up.
func TestCrash(t *testing.T) {
	t.Parallel()
	first, second := packageOf(t, nil, nil), packageOf(t, called("hello", "2.0.0"), nil)
	for name, crash := range map[string]func(t *testing.T, f *Folder){
		"files half written": func(t *testing.T, f *Folder) {
			dir := filepath.Join(f.dir, ".new-123")
			ok(t, os.Mkdir(dir, 0o700))
			lay(t, dir, map[string][]byte{ModuleFile: []byte(module)})
		},
		"files in their place": func(t *testing.T, f *Folder) {
			_, err := f.put(second, Grants{}, "")
			ok(t, err)
		},
		"files in their place, not whole": func(t *testing.T, f *Folder) {
			v, err := f.put(second, Grants{}, "")
			ok(t, err)
			ok(t, os.Truncate(filepath.Join(f.Path("hello", v), ModuleFile), 3))
		},
		"lock file half written": func(t *testing.T, f *Folder) {
			lay(t, f.dir, map[string][]byte{".new-456": []byte("version = 1\n[[plu")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			e, err := f.Install(first, Grants{}, "")
			ok(t, err)
			crash(t, f)
			if got, err := f.Get("hello"); err != nil || !reflect.DeepEqual(got, e) {
				t.Errorf("after the crash: %+v, %v", got, err)
			}
			if _, err := f.Load(e); err != nil {
				t.Error(err)
			}
			e, err = f.Update(second, Grants{}, "")
			ok(t, err)
			if _, err := f.Load(e); err != nil {
				t.Error(err)
			}
			all, err := os.ReadDir(f.dir)
			ok(t, err)
			if len(all) != 4 { // two versions, the lock file, and the one for flock
				t.Errorf("left is %v", all)
			}
		})
	}
}

func TestSweepLeavesOtherFiles(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	lay(t, f.dir, map[string][]byte{"notes.txt": []byte("mine"), "my-sources/main.go": []byte("mine")})
	p := packageOf(t, nil, nil)
	_, err := f.Install(p, Grants{}, "")
	ok(t, err)
	ok(t, f.Remove("hello"))
	for _, name := range []string{"notes.txt", "my-sources/main.go"} {
		if _, err := os.Stat(filepath.Join(f.dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestLockFile(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("0a", 32)
	good := "version = 1\n[[plugin]]\nid = \"aa\"\nenabled = true\nseed = \"" + hex + "\"\nversion = \"1.0.0\"\nsha256 = \"" + hex +
		"\"\ndigest = \"" + hex + "\"\nsource = \"\"\ninstalled = 2026-01-01T00:00:00Z\n[plugin.granted]\neffects = [\"copy\"]\n"
	entries, err := parseLock([]byte(good))
	if err != nil || len(entries) != 1 || !slices.Equal(entries[0].Granted.Effects, []abi.Kind{abi.Copy}) {
		t.Fatalf("%+v, %v", entries, err)
	}
	for name, c := range map[string][3]string{
		"no TOML":      {"version = 1", "version 1", "line 1"},
		"newer":        {"version = 1", "version = 2", "knows version 1 only"},
		"ID":           {`id = "aa"`, `id = "../x"`, "sound name"},
		"seed":         {`seed = "0a`, `seed = "zz`, "seed"},
		"digest":       {`digest = "0a`, `digest = "/..`, "digests"},
		"version":      {`"1.0.0"`, `"../.."`, "version"},
		"effect":       {`"copy"`, `"explode"`, "explode"},
		"twice":        {"version = 1\n", "version = 1\n" + strings.TrimPrefix(good, "version = 1\n"), "twice"},
		"previous":     {"[plugin.granted]", "[plugin.previous]\nversion = \"/\"\n[plugin.granted]", "the version before"},
		"wrong points": {`effects = ["copy"]`, "points = inf", "points"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			lay(t, f.dir, map[string][]byte{lockName: []byte(strings.Replace(good, c[0], c[1], 1))})
			if got, err := f.List(); err == nil || !strings.Contains(err.Error(), c[2]) {
				t.Errorf("%+v, %v, want %q", got, err, c[2])
			}
			// A change does not overwrite what cannot be read.
			p := packageOf(t, nil, nil)
			if _, err := f.Install(p, Grants{}, ""); err == nil {
				t.Error("it was overwritten")
			}
		})
	}
}

// TestUnwritable holds that an install whose files cannot be written changes
// nothing.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	p := packageOf(t, nil, nil)
	_, err := f.Install(p, Grants{}, "")
	ok(t, err)
	before := maps.Clone(snapshot(t, f.dir))
	q := packageOf(t, called("other", "1.0.0"), nil)
	q.files["tests/"+strings.Repeat("x", 300)+".eml"] = []byte("x")
	if _, err := f.Install(q, Grants{}, ""); err == nil {
		t.Fatal("a name that no disk takes was written")
	}
	if after := snapshot(t, f.dir); !maps.Equal(before, after) {
		t.Errorf("before %v, after %v", before, after)
	}
}

func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	ok(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			out[path] = "folder"
			return err
		}
		data, err := os.ReadFile(path)
		out[path] = string(data)
		return err
	}))
	return out
}

// TestLostLockFile holds that packages without a lock file are not taken for no
// packages: a box would let mail pass without its filters.
func TestLostLockFile(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	_, err := f.Install(packageOf(t, nil, nil), Grants{}, "")
	ok(t, err)
	lock := filepath.Join(f.dir, lockName)
	data, err := os.ReadFile(lock)
	ok(t, err)
	ok(t, os.Remove(lock))
	if list, err := f.List(); err == nil || !strings.Contains(err.Error(), "is missing, but there are plugins") {
		t.Errorf("without the lock file the list is %v, %v", list, err)
	}
	ok(t, os.WriteFile(lock, data, 0o600))
	if list, err := f.List(); err != nil || len(list) != 1 {
		t.Errorf("with it the list is %v, %v", list, err)
	}
}
