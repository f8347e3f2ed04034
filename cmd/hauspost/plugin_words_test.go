package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/control"
)

// shelf is a box of which only the plugins and the status are there.
type shelf struct {
	control.Admin
	asked control.ReplayQuery
}

var shelfDay = time.Date(2026, 5, 17, 8, 30, 0, 0, time.Local)

func (s *shelf) Plugins(context.Context) ([]control.Plugin, error) {
	return []control.Plugin{
		{PluginFacts: control.PluginFacts{ID: "headers", Name: "Header rules", Version: "1.0.0", Description: "Follows your rules.", Author: "Anna",
			Homepage: "https://example.org", License: "MIT", Signer: "c2lnbmVy", SHA256: "00ff", Stages: []string{"on_message", "on_submit"},
			Asked: []string{"It is asked about every message that arrives."}, MemoryBytes: 32 << 20, TimeMilliseconds: 2000,
			Settings: []control.PluginSetting{{Name: "rules", Type: "text", Doc: "The rules.", Value: []string{"if …"}},
				{Name: "limit", Type: "number", Default: []string{"5"}}, {Name: "key", Type: "text"}}},
			Enabled: true, Granted: []control.PluginTerm{{Name: "header", Words: "It can read the header."}},
			Denied: []control.PluginTerm{{Name: "stop:reject", Words: "It can refuse messages."}}, Source: "headers.hauspost", Before: "0.9.0",
			Weight: 0.5, MaxPoints: 7, Failing: "tempfail",
			Run: &control.PluginRun{Calls: 1200, P50Milliseconds: 0.07, P99Milliseconds: 12.34, MemoryBytes: 3 << 20,
				Failures: map[string]int64{"timeout": 2, "trap": 1}, Effects: 80, Dropped: 3, Breaker: "closed", LoadMilliseconds: 20.5, Pooled: true}},
		{PluginFacts: control.PluginFacts{ID: "broken", Name: "Broken", Version: "2.0.0", Description: "Fails.", TimeMilliseconds: 50},
			Enabled: true, Problem: "it failed too often", Weight: 1, Failing: "skip",
			Run: &control.PluginRun{Breaker: "open", BrokenSince: time.Now().Add(-150 * time.Second), Retry: time.Now().Add(90 * time.Second)}},
		{PluginFacts: control.PluginFacts{ID: "off", Name: "Off", Version: "1.0.0", Description: "Rests."}, Weight: 1},
	}, nil
}

func (s *shelf) Status(context.Context) (control.Status, error) {
	return control.Status{Hostname: "mail.example.test", Data: "/d", TLS: control.TLSStatus{Mode: "self-signed"},
		Filters: control.FilterStatus{Installed: 3, Enabled: 2, Restarts: 2, Problems: []control.PluginProblem{{ID: "broken", Text: "it failed too often"}},
			Workers: []control.PluginWorker{{PID: 7, Bytes: 20 << 20, Walls: []string{"no network", "no files"}, Missing: []string{"Landlock"}, Interpreter: true},
				{PID: 8, Bytes: 10 << 20}}}}, nil
}

