package appliance

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"hauspost/appliance/control"
	bundle "hauspost/plugins"
	"hauspost/plugins/pack"
)

// This file is what authors of plugins need; none of it needs a box.

// PluginLanguages are those for which PluginNew has a beginning.
func PluginLanguages() []string { return bundle.Languages() }

// PluginNew writes the sources of a new plugin into a new folder.
func PluginNew(lang, id, dir string) error { return bundle.Template(lang, id, dir) }

// PluginKey makes a key for signing in a new file, and gives its public half as
// people compare it.
func PluginKey(path string) (public string, err error) {
	key, err := pack.NewKey(path)
	if err != nil {
		return "", err
	}
	return pack.KeyText(key.Public().(ed25519.PublicKey)), nil
}

// PluginBuilt is a package that was made.
type PluginBuilt struct {
	File    string `json:"file"`
	ID      string `json:"id"`
	Version string `json:"version"`
	// Bytes is the size of the archive, WasmBytes that of the module.
	Bytes     int64  `json:"bytes"`
	WasmBytes int64  `json:"wasm_bytes"`
	SHA256    string `json:"sha256"`
	Digest    string `json:"digest"`
	// Signer is the public key, empty where it was not signed.
	Signer string `json:"signer,omitempty"`
}

// PluginBuild compiles the plugin of a folder by the command of its manifest, if
// there is one, and packs it. An empty key file means that it is not signed, an
// empty out the usual name in that folder. What the command says goes to output.
func PluginBuild(ctx context.Context, dir, out, keyFile string, output io.Writer) (PluginBuilt, error) {
	var key ed25519.PrivateKey
	text, err := os.ReadFile(filepath.Join(dir, pack.ManifestFile))
	if err != nil {
		return PluginBuilt{}, fmt.Errorf("there is no plugin in %s: %w", dir, err)
	}
	m, err := pack.ParseManifest(text)
	if err != nil {
		return PluginBuilt{}, err
	}
	if keyFile != "" {
		if key, err = pack.ReadKey(keyFile); err != nil {
			return PluginBuilt{}, err
		}
	}
	if len(m.Build) > 0 {
		if err := pack.Compile(ctx, dir, output); err != nil {
			return PluginBuilt{}, err
		}
	}
	if out == "" {
		out = filepath.Join(dir, m.FileName())
	}
	p, err := pack.Build(dir, out, key)
	if err != nil {
		return PluginBuilt{}, err
	}
	info, err := os.Stat(out)
	if err != nil {
		return PluginBuilt{}, fmt.Errorf("looking at the package: %w", err)
	}
	f := pluginFacts(p, nil)
	return PluginBuilt{File: out, ID: f.ID, Version: f.Version, Bytes: info.Size(), WasmBytes: int64(len(p.Wasm)),
		SHA256: f.SHA256, Digest: f.Digest, Signer: f.Signer}, nil
}

// PluginPackage reads the archive of a plugin, or makes one of a folder that
// holds a plugin that was built.
func PluginPackage(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the plugin: %w", err)
	}
	if info.IsDir() {
		return archived(path)
	}
	if info.Size() > control.MaxPackage {
		return nil, fmt.Errorf("reading the plugin: %s is larger than %d MiB", path, control.MaxPackage>>20)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the plugin: %w", err)
	}
	return data, nil
}

// archived puts those files of a folder that belong to a package into an
// archive, a signature that is there included.
func archived(dir string) ([]byte, error) {
	if _, err := pack.Open(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the plugin: %w", err)
	}
	defer root.Close()
	names := []string{pack.ManifestFile, pack.ModuleFile, pack.ReadmeFile, pack.LicenseFile, "signature"}
	for _, pattern := range []string{"/*.toml", "/*.eml"} {
		tests, err := fs.Glob(root.FS(), pack.TestsFolder+pattern)
		if err != nil {
			return nil, fmt.Errorf("reading the plugin: %w", err)
		}
		names = append(names, tests...)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		data, err := root.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			var w io.Writer
			if w, err = z.Create(name); err == nil {
				_, err = w.Write(data)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("packing %s: %w", name, err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("packing the plugin: %w", err)
	}
	return b.Bytes(), nil
}
