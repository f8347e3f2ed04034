package control

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// TestSchemas holds the JSON that programs rely on: `--json` prints these
// types. A change of a golden file is a change for all of them.
func TestSchemas(t *testing.T) {
	t.Parallel()
	problem := []Problem{{Kind: "damaged", File: "mail/0/x", Message: "x", Text: "it is damaged", Remedy: "restore it"}}
	failing := QueueDestination{"example.org", "direct", day, day, "their server does not answer", 3}
	row := QueueEntry{7, "x", "anna@example.test", "ben@example.org", "example.org", "direct", "submission", "ben@example.test", QueueWaiting, 1234,
		day, day, day, day, 2, true, "mx.example.org", "TLS1.3", "451 4.7.1 wait", "their server asks new senders to wait", "wait", "next try in 4 min"}
	samples := map[string]any{
		"status": Status{Running: true, Version: "v1", Hostname: "mail.example.test", Data: "/d", PID: 7, Since: day,
			Listeners: []Listener{{"smtp", "127.0.0.1:10025"}}, TLS: TLSStatus{"self-signed", day, "00ff", "it has expired"},
			Domains: 1, Accounts: 2, Aliases: 3, Store: StoreStats{4, 5, 6, 8, 9, 7, "disk full"},
			SMTP: map[string]int64{"active": 1}, IMAP: map[string]int64{"connections": 1}, Process: ProcessStats{1, 2, 3},
			Queue: QueueStatus{10, 11, 12, 13, day, day, []QueueDestination{failing}, &failing}, Submission: map[string]int64{"messages": 1},
			Relay: map[string]int64{"delivered": 1},
			Filters: FilterStatus{2, 1, []PluginProblem{{"hello", "it is not asked"}}, []PluginWorker{{8, day, 25 << 20, []string{"no network"},
				[]string{"Landlock"}, true}}, 3}},
		"status_at_rest": Status{Listeners: []Listener{}, SMTP: map[string]int64{}, IMAP: map[string]int64{}, Submission: map[string]int64{},
			Relay: map[string]int64{}, Queue: QueueStatus{Failing: []QueueDestination{}}, Filters: FilterStatus{Problems: []PluginProblem{}, Workers: []PluginWorker{}}},
		"queue":      QueueList{[]QueueEntry{row}, 2, []QueueDestination{failing}},
		"queue_item": QueueItem{[]QueueEntry{row, {Number: 8, Message: "x", State: QueueHeld, Added: day}}, []TraceStep{{day, "queued", "queued", []byte(`{}`)}}},
		"queue_done": QueueDone{1, QueueDrop},
		"dkim": DKIMKey{"example.test", "s1", "ed25519", day, true,
			DNSRecord{"s1._domainkey.example.test", "TXT", "v=DKIM1; k=ed25519; p=AA==", `s1._domainkey.example.test. IN TXT "v=DKIM1; k=ed25519; p=AA=="`}},
		"domain":  Domain{"example.test", "example.org", day},
		"account": Account{"a1", "anna@example.test", day, true, true},
		"alias":   Alias{"@example.test", []string{"anna@example.test"}, day},
		"trace":   Trace{"x", []TraceStep{{day, "sender", "reverse-path <a@b.test>", []byte(`{"from":"a@b.test"}`)}}},
		"log":     LogEntry{day, "info", "text", "x", map[string]any{"step": "sender"}},
		"config":  Settings{true, "/d/hauspost.toml", map[string]any{"version": 1}, "not printed"},
		"plugin":  samplePlugin,
		"plugin_review": PluginReview{PluginFacts: samplePlugin.PluginFacts, Bundled: true, Granted: samplePlugin.Granted, Installed: "1.0.0",
			More: samplePlugin.Denied, Problem: "it was signed by another"},
		"replay_row":    sampleRow,
		"replay_totals": ReplayTotals{5, 2, 1, 1, map[string]int{"keep → reject": 2}, 12.5},
		"verify":        VerifyReport{1, 2, 3, problem},
		"rebuild":       RebuildReport{1, 2, 3, problem},
		"error":         &Error{KindNotFound, "there is none"},
	}
	for name, v := range samples {
		got, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		file := "testdata/" + name + ".json"
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s (%v): got\n%s", file, err, got)
		}
	}
}
