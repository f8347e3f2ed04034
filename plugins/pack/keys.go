package pack

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"

	"hauspost/plugins/abi"
)

const (
	settingTable = "setting"
	maxVersion   = 64
	pageSize     = 64 << 10
)

// tables are the sections of a manifest.
var tables = []string{"needs", "limits", "build", settingTable}

// key is one key of a manifest.
type key struct {
	name     string
	required bool
	// allowed completes "must be …"; example is a value.
	allowed, example string
	// set takes a value over, and tells whether it is allowed.
	set func(m *Manifest, n *unstable.Node) bool
}

const lineOf = "a line of text in double quotes, at most "

// keys is the table of all keys.
var keys = []key{
	{"id", true, "2 to 32 lower-case letters, digits and hyphens, the first one a letter", `"hello"`,
		text(func(m *Manifest) *string { return &m.ID }, matches(idForm))},
	{"name", true, lineOf + "80 characters", `"Hello"`,
		text(func(m *Manifest) *string { return &m.Name }, lineUpTo(80))},
	{"version", true, "a version of three numbers, as semver.org says", `"1.0.0"`,
		text(func(m *Manifest) *string { return &m.Version }, func(s string) bool { return len(s) <= maxVersion && versionForm.MatchString(s) })},
	{"description", true, lineOf + "300 characters, that says what the plugin does", `"Greets every message."`,
		text(func(m *Manifest) *string { return &m.Description }, lineUpTo(300))},
	{"author", false, lineOf + "200 characters", `"Erika Mustermann <erika@example.org>"`,
		text(func(m *Manifest) *string { return &m.Author }, lineUpTo(200))},
	{"homepage", false, "an address that begins with https://", `"https://example.org/hello"`,
		text(func(m *Manifest) *string { return &m.Homepage }, func(s string) bool { return strings.HasPrefix(s, "https://") && lineUpTo(200)(s) })},
	{"license", false, lineOf + "100 characters", `"MIT"`,
		text(func(m *Manifest) *string { return &m.License }, lineUpTo(100))},
	{"abi", true, "the version of the plugin interface, which is " + strconv.Itoa(abi.Version), strconv.Itoa(abi.Version),
		func(m *Manifest, n *unstable.Node) bool {
			v, ok := integer(n)
			m.ABI = int(v)
			return ok && v == abi.Version
		}},
	{"stages", true, "a list of stages, each once: " + namesOf(abi.Stages()), `["on_message"]`,
		list(func(m *Manifest) *[]abi.Stage { return &m.Stages }, abi.ParseStage, 1)},
	{"timer", false, "a time from 1m to 720h", `"1h"`,
		duration(func(m *Manifest) *time.Duration { return &m.Timer }, time.Minute, 720*time.Hour)},
	{"on_failure", false, `"skip" (go on without the plugin) or "tempfail" (have the sender come again)`, `"skip"`,
		text(func(m *Manifest) *string { return &m.OnFailure }, func(s string) bool { return s == Skip || s == Tempfail })},

	{"needs.header", false, "true or false", "true", truth(func(m *Manifest) *bool { return &m.Needs.Header })},
	{"needs.body", false, "true or false", "true", truth(func(m *Manifest) *bool { return &m.Needs.Body })},
	{"needs.keys", false, "true or false", "true", truth(func(m *Manifest) *bool { return &m.Needs.Keys })},
	{"needs.dns", false, `a list of zones of the DNS; "*" is for every name`, `["dnsbl.example.org"]`,
		list(func(m *Manifest) *[]string { return &m.Needs.DNS }, texts(isZone), 0)},
	{"needs.services", false, "a list of names of services, in lower-case letters", `["clamd"]`,
		list(func(m *Manifest) *[]string { return &m.Needs.Services }, texts(nameForm.MatchString), 0)},
	{"needs.effects", false, "a list of effects, each once: " + namesOf(kinds()), `["score"]`,
		list(func(m *Manifest) *[]abi.Kind { return &m.Needs.Effects }, abi.ParseKind, 0)},
	{"needs.stops", false, "a list of stops, each once: " + namesOf(actions()), `["quarantine"]`,
		list(func(m *Manifest) *[]abi.Action { return &m.Needs.Stops }, abi.ParseAction, 0)},
	{"needs.fields", false, `a list of header fields that say nothing about who wrote the message; a "*" at the end is for all that begin so`, `["X-Hello"]`,
		list(func(m *Manifest) *[]string { return &m.Needs.FieldNames }, texts(func(s string) bool { return fieldProblem(s) == "" }), 0)},
	{"needs.points", false, "a number above 0 and up to " + strconv.Itoa(MaxPoints), "5",
		func(m *Manifest, n *unstable.Node) bool {
			v, ok := number(n)
			m.Needs.Points = v
			return ok && v > 0 && v <= MaxPoints
		}},

	{"limits.memory", false, "a size from 64KiB to 512MiB", `"32MiB"`, memory},
	{"limits.time", false, "a time from 1ms to 60s", `"2s"`,
		duration(func(m *Manifest) *time.Duration { return &m.Limits.Time }, MinTime, MaxTime)},

	{"build.command", false, "a list of the program and its arguments", `["go", "build", "-o", "plugin.wasm"]`, command},

	{"setting.name", false, "lower-case letters, digits and underscores, the first one a letter; a dot is for a table", `"limit"`,
		text(func(m *Manifest) *string { return &last(m).Name }, settingForm.MatchString)},
	{"setting.type", false, `"text", "number", "truth" or "list"`, `"number"`,
		text(func(m *Manifest) *string { return &last(m).Type }, func(s string) bool { return slices.Contains([]string{Text, Number, Truth, List}, s) })},
	{"setting.default", false, "a text, a number, true or false, or a list of texts", "3", settingDefault},
	{"setting.doc", false, lineOf + "500 characters", `"How many there may be."`,
		text(func(m *Manifest) *string { return &last(m).Doc }, lineUpTo(500))},
	{"setting.secret", false, "true or false", "true", truth(func(m *Manifest) *bool { return &last(m).Secret })},
}

