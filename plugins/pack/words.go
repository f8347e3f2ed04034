package pack

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hauspost/plugins/abi"
)

// Term is one thing that can be granted.
type Term struct {
	// Name is what Less takes: "body", "effect:copy", "stop:reject",
	// "dns:dnsbl.example.org", "service:clamd", "field:X-Hello", "points:5".
	Name string `json:"name"`
	// Words say in a sentence what a plugin with it can do.
	Words string `json:"words"`
}

var effectWords = map[abi.Kind]string{
	abi.Copy:       "It can send copies of mail to other addresses.",
	abi.Redirect:   "It can send mail to other addresses instead of to the person whom it is for.",
	abi.Exempt:     "It can let messages pass that other filters object to, except for malware.",
	abi.FileInto:   "It can choose the mailbox into which a message is put.",
	abi.RequireTLS: "It can have messages that you send go out encrypted, or else come back to you.",
	abi.Tag:        "It can mark messages with tags that mail programs show.",
}

var stopWords = map[abi.Action]string{
	abi.Discard:    "It can throw messages away: nobody gets them, and nobody is told.",
	abi.Reject:     "It can refuse messages for good: the sender is told, and nobody gets them.",
	abi.Quarantine: "It can hold messages back until you release them.",
	abi.Tempfail:   "It can ask senders to come again later: such messages come late, or never.",
}

// Terms lists what is granted, the worst first.
func (g Grants) Terms() []Term {
	var t []Term
	add := func(granted bool, name, words string) {
		if granted {
			t = append(t, Term{Name: name, Words: words})
		}
	}
	effect := func(k abi.Kind) { add(slices.Contains(g.Effects, k), "effect:"+k.String(), effectWords[k]) }
	stop := func(a abi.Action) { add(g.stops(a), "stop:"+a.String(), stopWords[a]) }
	effect(abi.Copy)
	effect(abi.Redirect)
	stop(abi.Discard)
	stop(abi.Reject)
	add(g.Body, "body", "It can read the whole text of mail, and all that is attached to it.")
	for _, s := range g.Services {
		add(true, "service:"+s, "It can hand mail, or parts of it, to the service \""+s+"\" of your settings.")
	}
	for _, z := range g.DNS {
		if z == "*" {
			add(true, "dns:*", "It can ask the DNS for every name, and by that tell strangers about mail.")
		} else {
			add(true, "dns:"+z, "It can ask the DNS for names of "+z+", whose owner sees the questions.")
		}
	}
	stop(abi.Quarantine)
	stop(abi.Tempfail)
	effect(abi.Exempt)
	add(g.Header, "header", "It can read the header of mail: who writes to whom, when, and the subject.")
	effect(abi.FileInto)
	effect(abi.RequireTLS)
	add(slices.Contains(g.Effects, abi.Score), "points:"+points(g.Points),
		"It can count for or against a message, up to "+points(g.Points)+" points at a time; your settings say what becomes of the sum.")
	for _, f := range g.FieldNames {
		if prefix, open := strings.CutSuffix(f, "*"); open {
			add(g.adds(), "field:"+f, "It can write into messages all header fields that begin with "+prefix+".")
		} else {
			add(g.adds(), "field:"+f, "It can write the header field "+f+" into messages.")
		}
	}
	effect(abi.Tag)
	add(g.Keys, "keys", "It can remember things from one message to the next, in a place of its own.")
	return t
}

func (g Grants) stops(a abi.Action) bool {
	return slices.Contains(g.Effects, abi.Stop) && slices.Contains(g.Stops, a)
}

func (g Grants) adds() bool { return slices.Contains(g.Effects, abi.AddHeader) }

func points(p float64) string { return strconv.FormatFloat(p, 'g', -1, 64) }

// Words says in sentences what a plugin with these grants can do, the worst
// first. Nothing granted gives nothing.
func (g Grants) Words() []string {
	var words []string
	for _, t := range g.Terms() {
		words = append(words, t.Words)
	}
	return words
}

// Less gives the grants without some. Each of deny is the name of a Term;
// "dns", "service", "field", "stop", "effect" and "score" stand for all of
// them, and "points:3" is for less points. What is not in the grants is an
// error.
func (g Grants) Less(deny ...string) (Grants, error) {
	out := g.clone()
	for _, name := range deny {
		kind, which, _ := strings.Cut(name, ":")
		if kind == "points" {
			p, err := strconv.ParseFloat(which, 64)
			if err != nil || !(p >= 0 && p <= MaxPoints) {
				return Grants{}, fmt.Errorf("%q: write a number of points from 0 to %d, such as points:3", name, MaxPoints)
			}
			out.Points = min(out.Points, p)
			if p == 0 {
				out.Effects = without(out.Effects, abi.Score)
			}
			continue
		}
		if name == "score" || name == "effect:score" {
			out.Effects, out.Points = without(out.Effects, abi.Score), 0
			continue
		}
		if !out.drop(kind, which) {
			return Grants{}, fmt.Errorf("there is no grant %q to take away: choose among %s", name, strings.Join(g.names(), ", "))
		}
	}
	return out.settled(), nil
}

// drop takes one thing, or all of a kind where which is empty, from the grants.
// It tells whether such a thing was there.
func (g *Grants) drop(kind, which string) bool {
	before := g.clone()
	switch kind {
	case "header":
		g.Header = false
	case "body":
		g.Body = false
	case "keys":
		g.Keys = false
	case "dns":
		g.DNS = cut(g.DNS, which)
	case "service":
		g.Services = cut(g.Services, which)
	case "field":
		g.FieldNames = cut(g.FieldNames, which)
	case "stop":
		g.Stops = slices.DeleteFunc(g.Stops, func(a abi.Action) bool { return which == "" || a.String() == which })
	case "effect":
		g.Effects = slices.DeleteFunc(g.Effects, func(k abi.Kind) bool { return which == "" || k.String() == which })
	}
	return !before.same(*g)
}

// settled takes out what has no meaning without another grant.
func (g Grants) settled() Grants {
	if len(g.Stops) == 0 {
		g.Effects = without(g.Effects, abi.Stop)
	}
	if !slices.Contains(g.Effects, abi.Stop) {
		g.Stops = nil
	}
	if len(g.FieldNames) == 0 {
		g.Effects = without(g.Effects, abi.AddHeader)
	}
	if !g.adds() {
		g.FieldNames = nil
	}
	if !slices.Contains(g.Effects, abi.Score) {
		g.Points = 0
	}
	return g
}

func (g Grants) names() []string {
	var names []string
	for _, t := range g.Terms() {
		names = append(names, t.Name)
	}
	return names
}

func (g Grants) clone() Grants {
	g.DNS, g.Services, g.FieldNames = slices.Clone(g.DNS), slices.Clone(g.Services), slices.Clone(g.FieldNames)
	g.Effects, g.Stops = slices.Clone(g.Effects), slices.Clone(g.Stops)
	return g
}

func (g Grants) same(o Grants) bool {
	return g.Header == o.Header && g.Body == o.Body && g.Keys == o.Keys && g.Points == o.Points &&
		slices.Equal(g.DNS, o.DNS) && slices.Equal(g.Services, o.Services) && slices.Equal(g.FieldNames, o.FieldNames) &&
		slices.Equal(g.Effects, o.Effects) && slices.Equal(g.Stops, o.Stops)
}

func without[T comparable](list []T, x T) []T {
	return slices.DeleteFunc(list, func(y T) bool { return y == x })
}

func cut(list []string, which string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return which == "" || strings.EqualFold(s, which) })
}
