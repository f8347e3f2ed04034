package deliver

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hauspost/appliance/envelope"
)

// run makes a run of a filter that did its work on the message.
func run(filter string, effects ...envelope.Effect) envelope.Run {
	return envelope.Run{Filter: filter, Stage: "on_message", Effects: effects}
}

func points(symbol string, p float64) envelope.Effect {
	return envelope.Effect{Kind: envelope.EffectScore, Symbol: symbol, Points: p, Detail: "a sign"}
}

func stopping(k envelope.EffectKind) envelope.Effect {
	return envelope.Effect{Kind: k, Symbol: "S", Detail: "because"}
}

func failed(filter string, since time.Duration) envelope.Run {
	return envelope.Run{Filter: filter, Stage: "on_message", Failure: "timeout", Problem: "it took too long", Failing: at.Add(-since)}
}

var exempt = envelope.Effect{Kind: envelope.EffectExempt, Detail: "a friend"}

func TestDecide(t *testing.T) {
	t.Parallel()
	owner := Policy{JunkAt: 5, QuarantineAt: 10, RejectAt: 15, Weights: map[string]float64{"half": 0.5, "mute": 0},
		MaxPoints: map[string]float64{"small": 2}, OnFailure: map[string]string{"virus": "tempfail"}, QuarantineAfter: 4 * time.Hour}
	malware := stopping(envelope.EffectDiscard)
	malware.Malware = true
	early := run("grey", stopping(envelope.EffectTempfail), points("A", 3))
	early.Stage = "on_mail"
	for name, c := range map[string]struct {
		runs   []envelope.Run
		action envelope.Action
		reason string
		score  float64
		junk   bool
		says   string
	}{
		"nothing":              {nil, envelope.Keep, "no-objection", 0, false, "nothing speaks against it"},
		"few points":           {[]envelope.Run{run("spam", points("A", 4.9))}, envelope.Keep, "no-objection", 4.9, false, "4.9 points: spam 4.9 for A (a sign)"},
		"junk":                 {[]envelope.Run{run("spam", points("A", 4), points("B", 1))}, envelope.Keep, "score-above-junk", 5, true, "5 points are enough to file it as junk"},
		"quarantine":           {[]envelope.Run{run("spam", points("A", 6)), run("x", points("B", 4))}, envelope.Quarantine, "score-above-quarantine", 10, false, "spam 6 for A (a sign), x 4 for B"},
		"reject":               {[]envelope.Run{run("spam", points("A", 15))}, envelope.Reject, "score-above-reject", 15, false, "15 points are enough to refuse it"},
		"tenths add up":        {[]envelope.Run{run("spam", slices.Repeat([]envelope.Effect{points("A", 0.1)}, 50)...)}, envelope.Keep, "score-above-junk", 5, true, "47 more"},
		"credit":               {[]envelope.Run{run("spam", points("A", 8)), run("known", points("K", -4))}, envelope.Keep, "no-objection", 4, false, "spam 8 for A (a sign), known -4 for K"},
		"clamped":              {[]envelope.Run{run("small", points("A", 100), points("B", -100), points("C", 100))}, envelope.Keep, "no-objection", 2, false, ""},
		"many small ones":      {[]envelope.Run{run("small", slices.Repeat([]envelope.Effect{points("A", 1)}, 20)...), run("spam", points("B", 1))}, envelope.Keep, "no-objection", 3, false, "small -18 (it counts for 2 points at most)"},
		"many good signs":      {[]envelope.Run{run("small", slices.Repeat([]envelope.Effect{points("A", -1)}, 20)...), run("spam", points("B", 15))}, envelope.Quarantine, "score-above-quarantine", 13, false, ""},
		"weighed":              {[]envelope.Run{run("half", points("A", 6)), run("mute", points("B", 100))}, envelope.Keep, "no-objection", 3, false, ""},
		"not a number":         {[]envelope.Run{run("spam", points("A", math.NaN()))}, envelope.Keep, "no-objection", 0, false, ""},
		"infinite":             {[]envelope.Run{run("spam", points("A", math.Inf(1)), points("B", math.Inf(-1)), points("C", 1))}, envelope.Keep, "no-objection", 1, false, ""},
		"stop":                 {[]envelope.Run{run("f", stopping(envelope.EffectDiscard))}, envelope.Discard, "S", 0, false, "filter f: because"},
		"strongest stop":       {[]envelope.Run{run("f", stopping(envelope.EffectDiscard)), run("g", stopping(envelope.EffectReject)), run("h", stopping(envelope.EffectTempfail))}, envelope.Reject, "S", 0, false, "filter g"},
		"tempfail beats":       {[]envelope.Run{run("f", stopping(envelope.EffectTempfail)), run("h", stopping(envelope.EffectQuarantine))}, envelope.Tempfail, "S", 0, false, "filter f"},
		"stop beats junk":      {[]envelope.Run{run("f", stopping(envelope.EffectDiscard), points("A", 5))}, envelope.Discard, "S", 5, false, ""},
		"threshold beats":      {[]envelope.Run{run("f", stopping(envelope.EffectDiscard), points("A", 10))}, envelope.Quarantine, "score-above-quarantine", 10, false, ""},
		"stop of the same":     {[]envelope.Run{run("f", points("A", 10), stopping(envelope.EffectQuarantine))}, envelope.Quarantine, "S", 10, false, ""},
		"stop without symbol":  {[]envelope.Run{run("f", envelope.Effect{Kind: envelope.EffectReject})}, envelope.Reject, "filter-reject", 0, false, "filter f said filter-reject"},
		"exempt from points":   {[]envelope.Run{run("f", points("A", 20)), run("allow", exempt)}, envelope.Keep, "exempt", 20, false, "filter allow exempts it; otherwise: 20 points"},
		"exempt from stops":    {[]envelope.Run{run("allow", exempt), run("f", stopping(envelope.EffectReject))}, envelope.Keep, "exempt", 0, false, "otherwise: filter f: because"},
		"exempt from nothing":  {[]envelope.Run{run("allow", exempt)}, envelope.Keep, "no-objection", 0, false, ""},
		"malware":              {[]envelope.Run{run("allow", exempt), run("f", points("A", 20), malware)}, envelope.Discard, "S", 20, false, "filter f: because (malware)"},
		"failure, skip":        {[]envelope.Run{failed("spam", time.Hour)}, envelope.Keep, "no-objection", 0, false, ""},
		"failure":              {[]envelope.Run{failed("virus", time.Hour)}, envelope.Tempfail, "filter-failed", 0, false, "filter virus cannot work just now (it took too long)"},
		"failure, exempt":      {[]envelope.Run{failed("virus", time.Hour), run("allow", exempt)}, envelope.Tempfail, "filter-failed", 0, false, ""},
		"long failure":         {[]envelope.Run{failed("virus", 4*time.Hour)}, envelope.Quarantine, "filter-failed", 0, false, "could not work for 4h0m0s"},
		"effects of a failure": {[]envelope.Run{{Filter: "f", Failure: "trap", Effects: []envelope.Effect{stopping(envelope.EffectReject)}}}, envelope.Keep, "no-objection", 0, false, ""},
		"early refusal":        {[]envelope.Run{early}, envelope.Keep, "no-objection", 3, false, ""},
		"for one recipient": {[]envelope.Run{run("f", envelope.Effect{Kind: envelope.EffectReject, Recipient: "a@b.test"}, envelope.Effect{Kind: envelope.EffectQuarantine, Recipient: "a@b.test"})},
			envelope.Keep, "no-objection", 0, false, ""},
	} {
		v := Decide(owner, nil, c.runs, at)
		if v.Action != c.action || v.Reason.Name != c.reason || v.Score != c.score || v.Junk != c.junk || !strings.Contains(v.Reason.Text, c.says) {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if v := Decide(Policy{OnFailure: owner.OnFailure}, nil, []envelope.Run{run("f", points("A", 900)), failed("virus", 1000*time.Hour)}, at); v.Action != envelope.Tempfail || v.Junk {
		t.Errorf("a policy that says never: %+v", v)
	}
}

// A filter that failed while there was nothing to look at and did its work on
// the message has not failed.
func TestDecideForgivesEarlyFailures(t *testing.T) {
	t.Parallel()
	p := Policy{OnFailure: map[string]string{"virus": "tempfail"}}
	early := failed("virus", time.Hour)
	early.Stage = "on_connect"
	if v := Decide(p, nil, []envelope.Run{early, run("virus")}, at); v.Action != envelope.Keep {
		t.Errorf("%+v", v)
	}
	if v := Decide(p, nil, []envelope.Run{early, run("spam")}, at); v.Action != envelope.Tempfail {
		t.Errorf("%+v", v)
	}
}

// What a filter says of each of many recipients counts once.
func TestDecideCountsRecipientsOnce(t *testing.T) {
	t.Parallel()
	var runs []envelope.Run
	for _, n := range []float64{1, -3, 3, 2, -3} {
		r := run("trap", points("UNUSUAL", n), points("OTHER", 1))
		r.Stage = "on_rcpt"
		runs = append(runs, r)
	}
	if v := Decide(Policy{}, nil, append(runs, run("trap", points("UNUSUAL", 1))), at); v.Score != 5 {
		t.Errorf("%+v", v)
	}
}

func TestDecideEarly(t *testing.T) {
	t.Parallel()
	early := func(stage string, effects ...envelope.Effect) envelope.Run {
		r := run("f", effects...)
		r.Stage = stage
		return r
	}
	broken := failed("virus", time.Hour)
	broken.Stage = "on_mail"
	malware := stopping(envelope.EffectReject)
	malware.Malware = true
	mine := stopping(envelope.EffectReject)
	mine.Recipient = "alice@example.test"
	for name, c := range map[string]struct {
		runs     []envelope.Run
		enhanced string
	}{
		"nothing":    {nil, ""},
		"reject":     {[]envelope.Run{early("on_connect", stopping(envelope.EffectTempfail)), early("on_mail", stopping(envelope.EffectReject))}, "550 5.7.1"},
		"tempfail":   {[]envelope.Run{early("on_rcpt", stopping(envelope.EffectTempfail), stopping(envelope.EffectQuarantine))}, "451 4.7.1"},
		"recipient":  {[]envelope.Run{early("on_rcpt", mine)}, "550 5.7.1"},
		"waits":      {[]envelope.Run{early("on_mail", points("A", 99), stopping(envelope.EffectQuarantine), stopping(envelope.EffectDiscard)), broken}, ""},
		"exempt":     {[]envelope.Run{early("on_connect", exempt), early("on_mail", stopping(envelope.EffectReject))}, ""},
		"not exempt": {[]envelope.Run{early("on_connect", exempt), early("on_mail", malware)}, "550 5.7.1"},
	} {
		got := ""
		if r := DecideEarly(Policy{RejectAt: 5, OnFailure: map[string]string{"virus": "tempfail"}}, c.runs, at); r != nil {
			got = strings.Join([]string{map[int]string{550: "550", 451: "451"}[r.Code], r.Enhanced}, " ")
			if strings.Contains(r.Text, "because") {
				t.Errorf("%s: the peer learns what the filter said: %s", name, r.Text)
			}
		}
		if got != c.enhanced {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestProposals(t *testing.T) {
	t.Parallel()
	tag := func(s, rcpt string) envelope.Effect {
		return envelope.Effect{Kind: envelope.EffectTag, Argument: s, Recipient: rcpt}
	}
	into := func(s, rcpt string) envelope.Effect {
		return envelope.Effect{Kind: envelope.EffectFileInto, Argument: s, Recipient: rcpt}
	}
	field := func(name, value string) envelope.Effect {
		return envelope.Effect{Kind: envelope.EffectAddHeader, Name: name, Argument: value}
	}
	send := func(k envelope.EffectKind, s, rcpt string) envelope.Effect {
		return envelope.Effect{Kind: k, Argument: s, Recipient: rcpt}
	}
	v := Decide(Policy{}, nil, []envelope.Run{
		run("a", tag("$News", ""), tag("$news", ""), tag(`\Seen`, ""), tag("two words", ""), tag("", ""), tag("ümlaut", ""), tag("a(", ""),
			into("inbox/Näh\u0061\u0308he", ""), into("Other", ""), into("a//b", "bob@example.test"), into("x*", "bob@example.test"), into("a\r\nb", "bob@example.test"), into("#x", "bob@example.test"), into("../x", "bob@example.test")),
		run("b", field("X-Note", " one\r\n\ttwo\x00 "), field("x-Note", "é"), field("Subject", "no"), field("List-Unsubscribe", "no"), field("X-", "no"), field("X-A: b\r\nFrom", "no"), field("X-Empty", " \r\n"),
			envelope.Effect{Kind: envelope.EffectRequireTLS}, envelope.Effect{Kind: "unheard-of"}),
		run("c", send(envelope.EffectCopy, "Archive@example.test", ""), send(envelope.EffectCopy, "archive@example.test", ""), send(envelope.EffectCopy, "no address", ""),
			send(envelope.EffectRedirect, "x@away.example", "Bob@example.test"), tag("mine", "bob@EXAMPLE.test"), into("Bob", "bob@example.test"), tag("lost", "no address"),
			envelope.Effect{Kind: envelope.EffectDiscard, Recipient: "carol@example.test"}, envelope.Effect{Kind: envelope.EffectQuarantine, Symbol: "Q", Recipient: "carol@example.test"}),
	}, at)
	want := envelope.Verdict{
		Action: envelope.Keep, Reason: envelope.Reason{Name: "no-objection", Text: "nothing speaks against it"},
		Mailbox: "INBOX/Nähähe", Tags: []string{"$News"}, Copies: []string{"Archive@example.test"}, RequireTLS: true,
		Headers: []envelope.Field{{Name: "X-Note", Value: "one two"}, {Name: "x-Note", Value: "=?utf-8?q?=C3=A9?="}},
		Recipients: []envelope.Disposition{
			{Recipient: "bob@example.test", Mailbox: "Bob", Tags: []string{"mine"}, Redirects: []string{"x@away.example"}},
			{Recipient: "carol@example.test", Action: envelope.Quarantine, Reason: envelope.Reason{Name: "Q", Text: "filter c said Q"}},
		},
	}
	ignored := v.Ignored
	v.Ignored = nil
	if !reflect.DeepEqual(v, want) {
		t.Errorf("%+v\nwant %+v", v, want)
	}
	if len(ignored) != 19 {
		t.Errorf("%d left out:\n%s", len(ignored), strings.Join(ignored, "\n"))
	}
	bob := v.For(envelope.MustAddress("bob@example.test"))
	if bob.Mailbox != "Bob" || !slices.Equal(bob.Tags, []string{"$News", "mine"}) || !slices.Equal(bob.Redirects, []string{"x@away.example"}) || bob.Action != envelope.Keep || bob.Copies != nil {
		t.Errorf("%+v", bob)
	}
	if d := v.For(envelope.MustAddress("carol@example.test")); d.Action != envelope.Quarantine || d.Mailbox != "INBOX/Nähähe" {
		t.Errorf("%+v", d)
	}
	if d := v.For(envelope.MustAddress("dave@example.test")); d.Action != envelope.Keep || !slices.Equal(d.Tags, []string{"$News"}) || d.Redirects != nil {
		t.Errorf("%+v", d)
	}
}

func TestProposalsAreBounded(t *testing.T) {
	t.Parallel()
	var all []envelope.Effect
	for i := range 100 {
		n := strings.Repeat("a", i+1)
		all = append(all,
			envelope.Effect{Kind: envelope.EffectTag, Argument: n},
			envelope.Effect{Kind: envelope.EffectCopy, Argument: n + "@x.test"},
			envelope.Effect{Kind: envelope.EffectRedirect, Argument: n[:min(60, len(n))] + "@x.test", Recipient: "bob@example.test"},
			envelope.Effect{Kind: envelope.EffectAddHeader, Name: "X-N", Argument: strings.Repeat("ü", 1000) + n})
	}
	v := Decide(Policy{}, nil, []envelope.Run{run("f", all...)}, at)
	size := 0
	for _, f := range v.Headers {
		size += len(f.Value)
	}
	if len(v.Tags) != maxTags || len(v.Copies) != maxSends || len(v.Recipients) != 1 || len(v.Recipients[0].Redirects) != maxSends || len(v.Headers) == 0 || size > maxHeaders || len(v.Ignored) > maxIgnored {
		t.Errorf("%d tags, %d copies, %+v, %d octets of fields, %d left out", len(v.Tags), len(v.Copies), v.Recipients, size, len(v.Ignored))
	}
}

func TestFieldsAreFolded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 40) + strings.Repeat("x", 200) + " end"
	got := string(appendFields([]byte("A: b\r\n"), []envelope.Field{{Name: "X-Long", Value: long}, {Name: "X-Short", Value: "y\r\nFrom: z"}}))
	if !strings.HasPrefix(got, "A: b\r\nX-Long: word word ") || !strings.HasSuffix(got, "\r\nX-Short: yFrom: z\r\n") {
		t.Errorf("%q", got)
	}
	for l := range strings.SplitSeq(got, "\r\n") {
		if len(l) > foldAt && !strings.Contains(l, "xxx") || len(l) > 998 || l != "" && strings.TrimSpace(l) == "" {
			t.Errorf("line %q", l)
		}
	}
	if back := strings.ReplaceAll(got, "\r\n\t", " "); !strings.Contains(back, "X-Long: "+long+"\r\n") {
		t.Errorf("%q", back)
	}
}

// genEffect makes effects of all kinds, also senseless ones.
func genEffect(t *rapid.T) envelope.Effect {
	kinds := []envelope.EffectKind{envelope.EffectScore, envelope.EffectScore, envelope.EffectScore, envelope.EffectReject, envelope.EffectTempfail,
		envelope.EffectQuarantine, envelope.EffectDiscard, envelope.EffectFileInto, envelope.EffectTag, envelope.EffectAddHeader,
		envelope.EffectCopy, envelope.EffectRedirect, envelope.EffectRequireTLS, envelope.EffectExempt, "other"}
	text := rapid.SampledFrom([]string{"", "A", "b@x.test", "X-Y", "two words\r\nX: y", "\xff\u202e", strings.Repeat("ü", 600)})
	return envelope.Effect{
		Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Symbol: text.Draw(t, "symbol"), Detail: text.Draw(t, "detail"),
		Points:   rapid.OneOf(rapid.Float64(), rapid.Float64Range(-10, 10), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)})).Draw(t, "points"),
		Argument: text.Draw(t, "argument"), Name: text.Draw(t, "name"), Malware: rapid.Bool().Draw(t, "malware"),
		Recipient: rapid.SampledFrom([]string{"", "", "", "a@x.test", "b@x.test", "nonsense"}).Draw(t, "recipient"),
	}
}

