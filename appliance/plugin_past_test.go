package appliance

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/deliver"
	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/plugins/abi"
	"hauspost/plugins/host"
)

func pastOf(own bool, events ...maillog.Event) *past {
	trace := maillog.Log{}.NewTrace("m")
	for _, ev := range events {
		trace.Add(ev)
	}
	p := &past{own: own, event: abi.Event{ID: "m"}}
	for _, e := range trace.Entries() {
		p.traced = true
		p.take(e)
	}
	return p
}

func scored(filter, stage string, points float64) maillog.Filtered {
	return maillog.Filtered{Run: envelope.Run{Filter: filter, Stage: stage,
		Effects: []envelope.Effect{{Kind: envelope.EffectScore, By: filter, Symbol: strings.ToUpper(filter), Points: points}}}}
}

// A message is replayed at the stage at which a plugin saw it, and not at all
// where no plugin would have seen it.
func TestReplayedStages(t *testing.T) {
	t.Parallel()
	both := []abi.Stage{abi.OnMessage, abi.OnSubmit}
	connected, stored := maillog.Connected{Client: "192.0.2.7:4000"}, maillog.Stored{Mailbox: "INBOX"}
	for name, c := range map[string]struct {
		past   *past
		stages []abi.Stage
		want   abi.Stage
	}{
		"came in":                      {pastOf(false, connected, stored), both, abi.OnMessage},
		"came in, for what leaves":     {pastOf(false, connected, stored), []abi.Stage{abi.OnSubmit}, 0},
		"was moved to Drafts":          {pastOf(true, connected, stored), both, abi.OnMessage},
		"submitted":                    {pastOf(true, connected, maillog.Authenticated{Account: "a@x.test"}), both, abi.OnSubmit},
		"submitted by a program":       {pastOf(false, scored("f", "on_submit", 1), stored), both, abi.OnSubmit},
		"submitted, for what arrives":  {pastOf(false, connected, maillog.Authenticated{}, stored), []abi.Stage{abi.OnMessage}, abi.OnMessage},
		"submitted, and nobody has it": {pastOf(true, connected, maillog.Authenticated{}), []abi.Stage{abi.OnMessage}, 0},
		"saved by a mail program":      {pastOf(false, stored), both, abi.OnMessage},
		"saved as sent":                {pastOf(true, stored), both, 0},
		"without a trace":              {pastOf(false), both, abi.OnMessage},
		"a report":                     {pastOf(false, maillog.Composed{}, stored), both, 0},
	} {
		if got, ok := c.past.stage(c.stages); got != c.want && (ok || c.want != 0) || ok != (c.want != 0) {
			t.Errorf("%s: at %v (%t), want %v", name, got, ok, c.want)
		}
	}
}

// A plugin is shown what it was shown then: the findings of those before it, and
// of the stages before.
func TestReplayedEvents(t *testing.T) {
	t.Parallel()
	p := pastOf(false, maillog.Authenticated{Account: "a@x.test"}, scored("peer", "on_connect", 1), scored("out", "on_submit", 2),
		scored("first", "on_message", 3), scored("second", "on_message", 4), scored("later", "on_message", 5), scored("peer", "on_delivery", 6))
	for _, c := range []struct {
		stage   abi.Stage
		plugin  string
		account string
		want    []string
	}{
		{abi.OnMessage, "second", "", []string{"PEER", "FIRST"}},
		{abi.OnMessage, "new", "", []string{"PEER", "FIRST", "SECOND", "LATER"}},
		{abi.OnSubmit, "out", "a@x.test", []string{"PEER"}},
	} {
		e := p.asked(c.stage, p.at(c.stage, c.plugin), 42)
		var got []string
		for _, f := range e.Findings {
			got = append(got, f.Symbol)
		}
		if !slices.Equal(got, c.want) || e.Stage != c.stage || e.Account != c.account || e.Time != 42 {
			t.Errorf("%s at %v is asked of %+v", c.plugin, c.stage, e)
		}
	}
}

// What was said at another stage, or after the message was taken, has no part in
// its verdict.
func TestReplayedVerdicts(t *testing.T) {
	t.Parallel()
	failed := maillog.Filtered{Run: envelope.Run{Filter: "scan", Stage: "on_feedback", Failure: "timeout"}}
	p := pastOf(false, scored("peer", "on_connect", 1), scored("f", "on_submit", 3), scored("f", "on_message", 4), scored("f", "on_delivery", 100), failed)
	re := &replayer{policy: deliver.Policy{JunkAt: 4, RejectAt: 15, OnFailure: map[string]string{"scan": "tempfail"}}}
	for stage, want := range map[abi.Stage]string{abi.OnMessage: "keep 5 Junk", abi.OnSubmit: "keep 4 "} {
		v := re.verdict(stage, nil, p.runs, time.Unix(0, 0))
		if got := v.Action + " " + strconv.FormatFloat(v.Score, 'f', -1, 64) + " " + v.Mailbox; got != want {
			t.Errorf("%v: %q, want %q", stage, got, want)
		}
	}
}

func TestComplaints(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 400)
	for want, log := range map[string][]string{
		"it returned 1":                                 nil,
		"it returned 1: rule 5 is wrong":                {"info: 5 rules", "error: rule 5\nis \x1b wrong"},
		"it returned 1: panic: out of range":            {"panic: out of range", "goroutine 1 [running]:"},
		"it returned 1: " + long[:2*maxComplaint] + "…": {"error: " + long},
	} {
		if got := complaint("it returned 1", log); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	c := &pluginChain{now: time.Now}
	c.complain("m1", []host.Run{{Plugin: "a", Failure: &host.Failure{Kind: host.FailTrap, Text: "it returned 1"}, Log: []string{"error: no"}}, {Plugin: "b"}})
	c.complain("m2", []host.Run{{Plugin: "a", Failure: &host.Failure{Kind: host.FailBreaker, Text: "it was not asked"}}})
	if a := c.complained("a"); a == nil || a.Message != "m1" || a.Problem != "it returned 1: no" || c.complained("b") != nil {
		t.Errorf("%+v", a)
	}
}
