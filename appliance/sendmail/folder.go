package sendmail

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// folder is a spool folder as the Picker sees it.
type folder struct {
	path, kind string
	private    bool
	// absent tells that the folder is not there, or not to be used; said is
	// what was last logged of it.
	absent bool
	said   string
	// entries are the messages that were seen and are not dealt with.
	entries map[string]*entry
}

// entry is a message that waits.
type entry struct {
	due     time.Time
	tries   int
	charged bool // it has used up one of its user's messages
}

// later puts off the next try.
func (e *entry) later(p *Picker) {
	wait := p.o.RetryMax
	if e.tries < 20 {
		wait = min(p.o.Retry<<e.tries, p.o.RetryMax)
	}
	e.tries++
	e.due = p.o.Now().Add(wait)
}

// Bounds of a folder: how many messages are known at a time, how many files are
// kept in bad/, and how old something unfinished must be to be removed.
const (
	maxEntries = 100_000
	maxBad     = 100
	maxAge     = 24 * time.Hour
)

func (f *folder) file(base string) string { return filepath.Join(f.path, base) }

// isMessage tells names as the command makes them. In the drop folder everybody
// makes names.
func isMessage(base string) bool {
	id, ok := strings.CutSuffix(base, endingReady)
	if !ok || len(id) != 26 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'z') {
			return false
		}
	}
	return true
}

// look reads which messages there are.
func (f *folder) look(p *Picker) error {
	if !f.private && !f.usable(p) {
		f.absent = true
		clear(f.entries)
		return nil
	}
	f.absent = false
	d, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer d.Close()
	seen := make(map[string]bool)
	for len(seen) < maxEntries {
		names, err := d.Readdirnames(1000)
		for _, name := range names {
			switch {
			case isMessage(name):
				seen[name] = true
				if f.entries[name] == nil {
					f.entries[name] = &entry{}
				}
			case strings.HasSuffix(name, endingNew):
				f.removeOld(p, name)
			}
		}
		if errors.Is(err, io.EOF) || err == nil && len(names) == 0 {
			break
		}
		if err != nil {
			return err
		}
	}
	maps.DeleteFunc(f.entries, func(name string, _ *entry) bool { return !seen[name] })
	return nil
}

// sorted gives the messages in the order in which they came.
func (f *folder) sorted() []string { return slices.Sorted(maps.Keys(f.entries)) }

// removeOld removes what a command left behind that did not come to its end.
func (f *folder) removeOld(p *Picker, name string) {
	st, err := os.Lstat(f.file(name))
	if err == nil && !st.IsDir() && p.o.Now().Sub(st.ModTime()) > maxAge {
		os.Remove(f.file(name))
	}
}

// usable checks the drop folder: if it were not this user's, or others could
// remove files in it, nothing that lies there could be relied on.
func (f *folder) usable(p *Picker) bool {
	st, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	why := ""
	if err != nil {
		why = "it cannot be looked at"
	} else if sys, ok := st.Sys().(*syscall.Stat_t); !ok || !st.IsDir() {
		why = "it is no folder"
	} else if int(sys.Uid) != p.euid {
		why = "it does not belong to the user that runs the box"
	} else if mode := st.Mode(); mode.Perm()&0o044 != 0 || mode.Perm()&0o022 != 0 && mode&fs.ModeSticky == 0 {
		why = "its mode is not 3733: others could list it, or remove what is not theirs"
	}
	if why != "" {
		f.tell(p, why, err)
	}
	return why == ""
}

// tell logs what is wrong with the folder, once; nothing if nothing is.
func (f *folder) tell(p *Picker, why string, err error) {
	said := why
	if err != nil {
		said += err.Error()
	}
	if said != "" && said != f.said {
		p.o.Logger.Warn("a spool folder cannot be used as it should", "folder", f.path, "why", why, "error", err)
	}
	f.said = said
}

// putAway moves a file that is no message to bad/, so that it is looked at once
// and a person can see it.
func (p *Picker) putAway(f *folder, base, why string) {
	delete(f.entries, base)
	p.count(func(s *PickerStats) { s.Bad++ })
	uid := -1
	if st, err := os.Lstat(f.file(base)); err == nil {
		if sys, ok := st.Sys().(*syscall.Stat_t); ok {
			uid = int(sys.Uid)
		}
	}
	where := "removed"
	bad, err := f.bad()
	if err == nil {
		where = filepath.Join(bad, base)
		err = os.Rename(f.file(base), where)
		pruneBad(bad)
	}
	if err != nil {
		where, err = "removed", os.RemoveAll(f.file(base))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// It stays; but it must not be looked at again and again.
		where, f.entries[base] = "left there", &entry{due: p.o.Now().Add(maxAge), tries: 20}
	}
	p.o.Logger.Warn("a file of the spool is no message", "file", f.file(base), "put", where, "uid", uid, "why", why)
}

// bad makes the folder for what is no message. In the drop folder somebody else
// could have made it, or a link of its name.
func (f *folder) bad() (string, error) {
	name := f.file(badFolder)
	if err := os.Mkdir(name, privateMode); err == nil || !errors.Is(err, fs.ErrExist) {
		return name, err
	}
	st, err := os.Lstat(name)
	if err != nil {
		return "", err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || !st.IsDir() || int(sys.Uid) != os.Geteuid() || st.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("%s is not the box's own folder", name)
	}
	return name, nil
}

// pruneBad keeps the newest files of bad/.
func pruneBad(bad string) {
	names, err := os.ReadDir(bad) // sorted, and the names begin with the time
	if err != nil {
		return
	}
	for i := range len(names) - maxBad {
		os.RemoveAll(filepath.Join(bad, names[i].Name()))
	}
}
