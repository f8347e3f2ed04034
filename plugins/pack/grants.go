package pack

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"hauspost/plugins/abi"
)

// MaxPoints is the most that Grants.Points can be.
const MaxPoints = 100

// Grants are what a plugin needs, or what its owner grants it. The zero value
// is nothing.
type Grants struct {
	// Header is reading the header of messages, Body their parts.
	Header, Body bool
	// Keys is keeping values between messages.
	Keys bool
	// DNS are zones: "dnsbl.example.org" is that name and all below it, "*"
	// every name.
	DNS []string
	// Services are names of services in the owner's settings.
	Services []string
	// Effects are the kinds of effects that count, Stops the actions of
	// abi.Stop, each of which must be named besides it.
	Effects []abi.Kind
	Stops   []abi.Action
	// FieldNames are the header fields that it may add: "X-Hello", or
	// "X-Spam-*" for all that begin so.
	FieldNames []string
	// Points is the most that one score may have, either way.
	Points float64
}

// grantsForm is how Grants are written, in TOML and JSON.
type grantsForm struct {
	Header     bool     `toml:"header,omitempty" json:"header,omitempty"`
	Body       bool     `toml:"body,omitempty" json:"body,omitempty"`
	Keys       bool     `toml:"keys,omitempty" json:"keys,omitempty"`
	DNS        []string `toml:"dns,omitempty" json:"dns,omitempty"`
	Services   []string `toml:"services,omitempty" json:"services,omitempty"`
	Effects    []string `toml:"effects,omitempty" json:"effects,omitempty"`
	Stops      []string `toml:"stops,omitempty" json:"stops,omitempty"`
	FieldNames []string `toml:"fields,omitempty" json:"fields,omitempty"`
	Points     float64  `toml:"points,omitempty" json:"points,omitempty"`
}

func (g Grants) form() grantsForm {
	f := grantsForm{Header: g.Header, Body: g.Body, Keys: g.Keys, DNS: g.DNS, Services: g.Services, FieldNames: g.FieldNames, Points: g.Points}
	for _, k := range g.Effects {
		f.Effects = append(f.Effects, k.String())
	}
	for _, a := range g.Stops {
		f.Stops = append(f.Stops, a.String())
	}
	return f
}

func (f grantsForm) grants() (Grants, error) {
	g := Grants{Header: f.Header, Body: f.Body, Keys: f.Keys, DNS: f.DNS, Services: f.Services, FieldNames: f.FieldNames, Points: f.Points}
	for _, name := range f.Effects {
		k, ok := abi.ParseKind(name)
		if !ok {
			return Grants{}, fmt.Errorf("there is no effect %q", name)
		}
		g.Effects = append(g.Effects, k)
	}
	for _, name := range f.Stops {
		a, ok := abi.ParseAction(name)
		if !ok {
			return Grants{}, fmt.Errorf("there is no stop %q", name)
		}
		g.Stops = append(g.Stops, a)
	}
	if err := g.sound(); err != nil {
		return Grants{}, err
	}
	return g, nil
}

// sound says what is wrong in grants, if anything is.
func (g Grants) sound() error {
	for _, z := range g.DNS {
		if !isZone(z) {
			return fmt.Errorf("%q is no zone of the DNS", z)
		}
	}
	for _, s := range g.Services {
		if !nameForm.MatchString(s) {
			return fmt.Errorf("%q is no name of a service", s)
		}
	}
	for _, f := range g.FieldNames {
		if problem := fieldProblem(f); problem != "" {
			return fmt.Errorf("%q %s", f, problem)
		}
	}
	if !(g.Points >= 0 && g.Points <= MaxPoints) {
		return fmt.Errorf("points must be from 0 to %d", MaxPoints)
	}
	return nil
}

