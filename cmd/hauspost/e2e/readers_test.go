//go:build clients

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// muttLike drives mutt and neomutt by keys in a terminal: read one message,
// flag one, delete one, save one to a new mailbox.
func muttLike(t *testing.T, h *house, program string) {
	t.Helper()
	home := folder(t)
	h.send(t, program, "read me", "flag me", "delete me", "save me", "leave me")
	rc := write(t, filepath.Join(home, "rc"), fmt.Sprintf(`set imap_user="%s@%s"
set imap_pass="%s"
set folder="imaps://127.0.0.1:%s/"
set spoolfile="imaps://127.0.0.1:%s/INBOX"
set certificate_file="%s"
set ssl_verify_host=no
set header_cache=""
set sort=mailbox-order
set confirmcreate=no
set confirmappend=no
set delete=yes
set move=no
set wait_key=no
set imap_check_subscribed=no
set record=""
set pipe_decode=yes
push "<jump>1<enter><display-message><pipe-message>cat > %s/shown<enter><exit><jump>2<enter><flag-message><jump>3<enter><delete-message><jump>4<enter><save-message>=Saved<enter><sync-mailbox><quit>"
`, program, domain, h.passwords[program], port(h.imaps), port(h.imaps), h.ca, home))
	terminal(t, home, program, "-n", "-F", rc)
	in := h.holds(t, program, "INBOX", "read me", "flag me", "leave me")
	if m := in["read me"]; !m.has(`\Seen`) || m.has(`\Flagged`) {
		t.Errorf("a message that was read has %v", m.flags)
	}
	if m := in["flag me"]; !m.has(`\Flagged`) || m.has(`\Seen`) {
		t.Errorf("a message that was flagged has %v", m.flags)
	}
	if m := in["leave me"]; m.has(`\Seen`) || m.has(`\Flagged`) || m.has(`\Deleted`) {
		t.Errorf("a message that was left alone has %v", m.flags)
	}
	saved := h.holds(t, program, "Saved", "save me")
	if !strings.Contains(saved["save me"].raw, "The body of save me.\r\n") {
		t.Errorf("saved: %q", saved["save me"].raw)
	}
	if shown, err := os.ReadFile(filepath.Join(home, "shown")); err != nil || !strings.Contains(string(shown), "The body of read me.") {
		t.Errorf("it shows %q, %v", shown, err)
	}
}

func mutt(t *testing.T, h *house)    { muttLike(t, h, "mutt") }
func neomutt(t *testing.T, h *house) { muttLike(t, h, "neomutt") }

// terminal runs a program in a terminal of its own until it ends.
func terminal(t *testing.T, home string, line ...string) {
	t.Helper()
	if _, err := exec.LookPath(line[0]); err != nil {
		t.Fatalf("%s is not there, run install-clients.sh: %v", line[0], err)
	}
	socket := filepath.Join(home, "tmux")
	tmux := func(args ...string) ended {
		return client(t, home, "env", append([]string{"-u", "TMUX", "tmux", "-S", socket, "-f", "/dev/null"}, args...)...)
	}
	done := filepath.Join(home, "done")
	if e := tmux("new-session", "-d", "-x", "100", "-y", "30", strings.Join(line, " ")+"; echo $? > "+done+".new; mv "+done+".new "+done); e.code != 0 {
		t.Fatalf("tmux: %s", e.out)
	}
	defer tmux("kill-server")
	defer func() {
		if t.Failed() {
			t.Logf("the screen of %s:\n%s", line[0], tmux("capture-pane", "-p").out)
		}
	}()
	until(t, line[0]+" to end", func() bool { _, err := os.Stat(done); return err == nil })
	if code, err := os.ReadFile(done); err != nil || strings.TrimSpace(string(code)) != "0" {
		t.Errorf("%s ends with %q, %v", line[0], code, err)
	}
}

