package appliance

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/config"
	"hauspost/appliance/maillog"
	"hauspost/plugins/host"
	"hauspost/store"
)

// newTestBox is a box with a store and people, and without services.
func newTestBox(t *testing.T) *Box {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	dir, c := t.TempDir(), config.Default("mail.example.test")
	core, err := openCore(t.Context(), dir, c, logger, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { core.store.Close() })
	if err := core.accounts.AddDomain(t.Context(), "example.test", ""); err != nil {
		t.Fatal(err)
	}
	b := &Box{dir: dir, config: c, core: core, logger: logger, plugins: newPluginChain(dir, c, core.store, nil, logger)}
	b.after = newAfterwards(b.plugins, b.keep)
	b.alarms = &alarms{b: b, reports: core.reports(c, maillog.Log{}), now: time.Now, told: map[string]time.Time{}}
	return b
}

func TestPostmasterIsToldOfFailingPlugins(t *testing.T) {
	t.Parallel()
	b := newTestBox(t)
	owner, err := b.core.accounts.Add(t.Context(), "postmaster@example.test", "a long password for the owner")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	b.alarms.now = func() time.Time { return now }
	b.alarms.failed("scan", host.Failure{Kind: "timeout", Text: "it took too long"})
	b.alarms.failed("scan", host.Failure{Kind: "timeout", Text: "it took too long"})
	b.alarms.sending.Wait()
	now = now.Add(alarmEvery)
	b.alarms.failed("scan", host.Failure{Kind: "trap", Text: "it tripped"})
	b.alarms.sending.Wait()

	box, err := b.core.store.Mailbox(t.Context(), owner.ID, "INBOX")
	if err != nil || box.Messages != 2 {
		t.Fatalf("postmaster has %d letters (%v), want one a day", box.Messages, err)
	}
	live, err := b.core.store.Live(t.Context(), box.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	var entries []store.Entry
	entries = live.Entries(entries)
	r, err := b.core.store.OpenMessage(t.Context(), entries[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	letter, err := io.ReadAll(r)
	for _, want := range []string{"Subject: The plugin scan fails\r\n", "it took too long (timeout)", "Mail goes on without it.", "Auto-Submitted: auto-generated"} {
		if err != nil || !strings.Contains(string(letter), want) {
			t.Errorf("the letter has no %q (%v):\n%s", want, err, letter)
		}
	}
}
