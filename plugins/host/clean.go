package host

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

const (
	// maxRawEffects is how much of encoded effects is looked at: what abi.MaxEffects
	// of full size take fits into it.
	maxRawEffects = 384 << 10
	// maxDropped is how many things left out are told one by one.
	maxDropped = 20
	maxSymbol  = 64
	maxLines   = 200
)

// drop tells that something was left out or changed.
func (r *Run) drop(text string) {
	r.dropped++
	switch {
	case len(r.Dropped) < maxDropped:
		r.Dropped = append(r.Dropped, clean(text, abi.MaxText))
	case len(r.Dropped) == maxDropped:
		r.Dropped = append(r.Dropped, "and more")
	}
}

// take makes a run of a result.
func (k *call) take(s *step, raw *result) {
	r := s.run
	s.asked = true
	r.Took, r.Record = raw.took, raw.record
	r.Memory = min(max(raw.Memory, 0), s.plugin.memory)
	left := abi.MaxLog
	for _, line := range raw.Log {
		if left <= 0 || len(r.Log) == maxLines {
			r.drop("it wrote more into the log than is kept")
			break
		}
		line = clean(line, min(left, 2*abi.MaxText))
		left -= len(line) + 1
		r.Log = append(r.Log, line)
	}
	if raw.Failure != "" {
		r.Failure = k.failure(raw)
		return
	}
	k.effects(s, raw.effects)
	k.changes(s, raw.changes)
}

// failure takes the worker's word for a failure, where it is one of those that
// it can know of.
func (k *call) failure(raw *result) *Failure {
	f := &Failure{Kind: raw.Failure, Text: clean(raw.Text, abi.MaxText)}
	switch raw.Failure {
	case link.FailTrap, link.FailExit, link.FailMemory, link.FailLoad:
	case link.FailWorker:
		// Such as a message that it had no room for: who sends some of that kind
		// must not bring the plugin to no longer being asked.
		f.innocent = true
	default:
		f.Kind = FailWorker
	}
	if f.Text == "" {
		f.Text = "it failed and did not say why"
	}
	return f
}

// effects takes those that are granted and make sense.
func (k *call) effects(s *step, raw []byte) {
	if len(raw) == 0 {
		return
	}
	r := s.run
	if len(raw) > maxRawEffects {
		r.drop(fmt.Sprintf("all its effects: they are larger than %d KB", maxRawEffects>>10))
		return
	}
	var all abi.Effects
	if all.Decode(raw) != nil {
		r.drop("all its effects: they cannot be read")
		return
	}
	if n := len(all.List) - abi.MaxEffects; n > 0 {
		r.drop(fmt.Sprintf("%d effects: more than %d for one event are not taken", n, abi.MaxEffects))
		all.List = all.List[:abi.MaxEffects]
	}
	for _, e := range all.List {
		if problem := k.judge(s, &e); problem != "" {
			r.drop(problem)
			continue
		}
		r.Effects = append(r.Effects, e)
		k.findings = append(slices.Clip(k.findings), abi.Finding{By: r.Plugin, Kind: e.Kind, Symbol: e.Symbol, Points: e.Points})
	}
}

// judge makes an effect clean, and says why it is not taken.
func (k *call) judge(s *step, e *abi.Effect) string {
	g := &s.plugin.Grants
	e.Symbol = symbol(e.Symbol)
	for _, text := range []*string{&e.Detail, &e.Argument, &e.Name, &e.Recipient} {
		*text = clean(*text, abi.MaxText)
	}
	what := e.Kind.String() + " " + e.Symbol
	if e.Kind < abi.Score || e.Kind > abi.Exempt {
		return "an effect of a kind that there is not"
	}
	if e.Kind == abi.Score {
		if math.IsNaN(e.Points) || math.IsInf(e.Points, 0) {
			return what + ": its points are no number"
		}
		if most := g.Clamp(e.Points); most != e.Points {
			s.run.drop(fmt.Sprintf("%s: %g points were made %g, which is what is granted", what, e.Points, most))
			e.Points = most
		}
	} else {
		e.Points = 0
	}
	if e.Kind != abi.Stop {
		e.Stop, e.Malware = 0, false
	} else if e.Stop < abi.Discard || e.Stop > abi.Reject {
		return what + ": there is no such stop"
	}
	if err := g.Allows(*e); err != nil {
		return what + ": " + err.Error()
	}
	if problem := argument(e); problem != "" {
		return what + ": " + problem
	}
	if e.Recipient != "" {
		i := slices.IndexFunc(k.Event.Recipients, func(a string) bool { return strings.EqualFold(a, e.Recipient) })
		if i < 0 {
			return what + ": the event has no recipient " + e.Recipient
		}
		e.Recipient = k.Event.Recipients[i]
	}
	return ""
}

// argument says what is wrong with the argument of an effect.
func argument(e *abi.Effect) string {
	switch e.Kind {
	case abi.Tag:
		// flag-keyword of RFC 9051, section 9.
		bad := func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`(){%*"\]`, c) }
		if e.Argument == "" || strings.ContainsFunc(e.Argument, bad) {
			return "its keyword is none"
		}
	case abi.FileInto:
		if strings.TrimSpace(e.Argument) == "" {
			return "it names no mailbox"
		}
	case abi.Copy, abi.Redirect:
		at := strings.LastIndexByte(e.Argument, '@')
		if at < 1 || at == len(e.Argument)-1 || strings.ContainsAny(e.Argument, " <>,;") {
			return "its address is none"
		}
	}
	return ""
}

// symbol makes the name of a finding one for programs.
func symbol(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z':
			return c - 'a' + 'A'
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_':
			return c
		}
		return '_'
	}, s[:min(len(s), maxSymbol)])
	return s
}

// changes takes the changes of keys, all or none: half of them could be worse
// than nothing.
func (k *call) changes(s *step, raw []byte) {
	if len(raw) == 0 {
		return
	}
	r := s.run
	var all abi.KeysChange
	switch {
	case !s.plugin.Grants.Keys:
		r.drop("its values: keeping them is not granted")
		return
	case all.Decode(raw) != nil:
		r.drop("its values: they cannot be read")
		return
	case len(all.Changes) > abi.MaxChanges:
		r.drop(fmt.Sprintf("its values: more than %d changes for one event", abi.MaxChanges))
		return
	}
	const ever = int64(100 * 365 * 24 * time.Hour / time.Second)
	for i := range all.Changes {
		c := &all.Changes[i]
		if c.Op < abi.OpSet || c.Op > abi.OpDelete || len(c.Key) == 0 || len(c.Key) > abi.MaxKey || len(c.Bytes) > abi.MaxValue || c.TTL < 0 {
			r.drop("its values: one of the changes is malformed")
			return
		}
		if c.TTL > ever {
			c.TTL = 0
		}
	}
	r.Changes = all.Changes
}

// clean makes a text one line of valid UTF-8 without control characters and
// without those that turn the direction of writing, of at most so many octets.
func clean(s string, most int) string {
	if len(s) > 4*most {
		s = s[:4*most]
	}
	plain := len(s) <= most
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] >= ' ' && s[i] < 0x7f
	}
	if plain {
		return s
	}
	s = strings.Map(func(c rune) rune {
		switch {
		case c == '\t', c == '\n', c == '\r', c == '\u2028', c == '\u2029':
			return ' '
		case unicode.IsControl(c), unicode.Is(unicode.Bidi_Control, c):
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > most {
		for most > 0 && !utf8.RuneStart(s[most]) {
			most--
		}
		s = s[:most]
	}
	return s
}
