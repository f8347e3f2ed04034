package sendmail

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"hauspost/appliance/envelope"
)

// factsFile lies in both folders, readable for all who can enter them. With it
// the command can refuse at once what the box would refuse later.
const factsFile = "box.json"

// Facts are what the command may know of the box.
type Facts struct {
	// Hostname is the box's own name; Domains are all of which it takes mail,
	// the first one that which completes bare names.
	Hostname string   `json:"hostname"`
	Domains  []string `json:"domains"`
	// MaxSize is the largest message in octets.
	MaxSize int64 `json:"max_size"`
}

// maxSize is the largest message where the box did not say.
const maxSize = 1 << 30

// readFacts gives the facts of a folder; without any the zero Facts, which
// refuse nothing: the box decides when it takes the message up.
func readFacts(folder string) Facts {
	var facts Facts
	if json.Unmarshal(rawFacts(folder), &facts) != nil {
		facts = Facts{}
	}
	if facts.MaxSize <= 0 || facts.MaxSize > maxSize {
		facts.MaxSize = maxSize
	}
	return facts
}

// rawFacts reads the file. In the drop folder anybody could have made it: it
// only counts if it is the folder's owner's.
func rawFacts(folder string) []byte {
	f, err := os.OpenFile(filepath.Join(folder, factsFile), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	var st, dir unix.Stat_t
	if again(func() error { return unix.Fstat(int(f.Fd()), &st) }) != nil || again(func() error { return unix.Stat(folder, &dir) }) != nil {
		return nil
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Uid != dir.Uid {
		return nil
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxLine))
	if err != nil {
		return nil
	}
	return raw
}

// writeFacts puts the facts into a folder, if they are other ones than those
// that are there.
func writeFacts(folder string, facts Facts) error {
	raw, err := json.Marshal(facts)
	if err != nil {
		return err
	}
	if string(rawFacts(folder)) == string(raw) {
		return nil
	}
	name := filepath.Join(folder, factsFile)
	fresh := name + endingNew
	if err := os.Remove(fresh); err != nil && !os.IsNotExist(err) {
		return err
	}
	f, err := osFS{}.Create(fresh, 0o644)
	if err != nil {
		return err
	}
	if _, err = f.Write(raw); err == nil {
		err = f.Chmod(0o644)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(fresh, name)
	}
	if err != nil {
		os.Remove(fresh)
	}
	return err
}

// mayBe tells whether a sender may be one of the box's: bare, at one of its
// domains, or at a name of the machine.
func (f Facts) mayBe(sender string) bool {
	addr, bare, err := splitAddress(sender)
	if err != nil {
		return false
	}
	return bare || len(f.Domains) == 0 || slices.Contains(f.Domains, addr.Domain) || isHere(addr, f.Hostname)
}

// isHere tells whether an address is one of this machine rather than of a mail
// domain: root@localhost, root@raspberrypi, or root@ the machine's own name.
func isHere(addr envelope.Address, names ...string) bool {
	return !strings.Contains(addr.Domain, ".") || addr.Domain == "localhost.localdomain" ||
		slices.ContainsFunc(names, func(n string) bool { return n != "" && strings.EqualFold(n, addr.Domain) })
}

func (f Facts) limit() int64 {
	if f.MaxSize <= 0 {
		return maxSize
	}
	return f.MaxSize
}
