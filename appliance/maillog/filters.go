package maillog

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"hauspost/appliance/envelope"
)

// Scanned: filters had nothing to do with the message.
type Scanned struct {
	// Filters is how many there are.
	Filters int `json:"filters"`
}

// Step implements Event.
func (Scanned) Step() string { return "scanned" }

// Say implements Event.
func (e Scanned) Say() string {
	if e.Filters == 0 {
		return "no filters are installed"
	}
	return fmt.Sprintf("none of %d filters looked at the message", e.Filters)
}

// Filtered: one filter did its part.
type Filtered struct {
	Run envelope.Run `json:"run"`
}

// Step implements Event.
func (Filtered) Step() string { return "filtered" }

// The most that Say repeats of a run.
const (
	saidEffects = 8
	saidDropped = 3
	saidText    = 120
)

// brief leaves out what is for the trace alone: what the filter was told from
// outside, and its own words, which may be text of the mail.
func (e Filtered) brief() Event {
	r := &e.Run
	r.Record, r.Effects = nil, slices.Clone(r.Effects)
	for i := range r.Effects {
		f := &r.Effects[i]
		f.Detail = ""
		if f.Kind == envelope.EffectAddHeader {
			f.Argument = ""
		}
	}
	if n := len(r.Dropped); n > 0 {
		r.Dropped = []string{counted(n, "proposal")}
	}
	if n := len(r.Log); n > 0 {
		r.Log = make([]string, n) // only their number is said
	}
	return e
}