func (s *shelf) PluginReplay(_ context.Context, q control.ReplayQuery, fn func(control.ReplayRow) error) (control.ReplayTotals, error) {
	s.asked = q
	for _, r := range []control.ReplayRow{
		{ID: "06h00cjwmcgqq3q32kf3pz7bkw", Date: shelfDay, Sender: "carol@example.org", Before: control.ReplayVerdict{Action: "keep", Mailbox: "INBOX"},
			After: control.ReplayVerdict{Action: "reject", Score: 16.5}, Changed: true, Differences: []string{"now: score SHOUTS +16.5", "now: tag $loud"}},
		{ID: "06h00cjwmcgqq3q32kf3pz7bkx", Date: shelfDay, Before: control.ReplayVerdict{Action: "keep"}, After: control.ReplayVerdict{Action: "keep"}},
		{ID: "06h00cjwmcgqq3q32kf3pz7bky", Date: shelfDay, Before: control.ReplayVerdict{}, After: control.ReplayVerdict{Action: "keep", Score: 5, Mailbox: "Junk"},
			Changed: true, Unrecorded: true},
		{ID: "06h00cjwmcgqq3q32kf3pz7bkz", Date: shelfDay, Sender: "d@example.org", Before: control.ReplayVerdict{Action: "keep"}, Failure: "it took longer than 2s"},
	} {
		if err := fn(r); err != nil {
			return control.ReplayTotals{}, err
		}
	}
	return control.ReplayTotals{Messages: 4, Changed: 2, Failed: 1, Unrecorded: 1, Actions: map[string]int{"keep → reject": 1}, Milliseconds: 1234}, nil
}

// TestPluginsInWords holds what people read of plugins.
func TestPluginsInWords(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	hauspost := served(t, s)
	for name, args := range map[string]string{
		"plugins": "plugin list", "filters": "status", "replay": "plugin replay headers --all --limit 7 --account a@b --mailbox M", "replay-changed": "plugin replay headers",
	} {
		inWords(t, hauspost, name, args)
	}
	for id, wants := range map[string][]string{
		"headers": {"Header rules 1.0.0 (headers): Follows your rules.\nBy: Anna\nSee: https://example.org\nLicense: MIT\nIt is signed with the key c2lnbmVy.\n",
			"Stages       on_message, on_submit\n", "Limits       32 MiB of memory, 2s\n", "If it fails  have the sender come again later\n", "Weight       0.5\n",
			"At most      7 points\n", "Calls        1200; half of them took up to 70µs, 99 of 100 up to 12.3ms\n", "Proposed     80 that counted, 3 that did not\n",
			"Failed       timeout 2, trap 1\n", "Instances    used again after a complete reset; loaded in 20.5ms\n",
			"What it may do:\n  - It can read the header.  [header]\n", "What it asks for, and may not do:\n  - It can refuse messages.  [stop:reject]\n",
			"  rules = if …\n      The rules.\n  limit = 5  (default)\n  key =   (needs a value)\n"},
		"broken": {"It is NOT SIGNED", "Asked        PROBLEM\n", "Problem      it failed too often\n", "Breaker      open since ", "(2 min ago), asked again in 1 min\n",
			"Instances    a new one for each call; "},
	} {
		out, errs, code := hauspost("plugin", "show", id)
		for _, want := range wants {
			if code != exitOK || !strings.Contains(out, want) {
				t.Errorf("plugin show %s lacks %q: %s\n%s", id, want, errs, out)
			}
		}
	}
	if _, errs, code := hauspost("plugin", "show", "none"); code != exitFailure || errs != "hauspost: the plugin none is not installed\n" {
		t.Errorf("showing what is not there: exit code %d, %q", code, errs)
	}
}

// TestReplayAsks holds what the command asks of the box.
func TestReplayAsks(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	hauspost := served(t, s)
	settings := filepath.Join(t.TempDir(), "s.toml")
	if err := os.WriteFile(settings, []byte("limit = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := hauspost("plugin", "replay", "headers", "--settings", settings, "--limit", "7", "--account", "a@b", "--mailbox", "M"); code != exitOK {
		t.Fatal(errs)
	}
	q := s.asked
	if q.ID != "headers" || !q.Override || q.Settings != "limit = 3\n" || q.Limit != 7 || q.Account != "a@b" || q.Mailbox != "M" || q.Package != nil {
		t.Errorf("it asked %+v", q)
	}
	s.asked = control.ReplayQuery{}
	if _, errs, code := hauspost("plugin", "replay", "headers", "--settings", settings+"x"); code != exitFailure || s.asked.ID != "" {
		t.Errorf("settings that are not there: exit code %d, %s", code, errs)
	}
}
