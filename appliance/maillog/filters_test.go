package maillog

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/envelope"
)

func TestFilteredSays(t *testing.T) {
	t.Parallel()
	score := func(symbol string, points float64, detail string) envelope.Effect {
		return envelope.Effect{Kind: envelope.EffectScore, Symbol: symbol, Points: points, Detail: detail}
	}
	for want, r := range map[string]envelope.Run{
		"filter spam 1.2.0 (1.3 ms): nothing to say": {Filter: "spam", Version: "1.2.0", Stage: "on_message", Milliseconds: 1.26},
		"filter grey at MAIL (0 ms): tempfail GREY (come again)": {Filter: "grey", Stage: "on_mail",
			Effects: []envelope.Effect{{Kind: envelope.EffectTempfail, Symbol: "GREY", Detail: "come again"}}},
		"filter spam at submission (2 ms): -5 points KNOWN, +1.5 points DATE (in the future)": {Filter: "spam", Stage: "on_submit", Milliseconds: 2,
			Effects: []envelope.Effect{score("DATE", 1.5, "in the future"), score("KNOWN", -5, "")}},
		"filter v (0 ms): reject for malware EICAR, file into Lists for bob@example.test, tag $t, copy to a@x.test, redirect to b@x.test, add X-A: b, send it encrypted or not at all, exempt": {Filter: "v",
			Effects: []envelope.Effect{
				{Kind: envelope.EffectReject, Malware: true, Symbol: "EICAR"}, {Kind: envelope.EffectFileInto, Argument: "Lists", Recipient: "bob@example.test"},
				{Kind: envelope.EffectTag, Argument: "$t"}, {Kind: envelope.EffectCopy, Argument: "a@x.test"}, {Kind: envelope.EffectRedirect, Argument: "b@x.test"},
				{Kind: envelope.EffectAddHeader, Name: "X-A", Argument: "b"}, {Kind: envelope.EffectRequireTLS}, {Kind: envelope.EffectExempt}}},
		"filter v (0 ms): failed, it took too long, as it does since 2026-11-21 12:00 UTC": {Filter: "v", Failure: "timeout", Problem: "it took\r\n too\x1b long",
			Failing: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)},
		"filter v (0 ms): nothing to say; not taken: a, b, c, 1 more; wrote 2 lines": {Filter: "v", Dropped: []string{"a", "b", "c", "d"}, Log: []string{"begin", "end"},
			Record: json.RawMessage(`"told"`)},
	} {
		if got := (Filtered{Run: r}).Say(); got != want {
			t.Errorf("%q\nwant %q", got, want)
		}
	}
	var many []envelope.Effect
	for i := range 100 {
		many = append(many, score(fmt.Sprint("S", i), float64(i), strings.Repeat("d", 500)))
	}
	if got := (Filtered{Run: envelope.Run{Filter: "f", Effects: many}}).Say(); len(got) > 2000 || !strings.HasPrefix(got, "filter f (0 ms): +99 points S99 (ddd") || !strings.HasSuffix(got, ", 92 more") {
		t.Errorf("%d octets: %s", len(got), got)
	}
}

func TestDecidedSays(t *testing.T) {
	t.Parallel()
	why := envelope.Reason{Name: "n", Text: "because"}
	for want, v := range map[string]envelope.Verdict{
		"reject: because":              {Action: envelope.Reject, Reason: why},
		"reject: because; left out: a": {Action: envelope.Reject, Reason: why, Mailbox: "Lists", Copies: []string{"x@y.test"}, Headers: []envelope.Field{{Name: "X-A", Value: "b"}}, Ignored: []string{"a"}},
		"quarantine: because; tagged b; adds X-A; for bob@example.test alone discard: because": {
			Action: envelope.Quarantine, Reason: why, Mailbox: "Lists", Tags: []string{"b"}, Copies: []string{"x@y.test"}, Redirects: []string{"z@y.test"}, Headers: []envelope.Field{{Name: "X-A", Value: "b"}},
			Recipients: []envelope.Disposition{{Recipient: "bob@example.test", Action: envelope.Discard, Reason: why}, {Recipient: "eve@example.test", Redirects: []string{"z@y.test"}}}},
		"keep: because; into the junk mailbox":     {Action: envelope.Keep, Reason: why, Junk: true, Mailbox: "Lists"},
		"keep: because; encrypted or not at all":   {Action: envelope.Keep, Reason: why, RequireTLS: true},
		"keep: because; left out: a, b, c, 1 more": {Action: envelope.Keep, Reason: why, Ignored: []string{"a", "b", "c", "d"}},
		"keep: because; into Lists; tagged $a, b; a copy to x@y.test; adds X-A; for bob@example.test alone quarantine: because; for eve@example.test alone; redirected to z@y.test": {
			Action: envelope.Keep, Reason: why, Mailbox: "Lists", Tags: []string{"$a", "b"}, Copies: []string{"x@y.test"}, Headers: []envelope.Field{{Name: "X-A", Value: "b"}},
			Recipients: []envelope.Disposition{{Recipient: "bob@example.test", Action: envelope.Quarantine, Reason: why}, {Recipient: "eve@example.test", Redirects: []string{"z@y.test"}}}},
	} {
		if got := (Decided{Verdict: v}).Say(); got != want {
			t.Errorf("%q\nwant %q", got, want)
		}
	}
}

func TestWaivedSays(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]Waived{
		"not done: redirect to x@y.test for bob@example.test: it goes round in circles": {Kind: envelope.EffectRedirect, Argument: "x@y.test", Recipient: "bob@example.test", Why: "it goes round in circles"},
		"not done: add X-A: strangers would see it":                                     {Kind: envelope.EffectAddHeader, Argument: "X-A", Why: "strangers would see it"},
	} {
		if got := e.Say(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestWhatFiltersWriteStaysOutOfTheLog: it may be text of the mail. The trace
// has it.
func TestWhatFiltersWriteStaysOutOfTheLog(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	l := Log{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	effects := []envelope.Effect{{Kind: envelope.EffectScore, Symbol: "SHOUTS", Points: 2, Detail: "dear bob"},
		{Kind: envelope.EffectAddHeader, Name: "X-A", Argument: "dear bob"}}
	reason := envelope.Reason{Name: "SHOUTS", Text: "filter f: dear bob"}
	run := envelope.Run{Filter: "f", Effects: effects, Dropped: []string{"dear bob"}, Log: []string{"dear bob"}, Record: json.RawMessage(`{"dns":"dear bob"}`)}
	verdict := envelope.Verdict{Action: envelope.Reject, Reason: reason, Headers: []envelope.Field{{Name: "X-A", Value: "dear bob"}},
		Recipients: []envelope.Disposition{{Recipient: "a@b", Reason: reason}}, Ignored: []string{"dear bob"}}
	for _, ev := range []Event{Filtered{Run: run}, Decided{Verdict: verdict}} {
		log.Reset()
		e := l.Emit("id", ev)
		if s := log.String(); strings.Contains(s, "dear bob") || !strings.Contains(s, "SHOUTS") {
			t.Errorf("logged %s", s)
		}
		if !strings.Contains(string(e.Event), "dear bob") || !strings.Contains(e.Say, "dear bob") {
			t.Errorf("traced %s: %s", e.Say, e.Event)
		}
	}
	if effects[0].Detail == "" || verdict.Headers[0].Value == "" || verdict.Recipients[0].Reason.Text == "" {
		t.Error("what is traced lost its words for the sake of the log")
	}
}
