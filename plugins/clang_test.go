//go:build clients

package plugins

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hauspost/plugins/abi"
)

// TestTemplateC builds a new plugin in C by clang and lld.
func TestTemplateC(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	if err := Template("c", "shouting", dir); err != nil {
		t.Fatal(err)
	}
	p := built(t, dir, "shouting")
	imports, exports := interfaceOf(t, p.Wasm)
	slices.Sort(imports)
	if want := []string{abi.Module + ".effects", abi.Module + ".header", abi.Module + ".settings"}; !slices.Equal(imports, want) {
		t.Errorf("the module imports %q, want %q", imports, want)
	}
	if want := []string{"memory", "on_message"}; !slices.Equal(exports, want) {
		t.Errorf("the module exports %q, want %q", exports, want)
	}
	if len(p.Wasm) > 16<<10 {
		t.Errorf("the module has %d octets", len(p.Wasm))
	}
	proto, err := os.ReadFile(filepath.Join(dir, "plugin_v1.proto"))
	if err != nil || len(proto) == 0 {
		t.Errorf("there is no specification of the messages: %v", err)
	}
}
