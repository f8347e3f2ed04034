package pack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pelletier/go-toml/v2"

	"hauspost/plugins/abi"
)

// lockName is the lock file of a Folder.
const lockName = "lock.toml"

const lockHead = `# Hauspost: the plugins of this box, in the order in which they are asked, with
# what was granted to them. "hauspost plugin" writes this file: do not change it.
`

// Pin is one version of an installed plugin.
type Pin struct {
	Version string
	// SHA256 is that of plugin.wasm, Digest the one of the package; both in
	// hexadecimal digits.
	SHA256, Digest string
	// Signer is the KeyText of who signed it, empty where nobody did.
	Signer string
	// Source is where it came from, for people.
	Source string
	// Granted is what the owner grants it.
	Granted   Grants
	Installed time.Time
	// Stages and OnFailure are those of its manifest. They are here so that a
	// plugin whose files are damaged still counts as one that fails.
	Stages    []abi.Stage
	OnFailure string
}

// Entry is one installed plugin.
type Entry struct {
	ID string
	Pin
	Enabled bool
	// Seed are 32 random octets in hexadecimal digits, from which the random
	// numbers of its instances are made. It stays when the plugin is updated.
	Seed string
	// Previous is the version before, nil where there is none: see Folder.Back.
	Previous *Pin
}

// The forms of the lock file.
type (
	lockForm struct {
		Version int         `toml:"version"`
		Plugins []entryForm `toml:"plugin"`
	}
	entryForm struct {
		ID      string `toml:"id"`
		Enabled bool   `toml:"enabled"`
		Seed    string `toml:"seed"`
		pinForm
		Previous *pinForm `toml:"previous,omitempty"`
	}
	pinForm struct {
		Version   string     `toml:"version"`
		SHA256    string     `toml:"sha256"`
		Digest    string     `toml:"digest"`
		Signer    string     `toml:"signer,omitempty"`
		Source    string     `toml:"source"`
		Installed time.Time  `toml:"installed"`
		Stages    []string   `toml:"stages"`
		OnFailure string     `toml:"on_failure"`
		Granted   grantsForm `toml:"granted"`
	}
)

// readLock gives the entries of a folder, none where nothing was installed yet.
func readLock(dir string) ([]Entry, error) {
	path := filepath.Join(dir, lockName)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, packagesWithoutLock(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the list of plugins: %w", err)
	}
	entries, err := parseLock(data)
	if err != nil {
		return nil, fmt.Errorf("reading the list of plugins %s: %w", path, err)
	}
	return entries, nil
}

// packagesWithoutLock is the error of a folder that has packages and no lock
// file: it was lost, and nobody knows what was granted. The first change of an
// empty folder writes one before it writes packages.
func packagesWithoutLock(dir string) error {
	names, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading the list of plugins: %w", err)
	}
	for _, n := range names {
		if n.IsDir() && folderForm.MatchString(n.Name()) {
			return fmt.Errorf("the list of plugins %s is missing, but there are plugins: restore it from a backup, or remove what is in %s and install them again",
				filepath.Join(dir, lockName), dir)
		}
	}
	return nil
}

func parseLock(data []byte) ([]Entry, error) {
	var form lockForm
	if err := toml.Unmarshal(data, &form); err != nil {
		var de *toml.DecodeError
		if errors.As(err, &de) {
			line, _ := de.Position()
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		return nil, err
	}
	if form.Version != 1 {
		return nil, fmt.Errorf("it has version %d, and this program knows version 1 only", form.Version)
	}
	seen := map[string]bool{}
	entries := make([]Entry, 0, len(form.Plugins))
	for _, p := range form.Plugins {
		if !idForm.MatchString(p.ID) || seen[p.ID] {
			return nil, fmt.Errorf("the plugin %q is there twice, or has no sound name", p.ID)
		}
		seen[p.ID] = true
		v, err := p.pin()
		if err != nil {
			return nil, fmt.Errorf("plugin %s: %w", p.ID, err)
		}
		e := Entry{ID: p.ID, Pin: v, Enabled: p.Enabled, Seed: p.Seed}
		if !isHex32(p.Seed) {
			return nil, fmt.Errorf("plugin %s: its seed is malformed", p.ID)
		}
		if p.Previous != nil {
			before, err := p.Previous.pin()
			if err != nil {
				return nil, fmt.Errorf("plugin %s, the version before: %w", p.ID, err)
			}
			e.Previous = &before
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (f pinForm) pin() (Pin, error) {
	if !versionForm.MatchString(f.Version) || len(f.Version) > maxVersion || !isHex32(f.SHA256) || !isHex32(f.Digest) {
		return Pin{}, errors.New("its version or digests are malformed")
	}
	g, err := f.Granted.grants()
	if err != nil {
		return Pin{}, err
	}
	v := Pin{Version: f.Version, SHA256: f.SHA256, Digest: f.Digest, Signer: f.Signer, Source: f.Source,
		Granted: g, Installed: f.Installed, OnFailure: f.OnFailure}
	for _, name := range f.Stages {
		s, ok := abi.ParseStage(name)
		if !ok {
			return Pin{}, fmt.Errorf("%q is no stage", name)
		}
		v.Stages = append(v.Stages, s)
	}
	return v, nil
}

func (v Pin) form() pinForm {
	f := pinForm{Version: v.Version, SHA256: v.SHA256, Digest: v.Digest, Signer: v.Signer, Source: v.Source,
		Granted: v.Granted.form(), Installed: v.Installed, OnFailure: v.OnFailure}
	for _, s := range v.Stages {
		f.Stages = append(f.Stages, s.String())
	}
	return f
}

// isHex32 tells whether a text is 32 octets in lower-case hexadecimal digits.
func isHex32(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// writeLock replaces the lock file.
func writeLock(dir string, entries []Entry) error {
	form := lockForm{Version: 1}
	for _, e := range entries {
		p := entryForm{ID: e.ID, Enabled: e.Enabled, Seed: e.Seed, pinForm: e.Pin.form()}
		if e.Previous != nil {
			before := e.Previous.form()
			p.Previous = &before
		}
		form.Plugins = append(form.Plugins, p)
	}
	text, err := toml.Marshal(form)
	if err != nil {
		return fmt.Errorf("writing the list of plugins: %w", err)
	}
	if err := writeFile(filepath.Join(dir, lockName), append([]byte(lockHead), text...), 0o600); err != nil {
		return fmt.Errorf("writing the list of plugins: %w", err)
	}
	return nil
}

// writeFile puts a file in the place of what is there, if anything is: after a
// crash the one or the other is there, whole.
func writeFile(path string, data []byte, mode os.FileMode) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}

// syncDir makes what happened to the names of a folder last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