func lookup(name string) (key, bool) {
	i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
	if i < 0 {
		return key{}, false
	}
	return keys[i], true
}

func last(m *Manifest) *SettingSpec { return &m.Settings[len(m.Settings)-1] }

func kinds() []abi.Kind {
	var out []abi.Kind
	for k := abi.Score; k <= abi.Exempt; k++ {
		out = append(out, k)
	}
	return out
}

func actions() []abi.Action {
	return []abi.Action{abi.Discard, abi.Quarantine, abi.Tempfail, abi.Reject}
}

func namesOf[T interface{ String() string }](list []T) string {
	names := make([]string, len(list))
	for i, x := range list {
		names[i] = x.String()
	}
	return strings.Join(names, ", ")
}

func matches(form *regexp.Regexp) func(string) bool { return form.MatchString }

// lineUpTo takes what can be shown on a terminal in one line.
func lineUpTo(limit int) func(string) bool {
	return func(s string) bool {
		return s != "" && strings.TrimSpace(s) == s && len([]rune(s)) <= limit &&
			!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar })
	}
}

func text(field func(*Manifest) *string, ok func(string) bool) func(*Manifest, *unstable.Node) bool {
	return func(m *Manifest, n *unstable.Node) bool {
		*field(m) = string(n.Data)
		return n.Kind == unstable.String && ok(string(n.Data))
	}
}

func truth(field func(*Manifest) *bool) func(*Manifest, *unstable.Node) bool {
	return func(m *Manifest, n *unstable.Node) bool {
		*field(m) = string(n.Data) == "true"
		return n.Kind == unstable.Bool
	}
}

func duration(field func(*Manifest) *time.Duration, least, most time.Duration) func(*Manifest, *unstable.Node) bool {
	return func(m *Manifest, n *unstable.Node) bool {
		d, err := time.ParseDuration(string(n.Data))
		*field(m) = d
		return n.Kind == unstable.String && err == nil && d >= least && d <= most
	}
}

func integer(n *unstable.Node) (int64, bool) {
	v, err := strconv.ParseInt(strings.ReplaceAll(string(n.Data), "_", ""), 0, 64)
	return v, n.Kind == unstable.Integer && err == nil
}

func number(n *unstable.Node) (float64, bool) {
	if v, ok := integer(n); ok {
		return float64(v), true
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(string(n.Data), "_", ""), 64)
	return v, n.Kind == unstable.Float && err == nil && v-v == 0 // neither infinite nor not a number
}

// list takes a list of texts that parse knows, each once.
func list[T comparable](field func(*Manifest) *[]T, parse func(string) (T, bool), least int) func(*Manifest, *unstable.Node) bool {
	return func(m *Manifest, n *unstable.Node) bool {
		var out []T
		if n.Kind != unstable.Array {
			return false
		}
		for it := n.Children(); it.Next(); {
			x, ok := parse(string(it.Node().Data))
			if !ok || it.Node().Kind != unstable.String || slices.Contains(out, x) || len(out) >= 100 {
				return false
			}
			out = append(out, x)
		}
		*field(m) = out
		return len(out) >= least
	}
}

func texts(ok func(string) bool) func(string) (string, bool) {
	return func(s string) (string, bool) { return s, ok(s) }
}

func command(m *Manifest, n *unstable.Node) bool {
	m.Build = nil
	for it := n.Children(); it.Next(); {
		if it.Node().Kind != unstable.String {
			return false
		}
		m.Build = append(m.Build, string(it.Node().Data))
	}
	return n.Kind == unstable.Array && len(m.Build) > 0 && m.Build[0] != ""
}

var sizeUnits = []struct {
	name  string
	value int64
}{{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"KB", 1e3}, {"MB", 1e6}}

// memory takes a size, and makes it whole pages.
func memory(m *Manifest, n *unstable.Node) bool {
	s := strings.ToUpper(strings.TrimSpace(string(n.Data)))
	unit := int64(0)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = strings.TrimSpace(rest), u.value
			break
		}
	}
	v, err := strconv.ParseInt(s, 10, 32)
	if n.Kind != unstable.String || err != nil || unit == 0 || v <= 0 {
		return false
	}
	m.Limits.Memory = (v*unit + pageSize - 1) / pageSize * pageSize
	// 64KB means the least as well, for those who do not count in powers of two.
	return v*unit >= 64e3 && m.Limits.Memory <= MaxMemory
}
