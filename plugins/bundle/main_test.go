package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"hauspost/plugins/pack"
)

const manifest = `id = "hello"
name = "Hello"
version = "1.0.0"
description = "Does nothing."
abi = 1
stages = ["on_message"]
[build]
command = ["cp", "made", "plugin.wasm"]
`

func TestBundle(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, pack.ManifestFile), []byte(manifest), 0o600),
		os.WriteFile(filepath.Join(dir, "made"), []byte("\x00asm\x01\x00\x00\x00"), 0o600)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(out, "hello"+pack.Extension)
	var builds [2][]byte
	for i := range builds {
		err := bundle(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		if builds[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(builds[0], builds[1]) {
		t.Error("the same sources gave other octets")
	}
	if _, err := os.Stat(filepath.Join(dir, pack.ModuleFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the module was left among the sources: %v", err)
	}
	other := filepath.Join(out, "other"+pack.Extension)
	if err := bundle(dir, other); err == nil {
		t.Error("a plugin was bundled under another name")
	}
	if _, err := os.Stat(other); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("and was left there: %v", err)
	}
}
