package e2e

import (
	"strings"
	"testing"
)

// TestLedgerSeesFaults holds that the comparison can fail: every way in which
// mail can be wrong is seen, and right mail is not.
func TestLedgerSeesFaults(t *testing.T) {
	t.Parallel()
	kept, content := compose("kept", 300, chance("audit"))
	gone, _ := compose("gone", 300, chance("audit"))
	open, _ := compose("open", 300, chance("audit"))
	l := newLedger()
	l.sending(kept, "INBOX", "anna")
	l.answered(kept, true, "anna")
	l.change("anna", "kept", func(c *claim) { c.uid, c.flags[`\Seen`] = 7, true })
	l.sending(gone, "INBOX", "anna")
	l.answered(gone, false, "anna")
	l.sending(open, "INBOX", "anna", "bert")

	id, sum, size, ok := identify(append([]byte("Received: here\r\n"), content...))
	if !ok || id != "kept" {
		t.Fatalf("identify: %q, %v", id, ok)
	}
	good := found{mailbox: "INBOX", uid: 7, flags: []string{`\Seen`}, sum: sum, size: size}
	with := func(edit func(*found)) map[string][]found {
		f := good
		edit(&f)
		return map[string][]found{"kept": {f}}
	}
	for name, c := range map[string]struct {
		mail map[string][]found
		want string
	}{
		"right":             {map[string][]found{"kept": {good}}, ""},
		"right, unanswered": {map[string][]found{"kept": {good}, "open": {{mailbox: "INBOX", sum: open.sum}}}, ""},
		"lost":              {map[string][]found{}, "0 copies of kept"},
		"twice":             {map[string][]found{"kept": {good, good}}, "2 copies of kept"},
		"refused, there":    {map[string][]found{"kept": {good}, "gone": {{mailbox: "INBOX", sum: gone.sum}}}, "1 copies of gone"},
		"invented":          {map[string][]found{"kept": {good}, "new": {good}}, "never sent"},
		"other content":     {with(func(f *found) { f.sum[0]++ }), "content"},
		"other mailbox":     {with(func(f *found) { f.mailbox = "Trash" }), "belongs into"},
		"other UID":         {with(func(f *found) { f.uid = 8 }), "UID"},
		"flag lost":         {with(func(f *found) { f.flags = nil }), `flag \Seen`},
		"flag invented":     {with(func(f *found) { f.flags = append(f.flags, `\Deleted`) }), `flag \Deleted`},
	} {
		faults := strings.Join(l.audit("anna", c.mail), "\n")
		if (faults != "") != (c.want != "") || !strings.Contains(faults, c.want) {
			t.Errorf("%s: faults %q, want %q", name, faults, c.want)
		}
	}
	one := map[string]map[string][]found{"anna": {"open": {good}}}
	if faults := l.auditTogether(one); len(faults) != 1 {
		t.Errorf("a letter that one of two recipients got: %q", faults)
	}
	one["bert"] = one["anna"]
	if faults := l.auditTogether(one); len(faults) != 0 {
		t.Errorf("a letter that both recipients got: %q", faults)
	}
}
