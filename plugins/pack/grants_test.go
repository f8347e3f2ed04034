package pack

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hauspost/plugins/abi"
)

func TestAllows(t *testing.T) {
	t.Parallel()
	g := Grants{Effects: []abi.Kind{abi.Score, abi.Stop, abi.AddHeader, abi.Tag}, Stops: []abi.Action{abi.Quarantine},
		FieldNames: []string{"X-Hello", "X-Spam-*"}, Points: 5}
	for name, c := range map[string]struct {
		effect abi.Effect
		why    string // empty where it is allowed
	}{
		"score":              {abi.Effect{Kind: abi.Score, Points: -5}, ""},
		"score too high":     {abi.Effect{Kind: abi.Score, Points: 5.01}, "up to 5"},
		"score too low":      {abi.Effect{Kind: abi.Score, Points: -6}, "up to 5"},
		"score of nothing":   {abi.Effect{Kind: abi.Score, Points: math.NaN()}, "up to 5"},
		"endless score":      {abi.Effect{Kind: abi.Score, Points: math.Inf(1)}, "up to 5"},
		"stop":               {abi.Effect{Kind: abi.Stop, Stop: abi.Quarantine}, ""},
		"stronger stop":      {abi.Effect{Kind: abi.Stop, Stop: abi.Reject}, "the stop reject is not granted"},
		"stop of no kind":    {abi.Effect{Kind: abi.Stop}, "not granted"},
		"tag":                {abi.Effect{Kind: abi.Tag, Argument: "x"}, ""},
		"copy":               {abi.Effect{Kind: abi.Copy, Argument: "a@b.example"}, "the effect copy is not granted"},
		"unknown":            {abi.Effect{Kind: 99}, "not granted"},
		"field":              {abi.Effect{Kind: abi.AddHeader, Name: "x-hello"}, ""},
		"field by pattern":   {abi.Effect{Kind: abi.AddHeader, Name: "X-SPAM-Level"}, ""},
		"another field":      {abi.Effect{Kind: abi.AddHeader, Name: "X-Hello-2"}, "not granted"},
		"a pattern":          {abi.Effect{Kind: abi.AddHeader, Name: "X-Spam-*"}, "no name"},
		"the message's own":  {abi.Effect{Kind: abi.AddHeader, Name: "From"}, "belongs to the message"},
		"ARC":                {abi.Effect{Kind: abi.AddHeader, Name: "ARC-Seal"}, "belongs to the message"},
		"two fields in one":  {abi.Effect{Kind: abi.AddHeader, Name: "X-Hello: x\r\nFrom"}, "no name"},
		"no field":           {abi.Effect{Kind: abi.AddHeader}, "no name"},
		"not the whole name": {abi.Effect{Kind: abi.AddHeader, Name: "X-Spam"}, "not granted"},
	} {
		err := g.Allows(c.effect)
		var no NotGranted
		if c.why == "" && err != nil || c.why != "" && (!errors.As(err, &no) || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%s: %v, want %q", name, err, c.why)
		}
	}
	if (Grants{FieldNames: []string{"*"}, Effects: []abi.Kind{abi.AddHeader}}).Allows(abi.Effect{Kind: abi.AddHeader, Name: "Received"}) == nil {
		t.Error("a field of the message itself came through a pattern")
	}
	for in, want := range map[float64]float64{3: 3, 7: 5, -7: -5, math.Inf(-1): -5} {
		if got := g.Clamp(in); got != want {
			t.Errorf("%g becomes %g, want %g", in, got, want)
		}
	}
	if got := g.Clamp(math.NaN()); got != 0 {
		t.Errorf("no number becomes %g", got)
	}
}

