package host

import (
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

// judged gives what is left of effects.
func judged(t *testing.T, raw []byte) *Run {
	t.Helper()
	q := &plugin{Plugin: fakePlugin("a"), figures: newFigures(), memory: 1 << 20}
	k := &call{Call: &Call{Event: doing("", "", "")}}
	r := &Run{Plugin: "a"}
	k.take(&step{plugin: q, run: r}, &result{Result: &link.Result{}, effects: raw})
	return r
}

func TestEffectsAreJudged(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 400)
	cases := []struct {
		name string
		in   abi.Effect
		want *abi.Effect // nil: dropped
		told string
	}{
		{"a score", abi.Effect{Kind: abi.Score, Symbol: "DATE", Points: 2, Detail: "why"}, &abi.Effect{Kind: abi.Score, Symbol: "DATE", Points: 2, Detail: "why"}, ""},
		{"too much", abi.Effect{Kind: abi.Score, Symbol: "S", Points: -900}, &abi.Effect{Kind: abi.Score, Symbol: "S", Points: -10}, "were made -10"},
		{"no number", abi.Effect{Kind: abi.Score, Symbol: "S", Points: math.NaN()}, nil, "no number"},
		{"endless", abi.Effect{Kind: abi.Score, Symbol: "S", Points: math.Inf(-1)}, nil, "no number"},
		{"an odd symbol", abi.Effect{Kind: abi.Score, Symbol: "a\nb-ü!" + strings.Repeat("x", 100)},
			&abi.Effect{Kind: abi.Score, Symbol: "A_B___" + strings.Repeat("X", 57)}, ""},
		{"control characters", abi.Effect{Kind: abi.Score, Detail: "a\r\nb\x1b[2J\x00\u202e\u0085c\xff"}, &abi.Effect{Kind: abi.Score, Detail: "a  b[2Jc\uFFFD"}, ""},
		{"a long text", abi.Effect{Kind: abi.Score, Detail: "x" + long}, &abi.Effect{Kind: abi.Score, Detail: "x" + long[:498]}, ""},
		{"a stop", abi.Effect{Kind: abi.Stop, Stop: abi.Reject, Malware: true, Points: 3}, &abi.Effect{Kind: abi.Stop, Stop: abi.Reject, Malware: true}, ""},
		{"a stop that is not granted", abi.Effect{Kind: abi.Stop, Stop: abi.Discard}, nil, "not granted"},
		{"no stop", abi.Effect{Kind: abi.Stop, Stop: 9}, nil, "no such stop"},
		{"a header field", abi.Effect{Kind: abi.AddHeader, Name: "X-Fake-A", Argument: "b\r\nBcc: x@example.org"},
			&abi.Effect{Kind: abi.AddHeader, Name: "X-Fake-A", Argument: "b  Bcc: x@example.org"}, ""},
		{"another's field", abi.Effect{Kind: abi.AddHeader, Name: "X-Other", Argument: "b"}, nil, "not granted"},
		{"two lines as a name", abi.Effect{Kind: abi.AddHeader, Name: "X-Fake-A: x\r\nBcc", Argument: "b"}, nil, "no name of a header field"},
		{"a tag", abi.Effect{Kind: abi.Tag, Argument: "$Junk"}, &abi.Effect{Kind: abi.Tag, Argument: "$Junk"}, ""},
		{"a system flag", abi.Effect{Kind: abi.Tag, Argument: `\Deleted`}, nil, "keyword"},
		{"two tags", abi.Effect{Kind: abi.Tag, Argument: "a b"}, nil, "keyword"},
		{"no mailbox", abi.Effect{Kind: abi.FileInto, Argument: " "}, nil, "no mailbox"},
		{"a copy", abi.Effect{Kind: abi.Copy, Argument: "c@example.org", Recipient: "ann@EXAMPLE.org"},
			&abi.Effect{Kind: abi.Copy, Argument: "c@example.org", Recipient: "Ann@example.org"}, ""},
		{"no address", abi.Effect{Kind: abi.Redirect, Argument: "c@"}, nil, "address"},
		{"two addresses", abi.Effect{Kind: abi.Redirect, Argument: "c@example.org,d@example.org"}, nil, "address"},
		{"a stranger", abi.Effect{Kind: abi.FileInto, Argument: "Lists", Recipient: "eve@example.org"}, nil, "no recipient"},
		{"an unknown kind", abi.Effect{Kind: 77}, nil, "kind"},
		{"no kind", abi.Effect{Symbol: "S"}, nil, "kind"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := judged(t, (&abi.Effects{List: []abi.Effect{tc.in}}).Append(nil))
			var want []abi.Effect
			if tc.want != nil {
				want = []abi.Effect{*tc.want}
			}
			if !reflect.DeepEqual(r.Effects, want) {
				t.Errorf("got %+v, want %+v", r.Effects, want)
			}
			if told := strings.Join(r.Dropped, "\n"); !strings.Contains(told, tc.told) || (tc.told == "") != (told == "") {
				t.Errorf("told: %q", told)
			}
		})
	}
}

