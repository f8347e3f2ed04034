package maillog

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"hauspost/appliance/envelope"
)

var events = []Event{
	Connected{Client: "192.0.2.1:5", HELO: "mx.remote.test", Protocol: "ESMTPS", TLS: "TLS1.3"},
	Sender{From: "a@remote.test", Size: 10},
	RecipientAccepted{To: "b@example.test"},
	Refused{Verb: "RCPT", Argument: "x@example.test", Code: 550, Enhanced: "5.1.1", Reason: "unknown-recipient", Text: "No such person"},
	Received{Size: 7, Via: "DATA"},
	Checked{Facts: []envelope.Fact{{Name: "fcrdns", Value: "yes"}}},
	Scanned{},
	Scanned{Filters: 1},
	Filtered{Run: envelope.Run{Filter: "f", Effects: []envelope.Effect{{Kind: envelope.EffectScore, By: "f", Points: 2}}}},
	Waived{Kind: envelope.EffectRedirect, Argument: "x@example.test", Recipient: "b@example.test", Why: "it goes round in circles"},
	Decided{Verdict: envelope.Verdict{Action: envelope.Keep, Reason: envelope.Reason{Name: "no-objection", Text: "nothing speaks against it"}}},
	Stored{Recipient: "b@example.test", Account: "b@example.test", Mailbox: "INBOX", UID: 3, Via: "alias"},
	Accepted{Recipients: 1, Milliseconds: 1.5},
	Pushed{Account: "b@example.test", Mailbox: "INBOX", UID: 3, Client: "K-9"},
	Vanished{After: "RCPT"},
}

func TestTraceAndLogTellTheSame(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	l := Log{Logger: slog.New(slog.NewJSONHandler(&out, nil)), Now: func() time.Time { return at }}
	tr := l.NewTrace("id-1")
	for _, e := range events {
		tr.Add(e)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	entries := tr.Entries()
	if len(lines) != len(events) || len(entries) != len(events) {
		t.Fatalf("%d lines and %d entries for %d events", len(lines), len(entries), len(events))
	}
	for i, line := range lines {
		var got struct{ Msg, Step, ID string }
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		if got.Msg != entries[i].Say || got.Step != entries[i].Step || got.ID != "id-1" || got.Msg == "" || !entries[i].At.Equal(at) {
			t.Errorf("log %+v, trace %+v", got, entries[i])
		}
	}
	again, err := Decode(Encode(entries))
	if err != nil || len(again) != len(entries) || string(again[3].Event) != string(entries[3].Event) {
		t.Errorf("%+v %v", again, err)
	}
}

func TestDecodeTellsOfDamage(t *testing.T) {
	t.Parallel()
	if _, err := Decode([]byte("[{")); err == nil {
		t.Error("damaged traces are read")
	}
}

func TestSilentLogStillTraces(t *testing.T) {
	t.Parallel()
	tr := Log{}.NewTrace("x")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { tr.Add(Scanned{}) })
	}
	wg.Wait()
	if n := len(tr.Entries()); n != 20 {
		t.Errorf("%d entries", n)
	}
}
