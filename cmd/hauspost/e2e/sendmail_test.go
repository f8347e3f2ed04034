package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// sendmail runs the program by another of its names, as programs of the
// machine do.
func (b *box) sendmail(name, stdin string, args ...string) result {
	b.t.Helper()
	return b.sendmailIn([]string{"HAUSPOST_DATA=" + b.dir}, name, stdin, args...)
}

func (b *box) sendmailIn(env []string, name, stdin string, args ...string) result {
	b.t.Helper()
	link := filepath.Join(folder(b.t), name)
	if err := os.Symlink(binary, link); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, link, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatalf("running %s %v: %v", name, args, err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// subjects waits until a person's INBOX has exactly these.
func (b *box) subjects(person string, want ...string) map[string]shown {
	b.t.Helper()
	var have []string
	all := map[string]shown{}
	until(b.t, fmt.Sprintf("%q for %s", want, person), func() bool {
		have = have[:0]
		for _, s := range b.show(person, "INBOX") {
			have = append(have, s.subject)
			all[s.subject] = s
		}
		return len(have) >= len(want)
	})
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		b.t.Errorf("%s has %q, want %q; the first is\n%s", person, have, want, all[have[0]].raw)
	}
	return all
}

// TestSendmail sends as programs of the machine do, first while the box is
// down.
func TestSendmail(t *testing.T) {
	t.Parallel()
	b, far := newHouse(t, nil)
	b.must("alias", "add", "root@"+domain, "anna@"+domain)
	b.must("alias", "add", "postmaster@"+domain, "anna@"+domain)
	send := func(name, stdin string, args ...string) {
		t.Helper()
		if r := b.sendmail(name, stdin, args...); r.code != 0 || r.out != "" && !slices.Contains(args, "-bs") || r.err != "" {
			t.Errorf("%s %v: exit code %d, %s%s", name, args, r.code, r.out, r.err)
		}
	}
	run := func(suffix string) {
		t.Helper()
		send("sendmail", marker+"mail"+suffix+"\nTo: bert@"+domain+", Someone <one@far.test>\nBcc: secret@far.test\nSubject: mail"+suffix+"\n\nBefore\n.\nafter\n", "-t", "-i", "-f", "anna@"+domain)
		// Debian's cron, and its message without From.
		send("sendmail", "From: root (Cron Daemon)\nTo: root\nSubject: cron"+suffix+"\nAuto-Submitted: auto-generated\nX-Cron-Env: <LOGNAME=root>\n\nIt failed.\n",
			"-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root")
		send("sendmail", "Subject: bare"+suffix+"\n\nNo From, no To.\n.\nThis is behind the end.\n", "root")
		// PHP's mail().
		send("sendmail", "To: one@far.test\nSubject: php"+suffix+"\n"+marker+"php"+suffix+"\nX-PHP-Originating-Script: 0:mail.php\n\nHello\n", "-t", "-i", "-f", "bert@"+domain)
		send("sendmail", "EHLO localhost\r\nMAIL FROM:<anna@"+domain+">\r\nRCPT TO:<bert@"+domain+">\r\nDATA\r\nSubject: smtp"+suffix+"\r\n\r\n..a dot\r\n.\r\nQUIT\r\n", "-bs")
		send("hauspost", marker+"command"+suffix+"\nSubject: command"+suffix+"\n\nBy its own name\n", "sendmail", "--data", b.dir, "one@far.test")
	}
	run("-down")
	b.start()
	check := func(suffixes ...string) {
		t.Helper()
		var anna, bert, far2 []string
		for _, s := range suffixes {
			anna = append(anna, "cron"+s, "bare"+s)
			bert = append(bert, "mail"+s, "smtp"+s)
			far2 = append(far2, "mail"+s+" to one@far.test", "mail"+s+" to secret@far.test", "php"+s+" to one@far.test", "command"+s+" to one@far.test")
		}
		inbox := b.subjects("anna", anna...)
		for _, s := range suffixes {
			if raw := inbox["cron"+s].raw; !strings.Contains(raw, "root@"+domain) || !strings.Contains(raw, "\r\nX-Cron-Env: <LOGNAME=root>\r\n") {
				t.Errorf("cron's message is %s", raw)
			}
			if raw := inbox["bare"+s].raw; !strings.Contains(raw, "\r\nFrom: ") || !strings.Contains(raw, "\r\nMessage-ID: <") || !strings.Contains(raw, "\r\nDate: ") || strings.Contains(raw, "behind the end") {
				t.Errorf("the bare message is %s", raw)
			}
		}
		inbox = b.subjects("bert", bert...)
		for _, s := range suffixes {
			if raw := inbox["mail"+s].raw; !strings.HasPrefix(raw, "Return-Path: <anna@"+domain+">\r\n") || !strings.HasSuffix(raw, "\r\n\r\nBefore\r\n.\r\nafter\r\n") || strings.Contains(raw, "secret") {
				t.Errorf("the message of -t is %s", raw)
			}
			if raw := inbox["smtp"+s].raw; !strings.HasSuffix(raw, "\r\n\r\n.a dot\r\n") {
				t.Errorf("the message of -bs is %s", raw)
			}
		}
		arrives(t, far, far2...)
	}
	check("-down")
	run("-up")
	check("-down", "-up")
	b.drain()
	b.stop()
	if left, err := os.ReadDir(filepath.Join(b.dir, "spool")); err != nil || slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.HasSuffix(e.Name(), ".mail") }) {
		t.Errorf("the spool has %v, %v", left, err)
	}
	b.mustVerify()
}

