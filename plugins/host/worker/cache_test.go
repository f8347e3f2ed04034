package worker

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// compiled is the file with machine code in a cache.
func compiled(t *testing.T, cache string) string {
	t.Helper()
	found := ""
	err := filepath.WalkDir(cache, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != sumName {
			found = path
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatal("nothing was kept:", err)
	}
	return found
}

func loadCached(t testing.TB, wasm []byte, cache string) {
	t.Helper()
	p, err := newPlugin(context.Background(), loadOf(wasm), wasm, cache)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if err := p.start(context.Background(), testPages()); err != nil {
		t.Fatal(err)
	}
	if f := once(t, p, testCall()); f != nil {
		t.Fatal(f.text)
	}
}

func TestDamagedCache(t *testing.T) {
	t.Parallel()
	if !hasCompiler() {
		return // the interpreter keeps nothing
	}
	wasm := newBuilder().stage(ok).bytes()
	for name, damage := range map[string]func(b []byte) []byte{
		"nothing":   func(b []byte) []byte { return b },
		"empty":     func([]byte) []byte { return nil },
		"garbage":   func([]byte) []byte { return []byte(strings.Repeat("garbage", 1000)) },
		"cut":       func(b []byte) []byte { return b[:len(b)/2] },
		"functions": func(b []byte) []byte { b[13], b[14], b[15] = 0xff, 0xff, 0x7f; return b },
		"one bit":   func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"longer":    func(b []byte) []byte { return append(b, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := t.TempDir()
			loadCached(t, wasm, cache)
			file := compiled(t, cache)
			good, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, damage(append([]byte(nil), good...)), 0o600); err != nil {
				t.Fatal(err)
			}
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(file, old, old); err != nil {
				t.Fatal(err)
			}
			loadCached(t, wasm, cache)
			file = compiled(t, cache)
			if now, err := os.ReadFile(file); err != nil || string(now) != string(good) {
				t.Error("the damage stays:", err)
			}
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			if again := info.ModTime().After(old.Add(time.Minute)); again != (name != "nothing") {
				t.Errorf("compiled again: %v", again)
			}
		})
	}
}

func TestCacheFolderOfOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := checkFolder(dir); err != nil && os.Chmod(dir, 0o700) != nil {
		t.Fatal(err)
	}
	open, link, file := filepath.Join(dir, "open"), filepath.Join(dir, "link"), filepath.Join(dir, "file")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{open: "set its mode to 0700", link: "must be a folder", file: "must be a folder", dir + "/none": "no such file"} {
		if err := checkFolder(path); err == nil || !strings.Contains(err.Error(), text) {
			t.Error(path, err)
		}
	}
}

func TestPruneCache(t *testing.T) {
	t.Parallel()
	if !hasCompiler() {
		return
	}
	cache := t.TempDir()
	if err := os.Mkdir(filepath.Join(cache, "somebody else's"), 0o700); err != nil {
		t.Fatal(err)
	}
	wasm := newBuilder().stage(ok).bytes()
	loadCached(t, wasm, cache)
	pruneCache(cache, time.Now().Add(cacheAge/2))
	compiled(t, cache)
	pruneCache(cache, time.Now().Add(cacheAge+time.Hour))
	if left, err := os.ReadDir(cache); err != nil || len(left) != 1 {
		t.Error(left, err)
	}
}