func fetchmail(t *testing.T, h *house) {
	home := folder(t)
	h.send(t, "fetchmail", "first", "second")
	write(t, filepath.Join(home, "mda"), "#!/bin/sh\nexec cat > "+home+"/got.$$\n")
	if err := os.Chmod(filepath.Join(home, "mda"), 0o700); err != nil {
		t.Fatal(err)
	}
	rc := write(t, filepath.Join(home, "rc"), fmt.Sprintf(`poll 127.0.0.1 service %s protocol imap
	user "fetchmail@%s" password "%s" ssl sslproto "TLS1.2+" sslcertck sslcertfile "%s" sslcommonname "%s"
	fetchall no keep mda "%s/mda"
`, port(h.imaps), domain, h.passwords["fetchmail"], h.ca, h.host, home))
	args := []string{"-f", rc, "--nodetach", "--pidfile", filepath.Join(home, "pid")}
	well(t, home, "fetchmail", args...)
	got := received(t, filepath.Join(home, "got.*"))
	for _, s := range []string{"first", "second"} {
		if !strings.Contains(got, "Subject: "+s+"\n") || !strings.Contains(got, "The body of "+s+".\n") {
			t.Errorf("fetchmail brought no %q: %q", s, got)
		}
	}
	h.holds(t, "fetchmail", "INBOX")
	if e := client(t, home, "fetchmail", args...); e.code != 1 {
		t.Errorf("fetchmail without new mail: exit code %d, want 1\n%s", e.code, e.out)
	}
}

// received joins the content of files.
func received(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(unixLines(data) + "\n")
	}
	return all.String()
}

func getmail(t *testing.T, h *house) {
	home := folder(t)
	mail := filepath.Join(home, "mail")
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(mail, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	rc := write(t, filepath.Join(home, "rc"), fmt.Sprintf(`[retriever]
type = SimpleIMAPSSLRetriever
server = 127.0.0.1
port = %s
username = getmail@%s
password = %s
mailboxes = ("INBOX", "Archive")
ssl_fingerprints = ("%s",)

[destination]
type = Maildir
path = %s/

[options]
delete = true
read_all = true
delivered_to = false
received = false
`, port(h.imaps), domain, h.passwords["getmail"], h.fingerprint, mail))
	h.send(t, "getmail", "first", "second")
	fetch := func() {
		t.Helper()
		if os.Geteuid() != 0 {
			well(t, home, "getmail", "--getmaildir", home, "--rcfile", rc)
			return
		}
		// It refuses to work as root.
		command(t, "chown", "-R", "nobody:nogroup", home)
		well(t, home, "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "getmail", "--getmaildir", home, "--rcfile", rc)
	}
	fetch()
	here := expectLocal(t, mail, "first", "second")
	data, err := os.ReadFile(here["first"].file)
	if want := unixLines(plain("getmail-first", "first", "The body of first.")); err != nil || !strings.HasSuffix(own.ReplaceAllString(string(data), ""), want) {
		t.Errorf("getmail brought %q, %v, want %q at its end", data, err, want)
	}
	h.holds(t, "getmail", "INBOX")
	h.send(t, "getmail", "third")
	fetch()
	expectLocal(t, mail, "first", "second", "third")
}

// python runs the scripts under testdata; they print "done" after their last
// check.
func python(t *testing.T, h *house) {
	home := folder(t)
	for _, script := range []string{"smtplib_client.py", "imaplib_client.py"} {
		path, err := filepath.Abs(filepath.Join("testdata", script))
		if err != nil {
			t.Fatal(err)
		}
		out := well(t, home, "python3", path, h.ca, h.host, port(h.smtp), port(h.imap), port(h.imaps), "python@"+domain, h.passwords["python"])
		if !strings.HasSuffix(out, "done\n") {
			t.Errorf("%s: %s", script, out)
		}
	}
	h.holds(t, "python", "INBOX", "by smtplib", "Grüße")
	if m := h.holds(t, "python", "Kept", "appended")["appended"]; !m.has(`\Flagged`) || !m.has("$Label1") {
		t.Errorf("what imaplib appended and moved has %v", m.flags)
	}
}
