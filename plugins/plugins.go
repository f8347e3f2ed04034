// Package plugins holds what the program carries with it for plugins: the
// sources of the plugin interface and the Go kit, the templates of
// `hauspost plugin new`, and the packages that come with Hauspost.
//
// It may import plugins/pack alone.
package plugins

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"hauspost/plugins/pack"
)

//go:embed abi/*.go abi/plugin_v1.proto sdk/*.go sdk/sdktest/*.go
var sources embed.FS

//go:embed templates
var templates embed.FS

//go:embed bundled
var bundled embed.FS

// ErrNotBundled is wrapped where a plugin does not come with this program.
var ErrNotBundled = errors.New("this plugin does not come with this program")

// Bundled gives the IDs of the plugins that come with this program, sorted. A
// program that was built without `make build` has none.
func Bundled() []string {
	files, _ := fs.Glob(bundled, "bundled/*"+pack.Extension)
	ids := make([]string, 0, len(files))
	for _, f := range files {
		ids = append(ids, strings.TrimSuffix(path.Base(f), pack.Extension))
	}
	return ids
}

// OpenBundled reads a plugin that comes with this program; others give
// ErrNotBundled.
func OpenBundled(id string) (*pack.Package, error) {
	ids := Bundled()
	if len(ids) == 0 {
		return nil, fmt.Errorf("%q: %w: it was built without any; build it with \"make build\"", id, ErrNotBundled)
	}
	if !slices.Contains(ids, id) {
		return nil, fmt.Errorf("%q: %w; those that do are %s", id, ErrNotBundled, strings.Join(ids, ", "))
	}
	data, err := bundled.ReadFile("bundled/" + id + pack.Extension)
	if err != nil {
		return nil, fmt.Errorf("opening the bundled plugin %s: %w", id, err)
	}
	return pack.OpenArchive(data)
}

// templateID is what the plugin of the templates is called.
const templateID = "my-plugin"

// goVersion is the oldest Go with which a template builds.
const goVersion = "1.26"

// Languages are those of Template.
func Languages() []string { return []string{"c", "go"} }

// Template writes the sources of a new plugin into a folder, which it makes: for
// "go" with all that the Go toolchain needs to build and test it offline, for "c"
// with the header for clang. A folder that has files in it is an error.
func Template(lang, id, into string) error {
	if !slices.Contains(Languages(), lang) {
		return fmt.Errorf("there is no template for %q: choose among %s", lang, strings.Join(Languages(), ", "))
	}
	if !pack.IsID(id) {
		return fmt.Errorf("%q cannot be the name of a plugin: take 2 to 32 lower-case letters, digits and hyphens, the first one a letter", id)
	}
	files := map[string][]byte{}
	for _, folder := range []string{lang, "both"} {
		below, err := fs.Sub(templates, "templates/"+folder)
		if err == nil {
			err = collect(files, below, "", func(name string) bool { return name != pack.ModuleFile })
		}
		if err != nil {
			return fmt.Errorf("making a new plugin: %w", err)
		}
	}
	for name, text := range files {
		files[name] = []byte(strings.ReplaceAll(string(text), templateID, id))
	}
	if err := library(files, lang, id); err != nil {
		return fmt.Errorf("making a new plugin: %w", err)
	}
	if err := write(files, into); err != nil {
		return fmt.Errorf("making a new plugin in %s: %w", into, err)
	}
	return nil
}

// library adds what is the same for all plugins of a language.
func library(files map[string][]byte, lang, id string) error {
	files[".gitignore"] = []byte("/plugin.wasm\n/*" + pack.Extension + "\n")
	if lang == "c" {
		proto, err := sources.ReadFile("abi/plugin_v1.proto")
		files["plugin_v1.proto"] = proto
		return err
	}
	files["go.mod"] = []byte("module example.org/" + id + "\n\ngo " + goVersion + "\n\nrequire hauspost v0.0.0\n\nreplace hauspost => ./hauspost\n")
	files["hauspost/go.mod"] = []byte("module hauspost\n\ngo " + goVersion + "\n")
	return collect(files, sources, "hauspost/plugins/", func(name string) bool { return !strings.HasSuffix(name, "_test.go") })
}

// collect takes those files of a tree that are wanted.
func collect(files map[string][]byte, tree fs.FS, prefix string, want func(name string) bool) error {
	return fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !want(name) {
			return err
		}
		files[prefix+name], err = fs.ReadFile(tree, name)
		return err
	})
}

func write(files map[string][]byte, into string) error {
	if err := os.MkdirAll(into, 0o755); err != nil {
		return err
	}
	if found, err := os.ReadDir(into); err != nil || len(found) > 0 {
		return errors.Join(err, errors.New("the folder is not empty: name a new one"))
	}
	for name, text := range files {
		file := filepath.Join(into, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
