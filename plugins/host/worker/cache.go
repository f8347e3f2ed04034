package worker

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sumName is the file of a cache folder that says what the others hold.
const sumName = "sum"

// cacheAge is after which time without use compiled code is thrown away.
const cacheAge = 30 * 24 * time.Hour

// cacheFolder is the folder with the compiled code of one module, in the folder
// of all. It is machine code that the worker will run, and wazero believes most
// of what it reads: so the folder is only used where it is the owner's alone,
// and only with the very files that were written, by their hashes.
type cacheFolder struct {
	path string
	lock *os.File
	// sums are the hashes of what was there and sound, entries how many names
	// that had: another version of wazero adds one.
	sums    string
	entries int
}

// openCache makes the folder of a module ready: empty, or with what is sound.
// It waits for another worker that is compiling the same module. It gives nil
// where there is none that can be used: compiling works without.
func openCache(all string, wasm []byte) *cacheFolder {
	if all == "" {
		return nil
	}
	name := sha256.Sum256(wasm)
	c := &cacheFolder{path: filepath.Join(all, hex.EncodeToString(name[:]))}
	if err := os.Mkdir(c.path, 0o700); err != nil && !os.IsExist(err) || checkFolder(c.path) != nil {
		return nil
	}
	var err error
	if c.lock, err = os.Open(c.path); err != nil {
		return nil
	}
	if unix.Flock(int(c.lock.Fd()), unix.LOCK_EX) != nil {
		c.close()
		return nil
	}
	want, err := os.ReadFile(filepath.Join(c.path, sumName))
	have, sumErr := c.sum()
	if err == nil && sumErr == nil && have != "" && have == string(want) {
		c.sums, c.entries = have, c.count()
	} else if c.clear() != nil {
		c.close()
		return nil
	}
	return c
}

// checkFolder tells whether a folder is one, and the owner's alone.
func checkFolder(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("looking at the folder of compiled plugins: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s must be a folder, and is a %s", path, info.Mode().Type())
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s holds machine code and others can reach it (%s); set its mode to 0700", path, info.Mode().Perm())
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s holds machine code and belongs to user %d instead of %d", path, st.Uid, os.Geteuid())
	}
	return nil
}

// sum lists the files of the folder with their hashes.
func (c *cacheFolder) sum() (string, error) {
	var list strings.Builder
	err := filepath.WalkDir(c.path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == filepath.Join(c.path, sumName) {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is no plain file", path)
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return err
		}
		fmt.Fprintf(&list, "%x %s\n", h.Sum(nil), strings.TrimPrefix(path, c.path))
		return nil
	})
	return list.String(), err
}

func (c *cacheFolder) count() int {
	entries, err := os.ReadDir(c.path)
	if err != nil {
		return -1
	}
	return len(entries)
}

// clear removes everything in the folder.
func (c *cacheFolder) clear() error {
	entries, err := os.ReadDir(c.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(c.path, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// keep notes what the folder holds now, and that it was used. Where that fails
// the code is compiled again the next time.
func (c *cacheFolder) keep() {
	if c.sums == "" || c.count() != c.entries {
		var err error
		if c.sums, err = c.sum(); err != nil || c.sums == "" {
			return
		}
	}
	path := filepath.Join(c.path, sumName)
	if os.WriteFile(path+".new", []byte(c.sums), 0o600) == nil {
		_ = os.Rename(path+".new", path)
	}
}

// close lets others use the folder.
func (c *cacheFolder) close() {
	if c != nil && c.lock != nil {
		_ = c.lock.Close()
	}
}

// pruneCache removes the folders of modules that were not used for long. Only
// folders that look like ours are touched.
func pruneCache(all string, now time.Time) {
	entries, err := os.ReadDir(all)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(all, e.Name())
		if name, err := hex.DecodeString(e.Name()); err != nil || len(name) != sha256.Size || !e.IsDir() {
			continue
		}
		info, err := os.Stat(filepath.Join(path, sumName))
		if err != nil {
			info, err = os.Stat(path)
		}
		if err == nil && now.Sub(info.ModTime()) > cacheAge {
			_ = os.RemoveAll(path)
		}
	}
}
