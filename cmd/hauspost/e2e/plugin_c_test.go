//go:build clients

package e2e

import (
	"path/filepath"
	"testing"
)

// TestPluginC is TestPluginGo with a plugin in C, built by clang and lld: the
// plugin interface is no matter of one language.
func TestPluginC(t *testing.T) {
	dir := filepath.Join(folder(t), "shouting")
	b := newBox(t, nil, "anna")
	b.must("plugin", "new", "shouting", "--lang", "c", "--dir", dir)
	b.tryShouting(dir)
}