func TestAllowsDNS(t *testing.T) {
	t.Parallel()
	g := Grants{DNS: []string{"dnsbl.example.org", "_domainkey.example.net"}}
	for name, want := range map[string]bool{
		"dnsbl.example.org": true, "2.0.0.127.dnsbl.example.org": true, "2.0.0.127.DNSBL.example.org.": true, "a._domainkey.example.net": true,
		"example.org": false, "evildnsbl.example.org": false, "dnsbl.example.org.evil.example": false, "": false, ".": false, "*": false,
	} {
		if got := g.AllowsDNS(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	if (Grants{}).AllowsDNS("example.org") || !(Grants{DNS: []string{"*"}}).AllowsDNS("example.org") {
		t.Error("nothing allows a name, or everything does not")
	}
	if !(Grants{Services: []string{"clamd"}}).AllowsService("clamd") || (Grants{Services: []string{"clamd"}}).AllowsService("clam") {
		t.Error("services are mixed up")
	}
}

// all is every grant that there is.
func all() Grants {
	return Grants{Header: true, Body: true, Keys: true, DNS: []string{"dnsbl.example.org", "*"}, Services: []string{"clamd"},
		Effects: kinds(), Stops: actions(), FieldNames: []string{"X-Hello", "X-Spam-*"}, Points: 7.5}
}

func TestWords(t *testing.T) {
	t.Parallel()
	words := all().Words()
	// 9 effects, of which stop, score and addheader have words of their own: 4
	// stops, the points, 2 fields; 3 truths, 2 zones, 1 service.
	if len(words) != 6+4+1+2+3+2+1 {
		t.Errorf("%d sentences: %q", len(words), words)
	}
	for i, w := range words {
		if !strings.HasPrefix(w, "It can ") || !strings.HasSuffix(w, ".") || slices.Contains(words[:i], w) {
			t.Errorf("no sentence, or twice: %q", w)
		}
	}
	place := func(part string) int {
		return slices.IndexFunc(words, func(w string) bool { return strings.Contains(w, part) })
	}
	order := []int{place("send copies of mail"), place("throw messages away"), place("refuse messages for good"), place("read the whole text of mail"), place("hold messages back"),
		place("read the header"), place("up to 7.5 points"), place("mark messages"), place("remember")}
	if order[0] != 0 || !slices.IsSorted(order) {
		t.Errorf("the order is %v of %q", order, words)
	}
	if len(Grants{}.Words()) != 0 {
		t.Error("nothing has words")
	}
	// What has no meaning alone says nothing.
	if w := (Grants{Stops: actions(), FieldNames: []string{"X-A"}, Points: 3}).Words(); len(w) != 0 {
		t.Errorf("%q", w)
	}
}

// TestEveryTermCanBeDenied takes each away alone, and then all of them.
func TestEveryTermCanBeDenied(t *testing.T) {
	t.Parallel()
	g := all()
	rest := g
	for _, term := range g.Terms() {
		deny := term.Name
		if strings.HasPrefix(deny, "points:") {
			deny = "score"
		}
		less, err := g.Less(deny)
		if err != nil {
			t.Fatal(err)
		}
		if len(less.Terms()) != len(g.Terms())-1 || slices.ContainsFunc(less.Terms(), func(x Term) bool { return x.Name == term.Name }) {
			t.Errorf("without %s there are %q", deny, less.names())
		}
		if rest, err = rest.Less(deny); err != nil {
			t.Fatal(err)
		}
	}
	if !rest.IsZero() {
		t.Errorf("left is %+v", rest)
	}
	if !reflect.DeepEqual(g, all()) {
		t.Errorf("taking away changed what it was taken from: %+v", g)
	}
}

func TestLess(t *testing.T) {
	t.Parallel()
	for deny, left := range map[string]func(*Grants){
		"dns":        func(g *Grants) { g.DNS = nil },
		"stop":       func(g *Grants) { g.Stops, g.Effects = nil, without(g.Effects, abi.Stop) },
		"field":      func(g *Grants) { g.FieldNames, g.Effects = nil, without(g.Effects, abi.AddHeader) },
		"effect":     func(g *Grants) { g.Stops, g.Effects, g.FieldNames, g.Points = nil, nil, nil, 0 },
		"points:2.5": func(g *Grants) { g.Points = 2.5 },
		"points:20":  func(*Grants) {},
		"points:0":   func(g *Grants) { g.Effects, g.Points = without(g.Effects, abi.Score), 0 },
	} {
		want := all()
		left(&want)
		if got, err := all().Less(deny); err != nil || !got.same(want) {
			t.Errorf("without %s: %+v, %v", deny, got, err)
		}
	}
	for _, deny := range []string{"", "bodies", "dns:example.com", "effect:explode", "points:x", "points:-1", "points:NaN", "copy"} {
		if got, err := all().Less(deny); err == nil {
			t.Errorf("%q was taken away: %+v", deny, got)
		}
	}
}

func TestBeyondWithinWith(t *testing.T) {
	t.Parallel()
	need := Grants{Header: true, Body: true, DNS: []string{"a.example.org", "b.example.net"}, Services: []string{"clamd", "x"},
		Effects: []abi.Kind{abi.Score, abi.Copy}, FieldNames: []string{"X-A-*", "X-B"}, Points: 5}
	granted := Grants{Header: true, Keys: true, DNS: []string{"example.org", "c.b.example.net"}, Services: []string{"x"},
		Effects: []abi.Kind{abi.Copy, abi.Tag}, FieldNames: []string{"X-A-One", "X-*"}, Points: 3}
	for name, c := range map[string]struct{ got, want Grants }{
		"beyond": {need.Beyond(granted), Grants{Body: true, DNS: []string{"b.example.net"}, Services: []string{"clamd"}, Effects: []abi.Kind{abi.Score}, Points: 5}},
		"within": {granted.Within(need), Grants{Header: true, DNS: []string{"c.b.example.net", "a.example.org"}, Services: []string{"x"}, Effects: []abi.Kind{abi.Copy},
			FieldNames: []string{"X-A-One", "X-A-*", "X-B"}, Points: 3}},
		"with": {granted.With(Grants{Body: true, DNS: []string{"a.example.org", "*"}, Effects: []abi.Kind{abi.Tag, abi.Score}, Points: 4}),
			Grants{Header: true, Body: true, Keys: true, DNS: []string{"example.org", "c.b.example.net", "*"}, Services: []string{"x"},
				Effects: []abi.Kind{abi.Copy, abi.Tag, abi.Score}, FieldNames: []string{"X-A-One", "X-*"}, Points: 4}},
		"all beyond nothing":  {all().Beyond(Grants{}), all()},
		"nothing beyond all":  {all().Beyond(all()), Grants{}},
		"everything asked of": {Grants{DNS: []string{"*"}}.Beyond(Grants{DNS: []string{"example.org"}}), Grants{DNS: []string{"*"}}},
	} {
		if !c.got.same(c.want) {
			t.Errorf("%s: %+v, want %+v", name, c.got, c.want)
		}
	}
	if !(Grants{}).IsZero() || all().IsZero() {
		t.Error("IsZero is wrong")
	}
	// Each part makes grants more than nothing.
	v := reflect.ValueOf(all())
	for i := range v.NumField() {
		var g Grants
		reflect.ValueOf(&g).Elem().Field(i).Set(v.Field(i))
		if g.IsZero() || g.Beyond(Grants{}).IsZero() || g.same(Grants{}) || (Grants{}).With(g).IsZero() || g.Within(all()).IsZero() {
			t.Errorf("%s is forgotten somewhere", v.Type().Field(i).Name)
		}
	}
}

func TestGrantsAsJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(all())
	if err != nil || !strings.Contains(string(text), `"effects":["score","stop"`) {
		t.Fatalf("%s, %v", text, err)
	}
	var back Grants
	if err := json.Unmarshal(text, &back); err != nil || !back.same(all()) {
		t.Errorf("%+v, %v", back, err)
	}
	if text, err = json.Marshal(Grants{}); err != nil || string(text) != "{}" {
		t.Errorf("%s, %v", text, err)
	}
	for _, bad := range []string{`{"effects":["explode"]}`, `{"stops":["kill"]}`, `{"dns":["a b"]}`, `{"services":["A"]}`, `{"fields":["From"]}`, `{"points":-1}`, `{"points":101}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}
