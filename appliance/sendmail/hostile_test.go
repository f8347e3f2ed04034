package sendmail

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hauspost/appliance/envelope"
)

// spoil makes a file in the drop folder, or something else of that name.
func (b *bench) spoil(make func(name string) error) string {
	b.t.Helper()
	name := filepath.Join(b.drop, string(envelope.NewID(b.now))+endingReady)
	if err := make(name); err != nil {
		b.t.Fatal(err)
	}
	return name
}

func spoolFile(change func(h *header), content string) []byte {
	h := header{Version: formatVersion, To: []recipient{{Address: "anna"}}, Size: int64(len(content))}
	if change != nil {
		change(&h)
	}
	line, err := json.Marshal(h)
	if err != nil {
		panic(err)
	}
	return append(append(line, '\n'), content...)
}

func TestHostileFiles(t *testing.T) {
	t.Parallel()
	write := func(raw []byte) func(string) error {
		return func(name string) error { return os.WriteFile(name, raw, 0o640) }
	}
	with := func(change func(h *header)) func(string) error { return write(spoolFile(change, letter)) }
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, spoolFile(nil, letter), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(name string) error{
		"a link":             func(name string) error { return os.Symlink(outside, name) },
		"a link to nothing":  func(name string) error { return os.Symlink("/nowhere", name) },
		"a link to a device": func(name string) error { return os.Symlink("/dev/zero", name) },
		"a fifo":             func(name string) error { return syscall.Mkfifo(name, 0o666) },
		"a folder":           func(name string) error { return os.Mkdir(name, 0o700) },
		"a full folder":      func(name string) error { return os.MkdirAll(filepath.Join(name, "x", "y"), 0o700) },
		"a second name":      func(name string) error { return os.Link(outside, name) },
		"empty":              write(nil),
		"no line":            write([]byte("hello")),
		"no JSON":            write([]byte("hello\n\n")),
		"a long line":        write([]byte(strings.Repeat(" ", maxLine+10))),
		"a huge file": func(name string) error {
			return errors.Join(os.WriteFile(name, spoolFile(nil, letter), 0o640), os.Truncate(name, 10<<30))
		},
		"a huge size":        with(func(h *header) { h.Size = math.MaxInt64 }),
		"a negative size":    with(func(h *header) { h.Size = -1 }),
		"shorter than it is": with(func(h *header) { h.Size += 5 }),
		"a later version":    with(func(h *header) { h.Version = 99 }),
		"no version":         with(func(h *header) { h.Version = 0 }),
		"nobody":             with(func(h *header) { h.To = nil }),
		"many":               with(func(h *header) { h.To = make([]recipient, maxRecipients+1) }),
		"a bad recipient":    with(func(h *header) { h.To[0].Address = "a@b@c" }),
		"a header in a name": with(func(h *header) { h.To[0].Address = "\"a\r\nX: y\"@b.test" }),
		"a bad notify":       with(func(h *header) { h.To[0].Notify = "X" }),
		"a bad orcpt":        with(func(h *header) { h.To[0].ORcpt = "rfc822;a\r\nX: y" }),
		"a bad ret":          with(func(h *header) { h.Ret = "X" }),
		"a bad envid":        with(func(h *header) { h.EnvID = "a\nb" }),
		"a bad body":         with(func(h *header) { h.Body = "X" }),
		"a bad sender":       with(func(h *header) { s := "a@b@c"; h.Sender = &s }),
		"an address literal": with(func(h *header) { h.To[0].Address = "a@[192.0.2.1]" }),
		"LF alone":           write(spoolFile(nil, "Subject: x\n\nbody\n")),
		"LF in the body":     write(spoolFile(nil, "Subject: x\r\n\r\nbody\n.\r\n")),
		"CR in the body":     write(spoolFile(nil, "Subject: x\r\n\r\nbo\rdy\r\n")),
		"CR at the end":      write(spoolFile(nil, "Subject: x\r\n\r\nbody\r")),
		"NUL":                write(spoolFile(nil, "Subject: x\r\n\r\n\x00\r\n")),
		"an endless header":  write(spoolFile(nil, strings.Repeat("A: b\r\n", 100_000))),
		"an empty recipient": with(func(h *header) { h.To[0].Address = "" }),
	}
	for name, make := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			path := b.spoil(make)
			due := b.scanAll()
			if b.intake.count() != 0 {
				t.Fatalf("it was taken: %+v", b.intake.took[0])
			}
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("it still lies there: %v", err)
			}
			if st := b.Stats(); st.Bad != 1 || due.Sub(b.now) < time.Second {
				t.Errorf("the counts are %+v, the next look is at %v", st, due)
			}
			if !strings.Contains(b.log.String(), "uid=") {
				t.Errorf("the log says %s", b.log)
			}
			b.let(letter, "anna")
			if b.scanAll(); b.intake.count() != 1 {
				t.Errorf("a good message after it was not taken: %s", b.log)
			}
		})
	}
	if raw, err := os.ReadFile(outside); err != nil || string(raw) != string(spoolFile(nil, letter)) {
		t.Errorf("the file behind the links: %q, %v", raw, err)
	}
}