// Say implements Event. What the filter was told from outside is not said.
func (e Filtered) Say() string {
	r := &e.Run
	var b strings.Builder
	b.WriteString("filter " + r.Filter)
	if r.Version != "" {
		b.WriteString(" " + r.Version)
	}
	if stage := stages[r.Stage]; stage != "" {
		b.WriteString(" " + stage)
	}
	fmt.Fprintf(&b, " (%s ms): ", strconv.FormatFloat(math.Round(r.Milliseconds*10)/10, 'f', -1, 64))
	switch {
	case r.Failure != "":
		fmt.Fprintf(&b, "failed, %s", short(cmp.Or(r.Problem, r.Failure)))
		if !r.Failing.IsZero() {
			fmt.Fprintf(&b, ", as it does since %s", r.Failing.UTC().Format("2006-01-02 15:04 MST"))
		}
	case len(r.Effects) == 0:
		b.WriteString("nothing to say")
	default:
		b.WriteString(effects(r.Effects))
	}
	if n := len(r.Dropped); n > 0 {
		fmt.Fprintf(&b, "; not taken: %s", list(r.Dropped, saidDropped, short))
	}
	if n := len(r.Log); n > 0 {
		b.WriteString("; wrote " + counted(n, "line"))
	}
	return b.String()
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// stages are those that need to be said: the message itself is the rule.
var stages = map[string]string{
	"on_connect": "at the beginning", "on_mail": "at MAIL", "on_rcpt": "at RCPT", "on_submit": "at submission",
	"on_delivery": "after delivery", "on_feedback": "about feedback", "on_timer": "at its time",
}

// effects says the ones that matter most: stops, then large scores.
func effects(all []envelope.Effect) string {
	sorted := slices.Clone(all)
	weight := func(e envelope.Effect) float64 {
		if e.Kind == envelope.EffectScore {
			return math.Abs(e.Points)
		}
		return math.Inf(1)
	}
	slices.SortStableFunc(sorted, func(a, b envelope.Effect) int { return cmp.Compare(weight(b), weight(a)) })
	return list(sorted, saidEffects, effect)
}

func effect(e envelope.Effect) string {
	var s string
	arg := short(e.Argument)
	switch e.Kind {
	case envelope.EffectScore:
		s = fmt.Sprintf("%s points", strconv.FormatFloat(e.Points, 'f', -1, 64))
		if e.Points > 0 {
			s = "+" + s
		}
	case envelope.EffectTag:
		s = "tag " + arg
	case envelope.EffectFileInto:
		s = "file into " + arg
	case envelope.EffectCopy:
		s = "copy to " + arg
	case envelope.EffectRedirect:
		s = "redirect to " + arg
	case envelope.EffectAddHeader:
		s = "add " + short(e.Name)
		if arg != "" {
			s += ": " + arg
		}
	case envelope.EffectRequireTLS:
		s = "send it encrypted or not at all"
	default:
		s = string(e.Kind)
	}
	if e.Malware {
		s += " for malware"
	}
	if e.Recipient != "" {
		s += " for " + short(e.Recipient)
	}
	if e.Symbol != "" {
		s += " " + short(e.Symbol)
	}
	if e.Detail != "" {
		s += " (" + short(e.Detail) + ")"
	}
	return s
}

// list says the first most of all, and how many more there are.
func list[T any](all []T, most int, say func(T) string) string {
	var words []string
	for _, x := range all[:min(len(all), most)] {
		words = append(words, say(x))
	}
	if more := len(all) - most; more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	return strings.Join(words, ", ")
}

// short cuts what a filter wrote, and keeps it on its line.
func short(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > saidText {
		s = string(r[:saidText]) + "…"
	}
	return s
}

// Decided: the verdict and its reason.
type Decided struct {
	Verdict envelope.Verdict `json:"verdict"`
}

// Step implements Event.
func (Decided) Step() string { return "decided" }

// brief leaves out what filters wrote.
func (e Decided) brief() Event {
	v := &e.Verdict
	if v.Reason.Name != "no-objection" || v.Score != 0 {
		v.Reason.Text = ""
	}
	v.Headers, v.Recipients = slices.Clone(v.Headers), slices.Clone(v.Recipients)
	for i := range v.Headers {
		v.Headers[i].Value = ""
	}
	for i := range v.Recipients {
		v.Recipients[i].Reason.Text = ""
	}
	if n := len(v.Ignored); n > 0 {
		v.Ignored = []string{counted(n, "proposal")}
	}
	return e
}

// Say implements Event. Of a message that is stopped it says what becomes of it
// and not what would have.
func (e Decided) Say() string {
	v := &e.Verdict
	s := fmt.Sprintf("%s: %s", v.Action, cmp.Or(v.Reason.Text, v.Reason.Name))
	if v.Action == envelope.Keep || v.Action == envelope.Quarantine {
		s += kept(v)
	}
	if len(v.Ignored) > 0 {
		s += "; left out: " + list(v.Ignored, saidDropped, short)
	}
	return s
}

// kept says where a message goes and what it is given.
func kept(v *envelope.Verdict) string {
	s := place(v.Action, v.Junk, v.Mailbox, v.Tags, v.Copies, v.Redirects)
	if len(v.Headers) > 0 {
		s += "; adds " + list(v.Headers, saidEffects, func(f envelope.Field) string { return f.Name })
	}
	if v.RequireTLS {
		s += "; encrypted or not at all"
	}
	for _, d := range v.Recipients[:min(len(v.Recipients), saidEffects)] {
		var own string
		if d.Action != "" {
			own = " " + string(d.Action) + ": " + cmp.Or(d.Reason.Text, d.Reason.Name)
		}
		own += place(cmp.Or(d.Action, v.Action), d.Junk, d.Mailbox, d.Tags, d.Copies, d.Redirects)
		if own != "" {
			s += "; for " + d.Recipient + " alone" + own
		}
	}
	return s
}

// place says where a message with an action goes: what is kept away goes to
// nobody else, and what is discarded nowhere.
func place(a envelope.Action, junk bool, mailbox string, tags, copies, redirects []string) string {
	switch a {
	case envelope.Discard:
		return ""
	case envelope.Quarantine:
		return where(false, "", tags, nil, nil)
	}
	return where(junk, mailbox, tags, copies, redirects)
}

func where(junk bool, mailbox string, tags, copies, redirects []string) string {
	var s string
	switch {
	case junk:
		s = "; into the junk mailbox"
	case mailbox != "":
		s = "; into " + mailbox
	}
	for _, part := range []struct {
		what string
		of   []string
	}{{"tagged", tags}, {"a copy to", copies}, {"redirected to", redirects}} {
		if len(part.of) > 0 {
			s += "; " + part.what + " " + strings.Join(part.of, ", ")
		}
	}
	return s
}

// Waived: what the verdict says could not be done, and was left.
type Waived struct {
	Kind envelope.EffectKind `json:"kind"`
	// Argument is the address, tag or field; Recipient whose mail it is about,
	// empty for all of it.
	Argument  string `json:"argument,omitempty"`
	Recipient string `json:"recipient,omitempty"`
	// Why is in words.
	Why string `json:"why"`
}

// Step implements Event.
func (Waived) Step() string { return "waived" }

// Say implements Event.
func (e Waived) Say() string {
	what := effect(envelope.Effect{Kind: e.Kind, Argument: e.Argument, Recipient: e.Recipient})
	if e.Kind == envelope.EffectAddHeader {
		what = "add " + e.Argument
	}
	return "not done: " + what + ": " + e.Why
}
