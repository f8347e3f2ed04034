//go:build clients

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// dialTLS signs a person in at the port for IMAP in TLS, trusting the box's
// certificate alone.
func (h *house) dialTLS(person string) (*imapclient.Client, error) {
	data, err := os.ReadFile(h.ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, errors.New("no certificate")
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", h.imaps, &tls.Config{RootCAs: pool, ServerName: h.host})
	if err != nil {
		return nil, err
	}
	return h.login(imapclient.New(conn, nil), person)
}

// own are header lines that isync and getmail add.
var own = regexp.MustCompile(`(?m)^(X-TUID|X-getmail-retrieved-from-mailbox): .*\n`)

// local is a message in a Maildir.
type local struct{ file, flags string }

// maildir reads a Maildir by subject.
func maildir(t *testing.T, dir string) map[string]local {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]local{}
	for _, f := range files {
		if sub := filepath.Base(filepath.Dir(f)); sub != "cur" && sub != "new" {
			continue
		}
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut("\n"+string(data), "\nSubject: ")
		subject, _, _ := strings.Cut(rest, "\n")
		_, flags, _ := strings.Cut(filepath.Base(f), ":2,")
		subject = strings.TrimRight(subject, "\r")
		if _, twice := all[subject]; twice {
			t.Errorf("%q is twice in %s", subject, dir)
		}
		all[subject] = local{f, flags}
	}
	return all
}

// reflag gives a message in a Maildir other flags, as a local program does.
func (l local) reflag(t *testing.T, flags string) {
	t.Helper()
	name, _, _ := strings.Cut(filepath.Base(l.file), ":2,")
	to := filepath.Join(filepath.Dir(filepath.Dir(l.file)), "cur", name+":2,"+flags)
	if err := os.Rename(l.file, to); err != nil {
		t.Fatal(err)
	}
}

func expectLocal(t *testing.T, dir string, want ...string) map[string]local {
	t.Helper()
	all := maildir(t, dir)
	var got []string
	for s := range all {
		got = append(got, s)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", filepath.Base(dir), got, want)
	}
	return all
}

// bothWays synchronises a Maildir with the box and changes both sides between:
// new mail, flags, deletions (remove is how the program is told of one),
// mailboxes.
func bothWays(t *testing.T, h *house, person, mail string, sync func(), remove func(local)) {
	t.Helper()
	inbox := filepath.Join(mail, "INBOX")
	h.send(t, person, "one", "two", "three", "four")
	sync()
	here := expectLocal(t, inbox, "one", "two", "three", "four")
	data, err := os.ReadFile(here["one"].file)
	if want := unixLines(plain(person+"-one", "one", "The body of one.")); err != nil || !strings.HasSuffix(own.ReplaceAllString(unixLines(data), ""), want) {
		t.Errorf("the file of the first letter is %q, %v, want %q at its end", data, err, want)
	}

	// Both sides change.
	here["one"].reflag(t, "FS")
	remove(here["two"])
	write(t, filepath.Join(inbox, "cur", "1234567890.1_1.somewhere:2,S"), unixLines(plain("local", "written here", "A note to myself")))
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(mail, "Made here", sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(mail, "Made here", "cur", "1234567891.1_2.somewhere:2,"), unixLines(plain("local2", "elsewhere", "Another note")))
	h.store(t, person, "three", imap.FlagAnswered, imap.FlagSeen)
	h.store(t, person, "four", imap.FlagDeleted)
	h.send(t, person, "five")
	sync()
	sync() // offlineimap takes a second round for what the first one made

	there := h.holds(t, person, "INBOX", "one", "three", "five", "written here")
	if m := there["one"]; !m.has(`\Flagged`) || !m.has(`\Seen`) {
		t.Errorf("flags set here arrive there as %v", m.flags)
	}
	if m := there["written here"]; !m.has(`\Seen`) || !strings.HasSuffix(m.raw, string(plain("local", "written here", "A note to myself"))) && !strings.Contains(m.raw, "A note to myself\r\n") {
		t.Errorf("a message written here arrives there with %v as %q", m.flags, m.raw)
	}
	h.holds(t, person, "Made here", "elsewhere")
	here = expectLocal(t, inbox, "one", "three", "five", "written here")
	if f := here["three"].flags; f != "RS" {
		t.Errorf("flags set there arrive here as %q, want RS", f)
	}
	if f := here["one"].flags; f != "FS" {
		t.Errorf("flags set here are now %q, want FS", f)
	}

	// Nothing changed: nothing changes.
	before := fmt.Sprint(h.show(t, person, "INBOX"), maildir(t, inbox))
	sync()
	if after := fmt.Sprint(h.show(t, person, "INBOX"), maildir(t, inbox)); after != before {
		t.Errorf("a round without changes changed something:\n%s\n%s", before, after)
	}
}

func isync(t *testing.T, h *house) {
	home := folder(t)
	rc := write(t, filepath.Join(home, "rc"), fmt.Sprintf(`IMAPAccount box
Host 127.0.0.1
Port %s
User isync@%s
Pass "%s"
SSLType IMAPS
CertificateFile %s

IMAPStore there
Account box

MaildirStore here
SubFolders Verbatim
Path %s/mail/
Inbox %s/mail/INBOX

Channel all
Far :there:
Near :here:
Patterns *
Create Both
Remove Both
Expunge Both
Sync All
CopyArrivalDate yes
SyncState *
`, port(h.imaps), domain, h.passwords["isync"], h.ca, home, home))
	if err := os.Mkdir(filepath.Join(home, "mail"), 0o700); err != nil {
		t.Fatal(err)
	}
	bothWays(t, h, "isync", filepath.Join(home, "mail"), func() { t.Helper(); well(t, home, "mbsync", "-c", rc, "-a") },
		func(l local) { l.reflag(t, "ST") })
}

func offlineimap(t *testing.T, h *house) {
	home := folder(t)
	rc := write(t, filepath.Join(home, "rc"), fmt.Sprintf(`[general]
accounts = box
metadata = %s/metadata
ui = basic

[Account box]
localrepository = here
remoterepository = there

[Repository here]
type = Maildir
localfolders = %s/mail

[Repository there]
type = IMAP
remotehost = 127.0.0.1
remoteport = %s
remoteuser = offlineimap@%s
remotepass = %s
ssl = yes
cert_fingerprint = %s
`, home, home, port(h.imaps), domain, h.passwords["offlineimap"], h.fingerprint))
	bothWays(t, h, "offlineimap", filepath.Join(home, "mail"), func() { t.Helper(); well(t, home, "offlineimap", "-o", "-c", rc) },
		func(l local) {
			if err := os.Remove(l.file); err != nil {
				t.Error(err)
			}
		})
}
