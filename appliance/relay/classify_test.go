package relay

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"hauspost/appliance/transfer"
)

// TestNames holds what well-known answers are called, and how far they reach.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ verb, answer, want string }{
		{"RCPT", "450 4.2.0 <a@b>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/b.html", "deferred recipient greylisted 4.2.0"},
		{"RCPT", "451 4.7.1 Please try again later", "deferred recipient greylisted 4.7.1"},
		{"content", "451 4.7.1 Greylisting in action, please come back in 5 minutes", "deferred recipient greylisted 4.7.1"},
		{"RCPT", "550 5.1.1 The email account that you tried to reach does not exist", "failed recipient unknown-recipient 5.1.1"},
		{"RCPT", "550 User unknown", "failed recipient unknown-recipient"},
		{"RCPT", "452 4.2.2 The email account is over quota", "deferred recipient mailbox-full 4.2.2"},
		{"RCPT", "552 5.2.2 Mailbox full", "failed recipient mailbox-full 5.2.2"},
		{"RCPT", "452 4.5.3 Your message has too many recipients", "deferred recipient too-many-recipients 4.5.3"},
		{"RCPT", "452 Too many recipients received this hour", "deferred recipient too-many-recipients"},
		{"RCPT", "550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using zen.spamhaus.org", "failed recipient blocked 5.7.1"},
		{"connect", "554 5.7.1 Your IP has a poor reputation", "failed destination blocked 5.7.1"},
		{"connect", "421 4.7.0 Too many connections", "deferred destination rate-limited 4.7.0"},
		{"connect", "421 4.3.2 System not accepting network messages", "deferred destination refused-connection 4.3.2"},
		{"content", "421 4.7.28 unusual rate of mail", "deferred destination rate-limited 4.7.28"},
		{"RCPT", "450 4.2.1 The user is receiving mail too quickly", "deferred recipient rate-limited 4.2.1"},
		{"content", "550 5.7.1 This message looks like spam", "failed recipient refused-content 5.7.1"},
		{"content", "554 5.6.0 malformed", "failed recipient refused-content 5.6.0"},
		{"content", "552 5.3.4 Message size exceeds fixed limit", "failed recipient too-large 5.3.4"},
		{"MAIL", "552 message size exceeds limit", "failed recipient too-large"},
		{"MAIL", "550 5.1.8 sender domain not found", "failed recipient sender-refused 5.1.8"},
		{"MAIL", "452 4.3.1 Insufficient system storage", "deferred destination try-later 4.3.1"},
		{"content", "451 4.3.0 the scanner gave up", "deferred recipient try-later 4.3.0"},
		{"content", "554 5.4.6 Too many hops", "failed recipient loop 5.4.6"},
		{"RCPT", "556 5.1.10 null MX", "failed recipient null-mx 5.1.10"},
		{"connect", "521 mail.example does not accept mail", "failed destination null-mx"},
		{"RCPT", "550 5.7.30 REQUIRETLS needed", "failed recipient requiretls 5.7.30"},
		{"RCPT", "550 5.4.1 Recipient address rejected: Access denied", "failed recipient refused 5.4.1"},
		{"RCPT", "451 4.3.0 local trouble", "deferred destination try-later 4.3.0"},
		{"RCPT", "450 mailbox unavailable", "deferred recipient try-later"},
		{"RCPT", "450 5.1.1 class does not fit", "deferred recipient try-later"},
		{"RCPT", "550 5.1 half a code", "failed recipient refused"},
	} {
		rep := &reply{code: int(c.answer[0]-'0')*100 + int(c.answer[1]-'0')*10 + int(c.answer[2]-'0'), lines: []string{c.answer}}
		o := theirs(c.verb, rep)
		if c.verb == "connect" {
			o = (&conn{}).turnedAway("connect", rep).Outcome
		}
		if got := brief(o); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.verb, c.answer, got, c.want)
		}
		if o.Status == transfer.Failed && c.verb != "connect" && o.Scope != transfer.ScopeRecipient {
			t.Errorf("%q fails more than its recipient", c.answer)
		}
	}
}

// TestTable: the table of names has all that the code gives, and nothing else.
func TestTable(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("classify.go")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]bool{}
	last := ""
	for _, m := range regexp.MustCompile(`(?m)^//\t([a-z][a-z0-9-]+) +(?:deferred|failed)`).FindAllStringSubmatch(string(src), -1) {
		if table[m[1]] || m[1] < last {
			t.Errorf("%s stands twice or in the wrong place", m[1])
		}
		table[m[1]], last = true, m[1]
	}
	used := map[string]bool{}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?:transfer\.Scope\w+, |name: |[nN]ame = |return |status, |refuse\((?:transfer\.\w+, )?)"([a-z][a-z0-9-]+)"`)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range names.FindAllStringSubmatch(string(text), -1) {
			used[m[1]] = true
			if !table[m[1]] {
				t.Errorf("%s uses %q, which is not in the table", f.Name(), m[1])
			}
		}
		for name := range table {
			if strings.Contains(string(text), `"`+name+`"`) {
				used[name] = true
			}
		}
	}
	for name := range table {
		if !used[name] {
			t.Errorf("nothing gives %q", name)
		}
	}
}