// Somebody prepared the names that the box uses itself in the drop folder.
func TestHostileFolder(t *testing.T) {
	t.Parallel()
	victim := t.TempDir()
	precious := filepath.Join(victim, "precious")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, nil)
	for _, err := range []error{
		os.Symlink(victim, filepath.Join(b.drop, badFolder)),
		syscall.Mkfifo(filepath.Join(b.drop, factsFile), 0o666),
		os.MkdirAll(filepath.Join(b.drop, factsFile+endingNew, "x"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	path := b.spoil(func(name string) error { return os.WriteFile(name, nil, 0o640) })
	b.let(letter, "anna")
	b.scanAll()
	b.scanAll()
	if list, err := os.ReadDir(victim); err != nil || len(list) != 1 {
		t.Errorf("the folder behind the link holds %v, %v", list, err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) || b.intake.count() != 1 {
		t.Errorf("the bad file: %v; taken: %d", err, b.intake.count())
	}
	if n := strings.Count(b.log.String(), "cannot be used as it should"); n != 1 {
		t.Errorf("the folder was complained of %d times: %s", n, b.log)
	}
}

func TestDropFolderOfOthers(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(b *bench) error{
		"listed":     func(b *bench) error { return os.Chmod(b.drop, 0o777|os.ModeSticky) },
		"not sticky": func(b *bench) error { return os.Chmod(b.drop, 0o733) },
		"foreign":    func(b *bench) error { b.euid = os.Geteuid() + 1; return nil },
		"a link": func(b *bench) error {
			return errors.Join(os.Rename(b.drop, b.drop+"2"), os.Symlink(b.drop+"2", b.drop))
		},
	} {
		b := newBench(t, nil)
		b.let(letter, "anna")
		if err := spoil(b); err != nil {
			t.Fatal(err)
		}
		b.scanAll()
		if b.intake.count() != 0 || strings.Count(b.log.String(), "level=WARN") != 1 {
			t.Errorf("%s: taken %d, the log says %s", name, b.intake.count(), b.log)
		}
	}
	b := newBench(t, nil)
	if err := os.Remove(b.drop); err != nil {
		t.Fatal(err)
	}
	if b.scanAll(); b.log.Len() > 0 {
		t.Errorf("without a drop folder the log says %s", b.log)
	}
}

// A file in the private folder that is not the box's was not made by the
// command.
func TestPrivateFileOfOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.send(letter, "anna")
	if os.Geteuid() == 0 {
		if err := os.Chown(files(t, b.spool, endingReady)[0], stranger, -1); err != nil {
			t.Fatal(err)
		}
	} else {
		b.euid++
	}
	if b.scanAll(); b.intake.count() != 0 || b.Stats().Bad != 1 {
		t.Errorf("taken %d, bad %d", b.intake.count(), b.Stats().Bad)
	}
}

func TestBadFilesAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for range maxBad + 20 {
		b.spoil(func(name string) error { return os.WriteFile(name, nil, 0o640) })
	}
	b.scanAll()
	if n := len(files(t, filepath.Join(b.drop, badFolder), "")); n != maxBad {
		t.Errorf("%d files in bad, want %d", n, maxBad)
	}
}