// MarshalJSON writes effects and stops by their names, as in a manifest.
func (g Grants) MarshalJSON() ([]byte, error) { return json.Marshal(g.form()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (g *Grants) UnmarshalJSON(data []byte) error {
	var f grantsForm
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	read, err := f.grants()
	if err != nil {
		return fmt.Errorf("reading grants: %w", err)
	}
	*g = read
	return nil
}

// IsZero tells whether nothing is granted.
func (g Grants) IsZero() bool {
	return !g.Header && !g.Body && !g.Keys && len(g.DNS) == 0 && len(g.Services) == 0 &&
		len(g.Effects) == 0 && len(g.Stops) == 0 && len(g.FieldNames) == 0 && g.Points == 0
}

// NotGranted is the error of Allows: why an effect does not count, in words for
// the trace of a message.
type NotGranted string

// Error implements error.
func (e NotGranted) Error() string { return string(e) }

// Allows gives nil where an effect counts, otherwise a NotGranted. Scores of
// more than g.Points are refused: see Clamp.
func (g Grants) Allows(e abi.Effect) error {
	if !slices.Contains(g.Effects, e.Kind) {
		return NotGranted("the effect " + e.Kind.String() + " is not granted")
	}
	switch e.Kind {
	case abi.Score:
		if !(math.Abs(e.Points) <= g.Points) { // not a number is refused as well
			return NotGranted(fmt.Sprintf("a score of %g points: only up to %g are granted", e.Points, g.Points))
		}
	case abi.Stop:
		if !slices.Contains(g.Stops, e.Stop) {
			return NotGranted("the stop " + e.Stop.String() + " is not granted")
		}
	case abi.AddHeader:
		if !fieldForm.MatchString(e.Name) {
			return NotGranted(fmt.Sprintf("%.100q is no name of a header field", e.Name))
		}
		if problem := fieldProblem(e.Name); problem != "" {
			return NotGranted("the header field " + e.Name + " " + problem)
		}
		if !slices.ContainsFunc(g.FieldNames, func(p string) bool { return fieldCovers(p, e.Name) }) {
			return NotGranted("the header field " + e.Name + " is not granted")
		}
	}
	return nil
}

// Clamp brings the points of a score within those that are granted. What is not
// a number becomes 0.
func (g Grants) Clamp(points float64) float64 {
	if math.IsNaN(points) {
		return 0
	}
	return max(-g.Points, min(g.Points, points))
}

// AllowsDNS tells whether a name may be asked for. Case and a last dot do not
// matter.
func (g Grants) AllowsDNS(name string) bool {
	return slices.ContainsFunc(g.DNS, func(zone string) bool { return zoneCovers(zone, name) })
}

// AllowsService tells whether a service may be called.
func (g Grants) AllowsService(name string) bool { return slices.Contains(g.Services, name) }

// Beyond gives what is needed beyond what was granted: what an owner has to be
// asked for.
func (g Grants) Beyond(granted Grants) Grants {
	b := Grants{
		Header:     g.Header && !granted.Header,
		Body:       g.Body && !granted.Body,
		Keys:       g.Keys && !granted.Keys,
		DNS:        uncovered(g.DNS, granted.DNS, zoneCovers),
		Services:   uncovered(g.Services, granted.Services, equal[string]),
		Effects:    uncovered(g.Effects, granted.Effects, equal[abi.Kind]),
		Stops:      uncovered(g.Stops, granted.Stops, equal[abi.Action]),
		FieldNames: uncovered(g.FieldNames, granted.FieldNames, fieldCovers),
	}
	if g.Points > granted.Points {
		b.Points = g.Points
	}
	return b
}

// Within gives what is in both.
func (g Grants) Within(limit Grants) Grants {
	return Grants{
		Header:     g.Header && limit.Header,
		Body:       g.Body && limit.Body,
		Keys:       g.Keys && limit.Keys,
		DNS:        common(g.DNS, limit.DNS, zoneCovers),
		Services:   common(g.Services, limit.Services, equal[string]),
		Effects:    common(g.Effects, limit.Effects, equal[abi.Kind]),
		Stops:      common(g.Stops, limit.Stops, equal[abi.Action]),
		FieldNames: common(g.FieldNames, limit.FieldNames, fieldCovers),
		Points:     min(g.Points, limit.Points),
	}
}

// With gives what is in either of them.
func (g Grants) With(more Grants) Grants {
	return Grants{
		Header:     g.Header || more.Header,
		Body:       g.Body || more.Body,
		Keys:       g.Keys || more.Keys,
		DNS:        slices.Concat(g.DNS, uncovered(more.DNS, g.DNS, zoneCovers)),
		Services:   slices.Concat(g.Services, uncovered(more.Services, g.Services, equal[string])),
		Effects:    slices.Concat(g.Effects, uncovered(more.Effects, g.Effects, equal[abi.Kind])),
		Stops:      slices.Concat(g.Stops, uncovered(more.Stops, g.Stops, equal[abi.Action])),
		FieldNames: slices.Concat(g.FieldNames, uncovered(more.FieldNames, g.FieldNames, fieldCovers)),
		Points:     max(g.Points, more.Points),
	}
}

func equal[T comparable](a, b T) bool { return a == b }

// uncovered gives those of list that none of by covers.
func uncovered[T comparable](list, by []T, covers func(wide, narrow T) bool) []T {
	var out []T
	for _, x := range list {
		if !slices.ContainsFunc(by, func(w T) bool { return covers(w, x) }) && !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}

// common gives those of either list that the other one covers.
func common[T comparable](a, b []T, covers func(wide, narrow T) bool) []T {
	var out []T
	add := func(list, by []T) {
		for _, x := range list {
			if slices.ContainsFunc(by, func(w T) bool { return covers(w, x) }) && !slices.Contains(out, x) {
				out = append(out, x)
			}
		}
	}
	add(a, b)
	add(b, a)
	return out
}

// zoneCovers tells whether a name, or a zone, lies in a zone.
func zoneCovers(zone, name string) bool {
	if zone == "*" {
		return true
	}
	zone, name = plainName(zone), plainName(name)
	if zone == "" || name == "*" {
		return false
	}
	return name == zone || strings.HasSuffix(name, "."+zone)
}

func plainName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// isZone tells whether a text is "*" or a host name of the DNS (RFC 1035, with
// the underscores of RFC 8552).
func isZone(s string) bool {
	if s == "*" {
		return true
	}
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !labelForm.MatchString(label) {
			return false
		}
	}
	return true
}

// fieldCovers tells whether a field name, or a pattern, lies in a pattern.
func fieldCovers(pattern, name string) bool {
	if prefix, open := strings.CutSuffix(pattern, "*"); open {
		return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
	}
	return strings.EqualFold(pattern, name)
}

// ownFields are those that say who wrote what when, how it came, and what it is
// made of: a plugin that could add one could pass off a message as another.
var ownFields = []string{"from", "sender", "reply-to", "to", "cc", "bcc", "date", "subject", "message-id", "in-reply-to",
	"references", "received", "return-path", "delivered-to", "mime-version", "dkim-signature", "authentication-results", "received-spf",
	"disposition-notification-to"}

// ownPrefixes are the beginnings of further such fields.
var ownPrefixes = []string{"content-", "resent-", "arc-"}

// fieldProblem says why a plugin cannot add a field of this name or pattern,
// or gives an empty text.
func fieldProblem(pattern string) string {
	name, open := strings.CutSuffix(strings.ToLower(pattern), "*")
	switch {
	case !fieldForm.MatchString(name):
		return "is no name of a header field"
	case open && len(name) < 3:
		return "covers too much"
	case slices.Contains(ownFields, name):
		return "belongs to the message itself"
	}
	for _, p := range ownPrefixes {
		if strings.HasPrefix(name, p) {
			return "belongs to the message itself"
		}
	}
	return ""
}