// TestSendmailRefuses holds the exit codes of sysexits.h, and that a refusal
// says why.
func TestSendmailRefuses(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil, "anna")
	b.start() // it tells the command what it may know
	b.stop()
	const text = "Subject: x\n\nx\n"
	nowhere := []string{"HAUSPOST_DATA=" + filepath.Join(b.dir, "nowhere"), "HAUSPOST_SPOOL=" + filepath.Join(b.dir, "nowhere", "spool")}
	for _, c := range []struct {
		name string
		code int
		r    result
	}{
		{"no recipients", 64, b.sendmail("sendmail", text)},
		{"an unknown option", 64, b.sendmail("sendmail", text, "-Z", "anna")},
		{"-t without recipients", 65, b.sendmail("sendmail", text, "-t")},
		{"a malformed address", 65, b.sendmail("sendmail", text, "two@at@signs.test")},
		{"an octet NUL", 65, b.sendmail("sendmail", "Subject: x\n\na\x00b\n", "anna")},
		{"a foreign sender", 77, b.sendmail("sendmail", text, "-f", "someone@elsewhere.test", "anna")},
		{"no box", 78, b.sendmailIn(nowhere, "sendmail", text, "anna")},
	} {
		if c.r.code != c.code || c.r.out != "" || c.r.err == "" || strings.Contains(c.r.err, "goroutine") {
			t.Errorf("%s: exit code %d, want %d\n%s%s", c.name, c.r.code, c.code, c.r.out, c.r.err)
		}
	}
	for _, c := range [][]string{{"newaliases"}, {"sendmail", "-bi"}, {"sendmail", "-q"}, {"mailq"}, {"sendmail", "-bp"}} {
		if r := b.sendmail(c[0], "", c[1:]...); r.code != 0 {
			t.Errorf("%v: exit code %d, %s", c, r.code, r.err)
		}
	}
}

// TestSendmailDrop drops mail into the folder for those who may not write the
// data folder, and what is no mail beside it.
func TestSendmailDrop(t *testing.T) {
	t.Parallel()
	drop := filepath.Join(folder(t), "drop")
	if err := errors.Join(os.Mkdir(drop, 0o700), os.Chmod(drop, 0o733|os.ModeSetgid|os.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	b := newBox(t, map[string]string{"sendmail.folder": fmt.Sprintf("%q", drop)}, "anna")
	b.must("alias", "add", "postmaster@"+domain, "anna@"+domain)
	b.start()
	for i, id := range []string{"first", "second"} {
		if r := b.sendmailIn([]string{"HAUSPOST_SPOOL=" + drop}, "sendmail", "Subject: "+id+"\n\nx\n", "anna@"+domain); r.code != 0 {
			t.Errorf("exit code %d, %s", r.code, r.err)
		}
		write(t, filepath.Join(drop, fmt.Sprintf("%026d.mail", i)), "this is no message")
	}
	b.subjects("anna", "first", "second")
	b.stop()
	b.mustVerify()
}

// TestSendmailKilled kills the box while it takes a full spool up: every
// message is there once.
func TestSendmailKilled(t *testing.T) {
	t.Parallel()
	b, far := newHouse(t, nil)
	far.behave(refusing)
	r := chance("spool")
	ids := make([]string, 60)
	sums := map[string]*letter{}
	for i := range ids {
		ids[i] = fmt.Sprintf("spool%d", i)
		m, content := composeFrom(addressOf("anna"), ids[i], 100+r.IntN(20<<10), r)
		sums[m.id] = m
		stdin := strings.ReplaceAll(string(content), "\r\n", "\n")
		if res := b.sendmail("sendmail", stdin, "-i", "-f", addressOf("anna"), addressOf("bert")); res.code != 0 {
			t.Fatalf("exit code %d, %s", res.code, res.err)
		}
	}
	kills := 0
	for {
		left, err := os.ReadDir(filepath.Join(b.dir, "spool"))
		if err != nil {
			t.Fatal(err)
		}
		waiting := 0
		for _, e := range left {
			if strings.HasSuffix(e.Name(), ".mail") {
				waiting++
			}
		}
		if waiting == 0 || kills > 200 {
			break
		}
		ready := b.launch()
		until(t, "the spool to shrink", func() bool {
			now, err := filepath.Glob(filepath.Join(b.dir, "spool", "*.mail"))
			return err != nil || len(now) < waiting
		})
		time.Sleep(time.Duration(r.IntN(3_000)) * time.Microsecond)
		b.kill()
		<-ready
		kills++
	}
	b.mustVerify()
	b.start()
	b.subjects("bert", subjectsOf(ids)...)
	mail, err := b.read("bert")
	if err != nil {
		t.Fatal(err)
	}
	for id, m := range sums {
		if len(mail[id]) != 1 || mail[id][0].sum != m.sum {
			t.Errorf("of %s there are %d copies: %+v", id, len(mail[id]), mail[id])
		}
	}
	b.stop()
	t.Logf("%d messages taken up with %d kills", len(ids), kills)
	if kills < 3 {
		t.Error("too few kills to prove anything")
	}
}

func subjectsOf(ids []string) []string {
	var list []string
	for _, id := range ids {
		list = append(list, "letter "+id)
	}
	return list
}
