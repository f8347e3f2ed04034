package pack

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Extension is the end of the name of a package in an archive.
const Extension = ".hauspost"

// The files of a package.
const (
	ManifestFile  = "plugin.toml"
	ModuleFile    = "plugin.wasm"
	ReadmeFile    = "README.md"
	LicenseFile   = "LICENSE"
	TestsFolder   = "tests"
	signatureFile = "signature"
)

// The caps on what a package may hold, in octets but for maxFiles.
const (
	maxManifest = 64 << 10
	maxModule   = 32 << 20
	maxText     = 1 << 20
	maxTest     = 4 << 20
	maxTotal    = 64 << 20
	maxArchive  = 64 << 20
	maxFiles    = 1000
)

// ErrBadPackage is wrapped by all errors about files that are no package.
var ErrBadPackage = errors.New("this is no sound plugin package")

// Package is a package that was read and found sound.
type Package struct {
	Manifest *Manifest
	// Wasm is the module, WasmSHA256 its digest.
	Wasm       []byte
	WasmSHA256 [32]byte
	// Digest stands for all files but the signature.
	Digest [32]byte
	// Signer is the key that signed it, nil where nobody did.
	Signer ed25519.PublicKey
	// Readme is README.md, empty where there is none.
	Readme string
	// Tests has the files of tests/, for Cases.
	Tests fs.FS

	files map[string][]byte
}

// Open reads a package: a folder or an archive. What is no package gives an
// error that wraps ErrBadPackage, Faults or ErrSignature.
func Open(path string) (*Package, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("opening the plugin package: %w", err)
	}
	if info.IsDir() {
		files, err := filesBelow(path)
		if err != nil {
			return nil, err
		}
		return fromFiles(files)
	}
	if info.Size() > maxArchive {
		return nil, bad("%s is larger than %d MiB", path, maxArchive>>20)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("opening the plugin package: %w", err)
	}
	return OpenArchive(data)
}

// filesBelow reads the package files of a folder on disk; no link leads out of
// it.
func filesBelow(dir string) (map[string][]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the plugin package: %w", err)
	}
	defer root.Close()
	return folderFiles(root.FS())
}

// OpenFS reads a package from a folder. Files that do not belong to a package
// are left alone.
func OpenFS(folder fs.FS) (*Package, error) {
	files, err := folderFiles(folder)
	if err != nil {
		return nil, err
	}
	return fromFiles(files)
}

// folderFiles reads those files of a folder that belong to a package.
func folderFiles(folder fs.FS) (map[string][]byte, error) {
	names := []string{ManifestFile, ModuleFile, ReadmeFile, LicenseFile, signatureFile}
	tests, err := fs.ReadDir(folder, TestsFolder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, bad("the folder %s cannot be read: %v", TestsFolder, err)
	}
	for _, e := range tests {
		if name := TestsFolder + "/" + e.Name(); sizeCap(name) > 0 {
			names = append(names, name)
		}
	}
	if len(names) > maxFiles {
		return nil, bad("it has more than %d files", maxFiles)
	}
	files := map[string][]byte{}
	total := 0
	for _, name := range names {
		data, err := readPlain(folder, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if total += len(data); total > maxTotal {
			return nil, bad("its files are larger than %d MiB together", maxTotal>>20)
		}
		files[name] = data
	}
	return files, nil
}

func readPlain(folder fs.FS, name string) ([]byte, error) {
	// Looked at before it is opened: opening a pipe would wait for a writer.
	info, err := fs.Stat(folder, name)
	if err != nil {
		return nil, fmt.Errorf("%w: %s cannot be read: %w", ErrBadPackage, name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, bad("%s is no plain file", name)
	}
	f, err := folder.Open(name)
	if err != nil {
		return nil, bad("%s cannot be read: %v", name, err)
	}
	defer f.Close()
	return readCapped(f, name)
}

// fromFiles makes a package from its files, whose names were checked.
func fromFiles(files map[string][]byte) (*Package, error) {
	text, ok := files[ManifestFile]
	if !ok {
		return nil, bad("it has no %s", ManifestFile)
	}
	wasm, ok := files[ModuleFile]
	if !ok {
		return nil, bad("it has no %s: build the plugin first", ModuleFile)
	}
	if !bytes.HasPrefix(wasm, []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, bad("%s is no WebAssembly module", ModuleFile)
	}
	m, err := ParseManifest(text)
	if err != nil {
		return nil, err
	}
	p := &Package{Manifest: m, Wasm: wasm, WasmSHA256: sha256.Sum256(wasm), Digest: digest(files),
		Readme: string(files[ReadmeFile]), Tests: memFS(files, TestsFolder+"/"), files: files}
	if text, signed := files[signatureFile]; signed {
		if p.Signer, err = checkSignature(text, p.Digest); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// digest stands for all files but the signature: it changes with every name and
// every octet.
func digest(files map[string][]byte) [32]byte {
	h := sha256.New()
	io.WriteString(h, "hauspost package, version 1\n")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != signatureFile {
			fmt.Fprintf(h, "%x  %s\n", sha256.Sum256(files[name]), name)
		}
	}
	return [32]byte(h.Sum(nil))
}

// testForm is what files of tests/ are called; names are stored and shown, so
// nothing but plain ones.
var testForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.(eml|toml)$`)

// sizeCap gives how large the file of a package may be; 0 means that no such
// file belongs to one.
func sizeCap(name string) int64 {
	switch name {
	case ManifestFile:
		return maxManifest
	case ModuleFile:
		return maxModule
	case ReadmeFile, LicenseFile:
		return maxText
	case signatureFile:
		return 4 << 10
	}
	if test, ok := strings.CutPrefix(name, TestsFolder+"/"); ok && testForm.MatchString(test) {
		return maxTest
	}
	return 0
}

// readCapped reads a file up to its cap, whatever it says of its size.
func readCapped(r io.Reader, name string) ([]byte, error) {
	limit := sizeCap(name)
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, bad("%s cannot be read: %v", name, err)
	}
	if int64(len(data)) > limit {
		return nil, bad("%s is larger than %d KiB", name, limit>>10)
	}
	return data, nil
}

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadPackage, fmt.Sprintf(format, args...))
}