func TestManyEffects(t *testing.T) {
	t.Parallel()
	var all abi.Effects
	for range 10000 {
		all.List = append(all.List, abi.Effect{Kind: abi.Score, Symbol: "S", Points: 1000})
	}
	r := judged(t, all.Append(nil))
	if len(r.Effects) != abi.MaxEffects || len(r.Dropped) != maxDropped+1 || !strings.Contains(r.Dropped[0], "9900 effects") {
		t.Errorf("%d effects, %q", len(r.Effects), r.Dropped)
	}
	if r := judged(t, make([]byte, maxRawEffects+1)); len(r.Effects) != 0 || len(r.Dropped) != 1 {
		t.Errorf("%+v", r)
	}
	if r := judged(t, []byte("garbage")); len(r.Effects) != 0 || len(r.Dropped) != 1 {
		t.Errorf("%+v", r)
	}
}

// FuzzEffects: whatever comes, what is taken is clean and granted.
func FuzzEffects(f *testing.F) {
	f.Add((&abi.Effects{List: []abi.Effect{{Kind: abi.AddHeader, Name: "X-Fake-A", Argument: "b", Recipient: "ben@example.org"},
		{Kind: abi.Score, Symbol: "S", Points: math.Inf(1), Detail: "\n"}}}).Append(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := judged(t, raw)
		g := fakePlugin("a").Grants
		for _, e := range r.Effects {
			if err := g.Allows(e); err != nil {
				t.Error(err)
			}
			for _, s := range []string{e.Symbol, e.Detail, e.Argument, e.Name, e.Recipient} {
				if len(s) > abi.MaxText || !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00\x1b") {
					t.Errorf("%q was taken", s)
				}
			}
		}
		if len(r.Effects) > abi.MaxEffects || len(r.Dropped) > maxDropped+1 {
			t.Error("too much was taken")
		}
	})
}

func TestResultsAreClean(t *testing.T) {
	t.Parallel()
	h := newHost(t, Options{}, fakePlugin("a"))
	runs := h.Call(bgCtx, Call{Event: doing("a", "log", "")})
	l := runs[0].Log
	if len(l) != 3 || len(l[0]) != 700 || l[1] != "a bc\uFFFD" || len(l[2]) != 1000 {
		t.Errorf("%q", l)
	}
	expect(t, h.Call(bgCtx, Call{Event: doing("a", "odd", "")}), "a:worker")
	runs = h.Call(bgCtx, Call{Event: doing("a", "trap", "")})
	expect(t, runs, "a:trap")
	if f := runs[0].Failure; f.Text != "unreachable line" || f.Since.IsZero() || len(runs[0].Effects) > 0 {
		t.Errorf("%+v", f)
	}
	if runs = h.Call(bgCtx, Call{Event: doing("a", "pieces", "")}); len(runs[0].Effects) != 1 || runs[0].Effects[0].Symbol != "FAKE" {
		t.Errorf("%+v", runs)
	}
	var all abi.Effects
	for range 120 {
		all.List = append(all.List, abi.Effect{Kind: abi.Score, Points: 1})
	}
	runs = h.Call(bgCtx, Call{Event: func() abi.Event {
		e := doing("a", "effects", hex.EncodeToString(all.Append(nil)))
		e.Recipients = make([]string, 3000)
		for i := range e.Recipients {
			e.Recipients[i] = "somebody.with.a.long.name@example.org"
		}
		return e
	}()})
	if len(runs[0].Effects) != abi.MaxEffects || len(runs[0].Dropped) != 2 || !strings.Contains(runs[0].Dropped[1], "cut short") {
		t.Errorf("%+v", runs[0])
	}
	if s := h.Status().Plugins[0]; s.Effects != abi.MaxEffects+2 || s.Dropped != 2 || s.Calls != 5 {
		t.Errorf("%+v", s)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	keys := &fakeKeys{}
	poor := fakePlugin("poor")
	poor.Grants.Keys = false
	h := newHost(t, Options{Keys: keys}, fakePlugin("a"), poor)
	call := func(stage abi.Stage, plugin string, c ...abi.Change) *Run {
		e := doing(plugin, "change", hex.EncodeToString((&abi.KeysChange{Changes: c}).Append(nil)))
		e.Stage = stage
		runs := h.Call(bgCtx, Call{Event: e, Only: []string{plugin}})
		return &runs[0]
	}
	set := abi.Change{Op: abi.OpSet, Key: []byte("k"), Bytes: []byte("v")}
	for _, s := range []abi.Stage{abi.OnMessage, abi.OnSubmit} {
		if r := call(s, "a", set); len(r.Changes) != 1 || len(keys.applied) != 0 {
			t.Errorf("%s: %+v, %s", s, r, keys.applied)
		}
	}
	if r := call(abi.OnFeedback, "a", set); len(r.Changes) != 0 || strings.Join(keys.applied, " ") != "a/k=v" {
		t.Errorf("%+v, %s", r, keys.applied)
	}
	for name, c := range map[string]abi.Change{
		"operation": {Op: 9, Key: []byte("k")},
		"no key":    {Op: abi.OpSet},
		"key":       {Op: abi.OpSet, Key: make([]byte, abi.MaxKey+1)},
		"value":     {Op: abi.OpSet, Key: []byte("k"), Bytes: make([]byte, abi.MaxValue+1)},
		"time":      {Op: abi.OpSet, Key: []byte("k"), TTL: -1},
	} {
		if r := call(abi.OnConnect, "a", set, c); len(r.Dropped) != 1 || len(keys.applied) != 1 {
			t.Errorf("%s: %+v, %s", name, r, keys.applied)
		}
	}
	if r := call(abi.OnTimer, "poor", set); len(r.Dropped) != 1 || len(keys.applied) != 1 {
		t.Errorf("without a grant: %+v, %s", r, keys.applied)
	}
}
