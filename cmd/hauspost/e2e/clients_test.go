//go:build clients

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// house is the box that all clients use: one person a client, TLS with the
// box's own self-signed certificate, no plain text.
type house struct {
	*box
	// ca is a PEM file with the certificate alone; fingerprint its SHA-256.
	ca, fingerprint string
	host            string
}

// TestClients runs real mail programs against one box. Each is looked at by
// what is then in files and mailboxes, not by what it says.
func TestClients(t *testing.T) {
	clients := []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"swaks", swaks}, {"curl", curl}, {"isync", isync}, {"offlineimap", offlineimap}, {"mutt", mutt}, {"neomutt", neomutt},
		{"fetchmail", fetchmail}, {"getmail", getmail}, {"python", python},
	}
	people := []string{"bob"}
	for _, c := range clients {
		people = append(people, c.name)
	}
	h := &house{box: newBox(t, map[string]string{"imap.plaintext": `"never"`}, people...), host: "mail." + domain}
	h.start()
	h.trust(t)
	t.Run("box", func(t *testing.T) {
		for _, c := range clients {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, h)
			})
		}
	})
	h.stop()
	h.mustVerify()
}

// trust takes the certificate out of the data folder, as an owner would hand it
// to a mail program, and compares it with what status tells.
func (h *house) trust(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(h.dir, "tls", "self-signed.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		sum := sha256.Sum256(block.Bytes)
		h.fingerprint = hex.EncodeToString(sum[:])
		h.ca = filepath.Join(folder(t), "ca.pem")
		if err := os.WriteFile(h.ca, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if s := h.status(); s.TLS.Fingerprint != h.fingerprint || h.fingerprint == "" {
		t.Fatalf("status tells the fingerprint %q, the file has %q", s.TLS.Fingerprint, h.fingerprint)
	}
}

// ended is how a client ended.
type ended struct {
	out  string
	code int
}

// client runs a program in a home folder of its own.
func client(t *testing.T, home string, name string, args ...string) ended {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HOME="+home, "LC_ALL=C.UTF-8", "TERM=xterm")
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s is not there, run install-clients.sh: %v", name, err)
	}
	return ended{string(out), cmd.ProcessState.ExitCode()}
}

// well runs a client that has to end well.
func well(t *testing.T, home, name string, args ...string) string {
	t.Helper()
	e := client(t, home, name, args...)
	if e.code != 0 {
		t.Fatalf("%s %v: exit code %d\n%s", name, args, e.code, e.out)
	}
	return e.out
}

// port gives the port of an address.
func port(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }

// send delivers plain messages with the given subjects, in that order.
func (h *house) send(t *testing.T, person string, subjects ...string) {
	t.Helper()
	for _, s := range subjects {
		if err := sendOne(h.smtp, plain(person+"-"+s, s, "The body of "+s+"."), person); err != nil {
			t.Fatal(err)
		}
	}
}

// show gives the messages of a mailbox by subject; nil where there is no such
// mailbox.
func (h *house) show(t *testing.T, person, mailbox string) map[string]shown {
	t.Helper()
	c, err := h.dialTLS(person)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	list, err := show(c, mailbox)
	if err != nil {
		t.Fatal(err)
	}
	if list == nil {
		return nil
	}
	all := map[string]shown{}
	for _, s := range list {
		if _, twice := all[s.subject]; twice {
			t.Errorf("%q is twice in %s of %s", s.subject, mailbox, person)
		}
		all[s.subject] = s
	}
	return all
}

// holds compares the subjects in a mailbox.
func (h *house) holds(t *testing.T, person, mailbox string, want ...string) map[string]shown {
	t.Helper()
	all := h.show(t, person, mailbox)
	var got []string
	for s := range all {
		got = append(got, s)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s of %s holds %q, want %q", mailbox, person, got, want)
	}
	return all
}

// store changes flags as another mail program of the same person would.
func (h *house) store(t *testing.T, person, subject string, flags ...imap.Flag) {
	t.Helper()
	uid := h.show(t, person, "INBOX")[subject].uid
	c, err := h.dialTLS(person)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	err = c.Store(imap.UIDSetNum(uid), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: flags}, nil).Close()
	if err == nil && slices.Contains(flags, imap.FlagDeleted) {
		err = c.UIDExpunge(imap.UIDSetNum(uid)).Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// second holds that the second of two recipients has a message too.
func (h *house) second(t *testing.T, subject string) {
	t.Helper()
	if _, ok := h.show(t, "bob", "INBOX")[subject]; !ok {
		t.Errorf("bob has no %q", subject)
	}
}

// unixLines gives content as programs keep it in files.
func unixLines(content []byte) string {
	return string(bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")))
}

func swaks(t *testing.T, h *house) {
	home := folder(t)
	base := []string{"--server", h.smtp, "--from", "a@sender.test", "--tls", "--tls-verify", "--tls-ca-path", h.ca}
	run := func(args ...string) ended {
		return client(t, home, "swaks", append(base[:len(base):len(base)], args...)...)
	}
	if e := run("--to", "swaks@"+domain+",bob@"+domain, "--header", "Subject: by swaks", "--body", "Hello from swaks"); e.code != 0 {
		t.Errorf("swaks: exit code %d\n%s", e.code, e.out)
	}
	if e := run("--pipeline", "--to", "swaks@"+domain, "--header", "Subject: pipelined"); e.code != 0 || !strings.Contains(e.out, "PIPELINING") {
		t.Errorf("swaks --pipeline: exit code %d\n%s", e.code, e.out)
	}
	if e := run("--to", "nobody@"+domain); e.code != 24 || !strings.Contains(e.out, "* 550 5.1.1 ") {
		t.Errorf("swaks to an unknown person: exit code %d, want 24 (no recipient)\n%s", e.code, e.out)
	}
	if e := run("--to", "someone@elsewhere.test"); e.code != 24 || !strings.Contains(e.out, "* 550 5.7.1 ") {
		t.Errorf("swaks to another house: exit code %d, want 24\n%s", e.code, e.out)
	}
	mail := h.holds(t, "swaks", "INBOX", "by swaks", "pipelined")
	if raw := mail["by swaks"].raw; !strings.Contains(raw, "Hello from swaks\r\n") || !strings.Contains(raw, "with ESMTPS id ") || !strings.HasPrefix(raw, "Return-Path: <a@sender.test>\r\n") {
		t.Errorf("what swaks sent: %q", raw)
	}
	h.second(t, "by swaks")
}

func curl(t *testing.T, h *house) {
	home := folder(t)
	user := "curl@" + domain + ":" + h.passwords["curl"]
	smtp, imaps := h.host+":"+port(h.smtp), h.host+":"+port(h.imaps)
	file := write(t, filepath.Join(home, "mail"), string(plain("c1", "by curl", "Hello from curl")))
	well(t, home, "curl", "-sS", "--ssl-reqd", "--cacert", h.ca, "--resolve", smtp+":127.0.0.1", "smtp://"+smtp+"/client.sender.test",
		"--mail-from", "a@sender.test", "--mail-rcpt", "curl@"+domain, "--mail-rcpt", "bob@"+domain, "-T", file)
	h.second(t, "by curl")
	get := func(path string, args ...string) string {
		t.Helper()
		args = append(args, "-sS", "--cacert", h.ca, "--resolve", imaps+":127.0.0.1", "-u", user, "imaps://"+imaps+"/"+path)
		return well(t, home, "curl", args...)
	}
	if out := get(""); !strings.Contains(out, `* LIST (`) || !strings.Contains(out, `\Sent`) || !strings.Contains(out, `INBOX`) {
		t.Errorf("curl lists %q", out)
	}
	for _, path := range []string{"INBOX;MAILINDEX=1", "INBOX;UID=1"} {
		if out := get(path); !strings.HasSuffix(out, string(plain("c1", "by curl", "Hello from curl"))) {
			t.Errorf("curl fetches %s as %q", path, out)
		}
	}
	if out := get("INBOX;UID=1;SECTION=TEXT"); out != "Hello from curl\r\n" {
		t.Errorf("curl fetches the text as %q", out)
	}
	if hit, miss := get("INBOX?SUBJECT%20by"), get("INBOX?SUBJECT%20absent"); hit != "* SEARCH 1\r\n" || strings.TrimSpace(miss) != "* SEARCH" {
		t.Errorf("curl finds %q and %q", hit, miss)
	}
	appended := write(t, filepath.Join(home, "draft"), string(plain("c2", "a draft", "Half written")))
	get("Drafts", "-T", appended)
	if m := h.holds(t, "curl", "Drafts", "a draft")["a draft"]; m.raw != string(plain("c2", "a draft", "Half written")) || !m.has(`\Seen`) {
		t.Errorf("curl appended %q with %v", m.raw, m.flags)
	}
	get("INBOX", "-X", `STORE 1 +FLAGS (\Flagged)`)
	if m := h.holds(t, "curl", "INBOX", "by curl")["by curl"]; !m.has(`\Flagged`) {
		t.Errorf("curl flagged it: %v", m.flags)
	}
	if e := client(t, home, "curl", "-sS", "--resolve", imaps+":127.0.0.1", "-u", user, "imaps://"+imaps+"/"); e.code != 60 {
		t.Errorf("curl without the certificate: exit code %d, want 60 (not trusted)\n%s", e.code, e.out)
	}
}