func genRun(t *rapid.T) envelope.Run {
	r := envelope.Run{
		Filter:  rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "filter"),
		Stage:   rapid.SampledFrom([]string{"on_connect", "on_rcpt", "on_message", "on_message"}).Draw(t, "stage"),
		Effects: rapid.SliceOfN(rapid.Custom(genEffect), 0, 6).Draw(t, "effects"),
	}
	if rapid.IntRange(0, 5).Draw(t, "fails") == 0 {
		r.Failure, r.Failing = "trap", at.Add(-time.Duration(rapid.IntRange(0, 10).Draw(t, "hours"))*time.Hour)
	}
	return r
}

func genPolicy(t *rapid.T) Policy {
	number := rapid.OneOf(rapid.Float64Range(0, 20), rapid.Just(0.0), rapid.Float64())
	return Policy{
		JunkAt: number.Draw(t, "junk"), QuarantineAt: number.Draw(t, "quarantine"), RejectAt: number.Draw(t, "reject"),
		Weights:         map[string]float64{"a": number.Draw(t, "weight"), "b": rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), -1}).Draw(t, "odd weight")},
		MaxPoints:       map[string]float64{"a": number.Draw(t, "most"), "c": rapid.SampledFrom([]float64{0, 3, math.NaN()}).Draw(t, "odd most")},
		OnFailure:       map[string]string{"a": "tempfail", "b": "skip"},
		QuarantineAfter: rapid.SampledFrom([]time.Duration{0, 4 * time.Hour}).Draw(t, "after"),
	}
}

func TestDecideProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, runs := genPolicy(t), rapid.SliceOfN(rapid.Custom(genRun), 0, 6).Draw(t, "runs")
		v := Decide(p, nil, runs, at)
		if math.IsNaN(v.Score) || math.IsInf(v.Score, 0) {
			t.Fatalf("score %v", v.Score)
		}
		var worst float64
		works := 0
		for _, r := range runs {
			for range r.Effects {
				works++
			}
		}
		worst = float64(works) * maxScore * maxWeight
		if math.Abs(v.Score) > worst {
			t.Fatalf("score %v of %d effects", v.Score, works)
		}
		if v.Reason.Name == "" || strings.ContainsAny(v.Reason.Text+v.Reason.Name, "\r\n\u202e") {
			t.Fatalf("%+v", v.Reason)
		}
		raw, err := json.Marshal(v)
		var back envelope.Verdict
		if err != nil || json.Unmarshal(raw, &back) != nil || !reflect.DeepEqual(v, back) {
			t.Fatalf("%s %v", raw, err)
		}
		if again := Decide(p, nil, runs, at); !reflect.DeepEqual(v, again) {
			t.Fatalf("%+v\n%+v", v, again)
		}
		mixed := rapid.Permutation(runs).Draw(t, "mixed")
		m := Decide(p, nil, mixed, at)
		if m.Action != v.Action || m.Score != v.Score || m.Junk != v.Junk || m.Exempt != v.Exempt || m.RequireTLS != v.RequireTLS || len(m.Recipients) != len(v.Recipients) {
			t.Fatalf("in another order:\n%+v\n%+v", v, m)
		}
		for _, rcpt := range []string{"a@x.test", "b@x.test", "c@x.test"} {
			d, o := v.For(envelope.MustAddress(rcpt)), m.For(envelope.MustAddress(rcpt))
			if d.Action != o.Action || v.Action.Stronger(d.Action) || d.Action.Stronger(envelope.Keep) && len(d.Redirects)+len(d.Copies) > 0 {
				t.Fatalf("%+v\n%+v", d, o)
			}
		}
	})
}

// One more stop never makes a verdict weaker, and an exemption never stronger.
func TestDecideIsMonotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, runs := genPolicy(t), rapid.SliceOfN(rapid.Custom(genRun), 0, 6).Draw(t, "runs")
		v := Decide(p, nil, runs, at)
		kind := rapid.SampledFrom([]envelope.EffectKind{envelope.EffectReject, envelope.EffectTempfail, envelope.EffectQuarantine, envelope.EffectDiscard}).Draw(t, "stop")
		if more := Decide(p, nil, append(slices.Clone(runs), run("z", envelope.Effect{Kind: kind, Malware: true})), at); v.Action.Stronger(more.Action) || envelope.Action(kind).Stronger(more.Action) {
			t.Fatalf("%s: %+v became %+v", kind, v, more)
		}
		less := Decide(p, nil, append(slices.Clone(runs), run("z", exempt)), at)
		if less.Action.Stronger(v.Action) || less.Junk && !v.Action.Stronger(envelope.Keep) {
			t.Fatalf("%+v became %+v", v, less)
		}
	})
}
