package pack

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// The errors of a Folder, which are wrapped with what they are about.
var (
	// ErrNotInstalled: there is no such plugin.
	ErrNotInstalled = errors.New("this plugin is not installed")
	// ErrInstalled: it is there already, so it would be an update.
	ErrInstalled = errors.New("this plugin is installed already: update it instead")
	// ErrChanged: the files of a plugin are not those that were installed.
	ErrChanged = errors.New("the files of this plugin were changed since it was installed, so it is not used: install it again")
	// ErrSigner: the update was not signed by who signed what is there.
	ErrSigner = errors.New("this update is not signed by who signed the installed version: if you trust it all the same, remove the plugin and install it anew")
	// ErrTooMuch: more was to be granted than the plugin needs.
	ErrTooMuch = errors.New("this is more than the plugin asks for")
	// ErrNoPrevious: there is no version before.
	ErrNoPrevious = errors.New("there is no version before this one to go back to")
)

// Folder is where the plugins of a box are installed. Several processes may use
// it at the same time. Its methods may be called from several goroutines.
type Folder struct {
	dir string
	now func() time.Time
}

// OpenFolder opens a folder of plugins, and makes it (0700) where it is not
// there.
func OpenFolder(dir string, now func() time.Time) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the folder of plugins: %w", err)
	}
	return &Folder{dir: dir, now: now}, nil
}

// List gives the installed plugins, in the order in which they are asked.
func (f *Folder) List() ([]Entry, error) { return readLock(f.dir) }

// Get gives one plugin, or ErrNotInstalled.
func (f *Folder) Get(id string) (Entry, error) {
	entries, err := readLock(f.dir)
	if err != nil {
		return Entry{}, err
	}
	i, err := find(entries, id)
	if err != nil {
		return Entry{}, err
	}
	return entries[i], nil
}

func find(entries []Entry, id string) (int, error) {
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.ID == id })
	if i < 0 {
		return 0, fmt.Errorf("%q: %w", id, ErrNotInstalled)
	}
	return i, nil
}

// Path is the folder with the files of a version of a plugin.
func (f *Folder) Path(id string, v Pin) string {
	return filepath.Join(f.dir, folderName(id, v))
}

// folderName begins with what people look for; its end keeps apart packages that
// call themselves the same.
func folderName(id string, v Pin) string {
	h := sha256.Sum256([]byte(v.Digest + " " + v.Signer))
	return id + "-" + v.Version + "-" + hex.EncodeToString(h[:8])
}

