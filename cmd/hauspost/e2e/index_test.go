package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestIndexIsAnIndex fills a box by SMTP and IMAP, removes the index, makes it
// anew, and holds that mail programs see no difference.
func TestIndexIsAnIndex(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil, "anna", "bert")
	b.start()
	fillByIMAP(b)
	before := map[string]string{"anna": b.snapshot("anna"), "bert": b.snapshot("bert")}
	b.kill() // the redo log and the index both have a part in the last changes
	removeIndex(b)
	if r := b.run("", "serve"); r.code != 1 || !strings.Contains(r.err, "store rebuild") {
		t.Errorf("serve without an index: exit code %d, %q", r.code, r.err)
	}
	rebuildAndCompare(b, before)
	b.stop()
	removeIndex(b)
	rebuildAndCompare(b, before)

	// New mail gets new UIDs: none is used twice, not even the expunged ones.
	c := b.raw("anna")
	next := c.do("STATUS INBOX (UIDNEXT)")
	if err := sendOne(b.smtp, plain("late", "late", "late"), "anna"); err != nil {
		t.Fatal(err)
	}
	c.do("SELECT INBOX")
	uid := c.do("FETCH * (UID)")
	if _, n, _ := strings.Cut(next, "UIDNEXT "); !strings.Contains(uid, "UID "+strings.TrimRight(n, ")\r\n")+")") {
		t.Errorf("%q, but the next message is %q", next, uid)
	}
	b.stop()
}

func removeIndex(b *box) {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "hauspost.db*"))
	if err != nil || len(files) == 0 {
		b.t.Fatal("no index to remove", err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			b.t.Fatal(err)
		}
	}
}

func rebuildAndCompare(b *box, before map[string]string) {
	b.t.Helper()
	b.must("store", "rebuild")
	b.mustVerify()
	b.start()
	for person, want := range before {
		if got := b.snapshot(person); got != want {
			b.t.Errorf("%s sees other mail than before the rebuild:\n%s", person, firstDifference(want, got))
		}
	}
}

// firstDifference shows the first lines that differ.
func firstDifference(a, b string) string {
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("before: %.500q\nafter:  %.500q", x[i], y[i])
		}
	}
	return fmt.Sprintf("%d lines before, %d after", len(x), len(y))
}

// fillByIMAP makes mail with flags, keywords, mailboxes, subscriptions, and
// holes where messages were.
func fillByIMAP(b *box) {
	b.t.Helper()
	r := chance("index")
	for i := range 60 {
		_, content := compose(fmt.Sprintf("m%d", i), []int{300, 5000, 90 << 10, 300 << 10}[i%4], r)
		to := []string{"anna"}
		if i%3 == 0 {
			to = append(to, "bert")
		}
		if err := sendOne(b.smtp, content, to...); err != nil {
			b.t.Fatal(err)
		}
	}
	c := b.raw("anna")
	for _, command := range []string{
		"SELECT INBOX",
		`STORE 1:10 +FLAGS.SILENT (\Seen $Work)`,
		`STORE 5:15 +FLAGS.SILENT (\Flagged plain-keyword $Forwarded)`,
		`STORE 7 -FLAGS.SILENT ($Work)`,
		`STORE 20:24 +FLAGS.SILENT (\Deleted)`, "EXPUNGE",
		"CREATE Projects", "CREATE Projects/2026", "CREATE Projects/2026/Hauspost", "CREATE &AMQ-rger",
		"SUBSCRIBE Projects/2026", "SUBSCRIBE &AMQ-rger", "UNSUBSCRIBE Trash",
		"COPY 1:5 Projects/2026/Hauspost", "MOVE 3:4 &AMQ-rger", "MOVE 30:32 Projects",
		"RENAME Projects/2026 Projects/Later", "CREATE Gone", "COPY 1 Gone", "DELETE Gone", "CREATE Gone", "DELETE Projects",
		"SELECT Projects/Later/Hauspost", `STORE 1:2 +FLAGS.SILENT (\Deleted)`, "CLOSE",
	} {
		c.do("%s", command)
	}
}

