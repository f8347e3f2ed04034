package pack

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Compile runs the build command of the manifest in dir, which leaves
// plugin.wasm there. What the command says goes to output.
func Compile(ctx context.Context, dir string, output io.Writer) error {
	text, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if err != nil {
		return fmt.Errorf("building the plugin: %w", err)
	}
	m, err := ParseManifest(text)
	if err != nil {
		return err
	}
	if len(m.Build) == 0 {
		return fmt.Errorf("building %s: its %s has no [build] command", m.ID, ManifestFile)
	}
	c := exec.CommandContext(ctx, m.Build[0], m.Build[1:]...)
	c.Dir, c.Stdout, c.Stderr = dir, output, output
	c.WaitDelay = 5 * time.Second
	if err := c.Run(); err != nil {
		return fmt.Errorf("building %s by %q: %w", m.ID, m.Build, err)
	}
	if _, err := os.Stat(filepath.Join(dir, ModuleFile)); err != nil {
		return fmt.Errorf("building %s: the command left no %s", m.ID, ModuleFile)
	}
	return nil
}

// Build makes an archive at out from a package's folder, which holds its
// plugin.wasm already: see Compile. It is signed with key; nil means that it is
// not, even where the folder has a signature. The same files and key give the
// same octets.
func Build(dir, out string, key ed25519.PrivateKey) (*Package, error) {
	files, err := filesBelow(dir)
	if err != nil {
		return nil, err
	}
	delete(files, signatureFile)
	p, err := fromFiles(files)
	if err != nil {
		return nil, err
	}
	if _, err := Cases(p.Tests); err != nil {
		return nil, err
	}
	if key != nil {
		files[signatureFile] = sign(p.Digest, key)
		p.Signer = key.Public().(ed25519.PublicKey)
	}
	data, err := zipped(files)
	if err != nil {
		return nil, err
	}
	if err := writeFile(out, data, 0o644); err != nil {
		return nil, fmt.Errorf("writing the package: %w", err)
	}
	return p, nil
}
