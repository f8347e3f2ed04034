package imapd_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"hauspost/appliance/accounts"
	"hauspost/appliance/imapd"
	"hauspost/store"
)

// said collects what persons said of their mail.
type said struct {
	mu    sync.Mutex
	moves []imapd.Moved
}

func (s *said) hear(_ context.Context, a accounts.Account, m imapd.Moved) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Address == ann && a.ID != "" {
		s.moves = append(s.moves, m)
	}
}

// take gives what was said since the last time, one line each.
func (s *said) take() (lines []string, entries []store.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.moves {
		uids := []string{}
		for _, e := range m.Entries {
			uids = append(uids, fmt.Sprint(e.UID))
		}
		lines = append(lines, fmt.Sprintf("%s>%s %s junk=%v", m.From, m.Mailbox, strings.Join(uids, ","), m.Junk))
		entries = append(entries, m.Entries...)
	}
	s.moves = nil
	return lines, entries
}

// TestFeedback: what a person says of mail by moving, copying or marking it is
// handed over, and nothing else is.
func TestFeedback(t *testing.T) {
	t.Parallel()
	heard := &said{}
	b := newBox(t, func(o *imapd.Options) { o.Feedback = heard.hear })
	for range 4 {
		b.deliver(t, "INBOX", testMessage(t, "plain"))
	}
	c := b.login(t)
	c.command("s", "SELECT INBOX")
	for i, step := range []struct {
		command string
		want    []string
	}{
		{"MOVE 1 Archive", nil},
		{"COPY 1 Trash", nil},
		{"UID MOVE 3,99 Junk", []string{"INBOX>Junk 1 junk=true"}},
		{"UID COPY 2,4 Junk", []string{"INBOX>Junk 2,3 junk=true"}},
		{"MOVE 1 nowhere", nil},
		{"STORE 1 +FLAGS ($Junk)", []string{"INBOX>INBOX 2 junk=true"}},
		{"STORE 1:2 +FLAGS ($Junk)", []string{"INBOX>INBOX 4 junk=true"}},
		{"STORE 1 +FLAGS.SILENT ($junk)", nil},
		{"STORE 1 -FLAGS ($Junk)", nil},
		{"STORE 1 FLAGS ($JUNK \\Seen)", []string{"INBOX>INBOX 2 junk=true"}},
		{"STORE 1:2 FLAGS ($NotJunk)", []string{"INBOX>INBOX 2,4 junk=false"}},
		{"STORE 1 FLAGS ($Junk $NotJunk)", nil},
		{"STORE 1 +FLAGS (\\Flagged Work)", nil},
		{"SELECT Junk", nil},
		{"STORE 1 +FLAGS ($Junk)", nil},
		{"COPY 1 Junk", nil},
		{"STORE 1 +FLAGS ($NotJunk)", []string{"Junk>Junk 1 junk=false"}},
		{"COPY 2 Trash", nil},
		{"MOVE 2 Archive", []string{"Junk>Archive 2 junk=false"}},
		{"EXAMINE Junk", nil},
		{"COPY 1 INBOX", []string{"Junk>INBOX 5 junk=false"}},
		{"MOVE 1 INBOX", nil},
	} {
		c.command(fmt.Sprint("a", i), step.command)
		if got, _ := heard.take(); !slices.Equal(got, step.want) {
			t.Errorf("%s says %q, want %q", step.command, got, step.want)
		}
	}
	if log := b.log.String(); strings.Contains(log, "failed") {
		t.Error(log)
	}
}

// TestFeedbackNamesMessages: the entries lead to the message that was moved,
// also where the mailbox was given its use by the client.
func TestFeedbackNamesMessages(t *testing.T) {
	t.Parallel()
	heard := &said{}
	b := newBox(t, func(o *imapd.Options) { o.Feedback = heard.hear })
	placed := b.deliver(t, "INBOX", testMessage(t, "multi"), `\Seen`)
	c := b.login(t)
	c.command("a1", "DELETE Junk")
	c.command("a2", `CREATE Bad/Mail (USE (\Junk))`)
	c.command("a3", "SELECT INBOX")
	c.command("a4", fmt.Sprintf("UID MOVE %d Bad/Mail", placed.UID))
	lines, entries := heard.take()
	if !slices.Equal(lines, []string{"INBOX>Bad/Mail 1 junk=true"}) {
		t.Fatalf("it says %q", lines)
	}
	if e := entries[0]; e.Flags != 0 || e.ModSeq != 0 || e.Size == 0 {
		t.Errorf("the entry is %+v", e)
	}
	raw, err := b.store.ReadMessage(context.Background(), entries[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != string(testMessage(t, "multi")) {
		t.Errorf("the entry leads to %q", raw)
	}
}