// snapshot gives all that IMAP shows of a person's mail, but for the content,
// of which it gives the sum.
func (b *box) snapshot(person string) string {
	b.t.Helper()
	c := b.raw(person)
	// What is recent is not of the mail but of who looked first; IMAP4rev2 has
	// no such thing.
	c.do("ENABLE IMAP4rev2")
	var all strings.Builder
	list := c.do(`LIST "" "*" RETURN (SUBSCRIBED CHILDREN SPECIAL-USE)`)
	all.WriteString(list + c.do(`LSUB "" "*"`))
	for _, line := range strings.Split(list, "\r\n") {
		if line == "" || strings.Contains(line, `\Noselect`) || strings.Contains(line, `\NonExistent`) {
			continue
		}
		name := line[strings.LastIndex(line, `"/" `)+4:]
		all.WriteString(c.do("STATUS %s (MESSAGES UIDNEXT UIDVALIDITY UNSEEN SIZE HIGHESTMODSEQ)", name))
		opened := strings.Split(c.do("EXAMINE %s", name), "\r\n")
		slices.Sort(opened)
		all.WriteString(strings.Join(opened, "\n"))
		all.WriteString(c.do("UID FETCH 1:* (FLAGS MODSEQ INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"))
	}
	mail, err := b.read(person)
	if err != nil {
		b.t.Fatal(err)
	}
	var sums []string
	for id, copies := range mail {
		for _, f := range copies {
			sums = append(sums, fmt.Sprintf("%s %s %d %x\n", id, f.mailbox, f.uid, f.sum))
		}
	}
	slices.Sort(sums)
	return all.String() + strings.Join(sums, "")
}

// TestVerifyFindsDamage holds that damage to the data folder is found and told
// with a remedy and exit code 1.
func TestVerifyFindsDamage(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil, "anna")
	b.start()
	for i := range 6 {
		_, content := compose(fmt.Sprintf("m%d", i), 2000+i*60_000, chance("damage"))
		if err := sendOne(b.smtp, content, "anna"); err != nil {
			t.Fatal(err)
		}
	}
	b.stop()
	b.mustVerify()
	files, err := filepath.Glob(filepath.Join(b.dir, "mail", "*", "*.zst"))
	if err != nil || len(files) != 6 {
		t.Fatalf("message files: %v, %v", files, err)
	}
	want := map[string]string{}
	note := func(file, kind string) { want[strings.TrimPrefix(file, b.dir+"/")] = kind }
	flip(t, files[3], func(size int) int { return size / 2 })
	note(files[3], "damaged-file")
	flip(t, files[4], func(size int) int { return size - 30 }) // in what the box added at the end
	note(files[4], "damaged-file")
	if err := os.Remove(files[5]); err != nil { // a row without a file
		t.Fatal(err)
	}
	note(files[5], "missing-file")
	b.start() // a running box answers the same
	stray := filepath.Join(filepath.Dir(files[0]), "00000000000000000000000000.zst")
	if err := os.WriteFile(stray, []byte("a file without a row"), 0o600); err != nil {
		t.Fatal(err)
	}
	note(stray, "stray-file")
	b.holdsDamage(want)
	b.stop()
}

// holdsDamage compares what verify finds with want: file → kind.
func (b *box) holdsDamage(want map[string]string) {
	b.t.Helper()
	v, r := b.verify()
	if r.code != 1 {
		b.t.Errorf("store verify: exit code %d, want 1", r.code)
	}
	got := map[string]string{}
	for _, p := range v.Problems {
		got[p.File] = p.Kind
		if p.Text == "" || p.Remedy == "" {
			b.t.Errorf("%s of %s is told without a sentence or a remedy: %+v", p.Kind, p.File, p)
		}
	}
	for file, kind := range want {
		if got[file] != kind {
			b.t.Errorf("%s: verify says %q, want %q\n%s", file, got[file], kind, r.out)
		}
	}
	if len(got) != len(want) {
		b.t.Errorf("verify finds %v, want %v", got, want)
	}
	if text := b.run("", "store", "verify"); text.code != 1 || strings.Count(text.out, "remedy: ") != len(want) {
		b.t.Errorf("store verify for people: exit code %d\n%s", text.code, text.out)
	}
}

// flip changes one bit of a file.
func flip(t *testing.T, file string, at func(size int) int) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[at(len(data))] ^= 0x10
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
