package deliver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
)

// A long trace loses what filters were told and what they logged before
// anything else, and never the verdict.
func TestTraceOfTalkativeFilters(t *testing.T) {
	t.Parallel()
	decode := func(b []byte) (runs []envelope.Run, decided bool) {
		entries, err := maillog.Decode(b)
		if err != nil || len(b) > maxTrace {
			t.Fatalf("%d octets, %v", len(b), err)
		}
		for _, e := range entries {
			var ev maillog.Filtered
			if e.Step == ev.Step() {
				if err := json.Unmarshal(e.Event, &ev); err != nil {
					t.Fatal(err)
				}
				runs = append(runs, ev.Run)
			}
			decided = decided || e.Step == "decided"
		}
		return runs, decided
	}
	long := func(filters, records, logs, effects int) *maillog.Trace {
		tr := maillog.Log{}.NewTrace("x")
		for i := range filters {
			r := envelope.Run{Filter: fmt.Sprint("f", i), Record: json.RawMessage(`"` + strings.Repeat("r", records) + `"`)}
			for range logs {
				r.Log = append(r.Log, strings.Repeat("l", 100))
			}
			for range effects {
				r.Effects = append(r.Effects, envelope.Effect{Kind: envelope.EffectScore, Points: 1, Detail: strings.Repeat("d", 400)})
			}
			tr.Add(maillog.Filtered{Run: r})
		}
		tr.Add(maillog.Decided{Verdict: Decide(Policy{}, nil, nil, at)})
		for range filters {
			tr.Add(maillog.Queued{Recipient: "x@away.example"})
		}
		return tr
	}
	for name, c := range map[string]struct {
		filters, records, logs, effects             int
		wantRuns, wantRecord, wantLogs, wantEffects int
	}{
		"short":   {2, 8000, 10, 10, 2, 8002, 10, 10},
		"records": {10, 8000, 10, 5, 10, 0, 10, 5},
		"logs":    {10, 8000, 100, 5, 10, 0, 3, 5},
		"effects": {10, 8000, 100, 100, 10, 0, 0, 20},
	} {
		runs, decided := decode(annex(long(c.filters, c.records, c.logs, c.effects).Entries()))
		if !decided || len(runs) != c.wantRuns || len(runs[0].Record) != c.wantRecord || len(runs[0].Log) != c.wantLogs || len(runs[0].Effects) != c.wantEffects {
			t.Errorf("%s: decided %v, %d runs, the first with %d octets of record, %d lines, %d effects", name, decided, len(runs), len(runs[0].Record), len(runs[0].Log), len(runs[0].Effects))
		}
	}
	if _, decided := decode(annex(long(2000, 100, 10, 20).Entries())); !decided {
		t.Error("the verdict was cut out of a trace")
	}
}