var folderForm = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}-[0-9A-Za-z.+-]+-[0-9a-f]{16}$`)

// Install puts a package at the end of the chain, enabled; source says to people
// where it came from. A plugin that is there gives ErrInstalled, grants beyond
// its needs ErrTooMuch.
func (f *Folder) Install(p *Package, granted Grants, source string) (Entry, error) {
	var e Entry
	err := f.change("installing", p.Manifest.ID, func(entries []Entry) ([]Entry, error) {
		if _, err := find(entries, p.Manifest.ID); err == nil {
			return nil, ErrInstalled
		}
		v, err := f.put(p, granted, source)
		if err != nil {
			return nil, err
		}
		seed := make([]byte, 32)
		rand.Read(seed)
		e = Entry{ID: p.Manifest.ID, Pin: v, Enabled: true, Seed: hex.EncodeToString(seed)}
		return append(entries, e), nil
	})
	return e, err
}

// Update puts a package in the place of the installed one, which is kept as the
// version before. A package that was signed can only be updated by one of the
// same signer (ErrSigner).
func (f *Folder) Update(p *Package, granted Grants, source string) (Entry, error) {
	var out Entry
	err := f.change("updating", p.Manifest.ID, func(entries []Entry) ([]Entry, error) {
		i, err := find(entries, p.Manifest.ID)
		if err != nil {
			return nil, err
		}
		e := &entries[i]
		if e.Signer != "" && e.Signer != KeyText(p.Signer) {
			return nil, ErrSigner
		}
		before := e.Pin
		if e.Pin, err = f.put(p, granted, source); err != nil {
			return nil, err
		}
		// The same package again (to mend its files) keeps what was before it.
		if e.Digest != before.Digest {
			e.Previous = &before
		}
		out = *e
		return entries, nil
	})
	return out, err
}

// Asks gives what the owner has to be asked for before an update by p: what it
// needs beyond what the installed version needs. What was denied to that one is
// not asked for again. Keeps is what was granted and is still needed.
func (f *Folder) Asks(p *Package) (asks, keeps Grants, err error) {
	e, err := f.Get(p.Manifest.ID)
	if err != nil {
		return Grants{}, Grants{}, err
	}
	needed := e.Granted
	if old, err := f.Load(e); err == nil {
		needed = old.Manifest.Needs
	}
	return p.Manifest.Needs.Beyond(needed), e.Granted.Within(p.Manifest.Needs), nil
}

// Back makes the version before an update the current one, and the current one
// that before it.
func (f *Folder) Back(id string) (Entry, error) {
	var out Entry
	err := f.change("going back with", id, func(entries []Entry) ([]Entry, error) {
		i, err := find(entries, id)
		if err != nil {
			return nil, err
		}
		e := &entries[i]
		if e.Previous == nil {
			return nil, ErrNoPrevious
		}
		if _, err := f.load(id, *e.Previous); err != nil {
			return nil, err
		}
		e.Pin, *e.Previous = *e.Previous, e.Pin
		out = *e
		return entries, nil
	})
	return out, err
}

// Remove takes a plugin and its files away.
func (f *Folder) Remove(id string) error {
	return f.change("removing", id, func(entries []Entry) ([]Entry, error) {
		i, err := find(entries, id)
		if err != nil {
			return nil, err
		}
		return slices.Delete(entries, i, i+1), nil
	})
}

// Enable switches a plugin on or off.
func (f *Folder) Enable(id string, enabled bool) error {
	return f.edit("switching", id, func(e *Entry) error {
		e.Enabled = enabled
		return nil
	})
}

// Grant sets what a plugin may do: at most what it needs (ErrTooMuch).
func (f *Folder) Grant(id string, granted Grants) error {
	return f.edit("granting to", id, func(e *Entry) error {
		p, err := f.Load(*e)
		if err != nil {
			return err
		}
		if err := within(granted, p.Manifest.Needs); err != nil {
			return err
		}
		e.Granted = granted
		return nil
	})
}

// Order puts the plugins into an order. Those that ids does not name come after
// those that it names, in the order that they had.
func (f *Folder) Order(ids []string) error {
	return f.change("ordering", "", func(entries []Entry) ([]Entry, error) {
		ordered := make([]Entry, 0, len(entries))
		for _, id := range ids {
			i, err := find(entries, id)
			if err != nil {
				return nil, err
			}
			ordered = append(ordered, entries[i])
			entries = slices.Delete(entries, i, i+1)
		}
		return append(ordered, entries...), nil
	})
}

// Load reads the files of a plugin, and gives ErrChanged where they are not
// those that were installed.
func (f *Folder) Load(e Entry) (*Package, error) { return f.load(e.ID, e.Pin) }

func (f *Folder) load(id string, v Pin) (*Package, error) {
	p, err := Open(f.Path(id, v))
	if err != nil {
		return nil, fmt.Errorf("loading the plugin %s: %w: %w", id, ErrChanged, err)
	}
	if p.Manifest.ID != id || p.Manifest.Version != v.Version || hex.EncodeToString(p.Digest[:]) != v.Digest ||
		hex.EncodeToString(p.WasmSHA256[:]) != v.SHA256 || KeyText(p.Signer) != v.Signer {
		return nil, fmt.Errorf("loading the plugin %s: %w", id, ErrChanged)
	}
	return p, nil
}

func within(granted, needs Grants) error {
	if more := granted.Beyond(needs); !more.IsZero() {
		return fmt.Errorf("%w: %v", ErrTooMuch, more.names())
	}
	return nil
}

func (f *Folder) edit(doing, id string, do func(*Entry) error) error {
	return f.change(doing, id, func(entries []Entry) ([]Entry, error) {
		i, err := find(entries, id)
		if err != nil {
			return nil, err
		}
		return entries, do(&entries[i])
	})
}

// change does one change while no other process does one. What do needs on disk
// it has written when it returns; then the lock file is replaced, and with it
// the change has happened.
func (f *Folder) change(doing, id string, do func([]Entry) ([]Entry, error)) error {
	wrap := func(err error) error {
		return fmt.Errorf("%s plugin %s: %w", doing, id, err)
	}
	if id == "" {
		wrap = func(err error) error { return fmt.Errorf("%s the plugins: %w", doing, err) }
	}
	unlock, err := f.flock()
	if err != nil {
		return wrap(err)
	}
	defer unlock()
	entries, err := readLock(f.dir)
	if err != nil {
		return wrap(err)
	}
	if len(entries) == 0 {
		// A crash after the first package was written must not look as if the
		// lock file had been lost.
		if err := writeLock(f.dir, nil); err != nil {
			return wrap(err)
		}
	}
	if entries, err = do(entries); err != nil {
		return wrap(err)
	}
	if err := writeLock(f.dir, entries); err != nil {
		return wrap(err)
	}
	f.sweep(entries)
	return nil
}

// flock waits until no other process changes the folder.
func (f *Folder) flock() (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(f.dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(file.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", file.Name(), err), file.Close())
	}
	return func() { file.Close() }, nil
}

// put writes the files of a package into a folder of their own.
func (f *Folder) put(p *Package, granted Grants, source string) (Pin, error) {
	if err := within(granted, p.Manifest.Needs); err != nil {
		return Pin{}, err
	}
	v := Pin{Version: p.Manifest.Version, SHA256: hex.EncodeToString(p.WasmSHA256[:]), Digest: hex.EncodeToString(p.Digest[:]),
		Signer: KeyText(p.Signer), Source: source, Granted: granted, Installed: f.now().UTC().Truncate(time.Second),
		Stages: p.Manifest.Stages, OnFailure: p.Manifest.OnFailure}
	path := f.Path(p.Manifest.ID, v)
	if _, err := f.load(p.Manifest.ID, v); err == nil {
		return v, nil // the version before, or what a crash has left: whole
	}
	temp, err := os.MkdirTemp(f.dir, ".new-*")
	if err != nil {
		return Pin{}, err
	}
	defer os.RemoveAll(temp)
	if err := writeFiles(temp, p.files); err != nil {
		return Pin{}, err
	}
	// What is there is what a crash has left, or what somebody changed.
	if err := os.RemoveAll(path); err != nil {
		return Pin{}, err
	}
	if err := os.Rename(temp, path); err != nil {
		return Pin{}, err
	}
	return v, syncDir(f.dir)
}

func writeFiles(dir string, files map[string][]byte) error {
	tests := filepath.Join(dir, TestsFolder)
	if err := os.Mkdir(tests, 0o700); err != nil {
		return err
	}
	for name, data := range files {
		file, err := os.OpenFile(filepath.Join(dir, filepath.FromSlash(name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = file.Write(data)
		if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
			return err
		}
	}
	return errors.Join(syncDir(tests), syncDir(dir))
}

// sweep removes the folders of packages that no entry names any more, and what
// a crash has left. What cannot be removed now is removed another time.
func (f *Folder) sweep(entries []Entry) {
	keep := map[string]bool{}
	for _, e := range entries {
		keep[folderName(e.ID, e.Pin)] = true
		if e.Previous != nil {
			keep[folderName(e.ID, *e.Previous)] = true
		}
	}
	found, _ := os.ReadDir(f.dir)
	for _, d := range found {
		left, _ := filepath.Match(".new-*", d.Name())
		if left || d.IsDir() && folderForm.MatchString(d.Name()) && !keep[d.Name()] {
			os.RemoveAll(filepath.Join(f.dir, d.Name()))
		}
	}
}
