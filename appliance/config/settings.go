package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"hauspost/appliance/faults"
)

// settingsKey is the key below which the names are the plugin's.
const settingsKey = "plugin.settings"

// isFree tells whether a name is that key or below it.
func isFree(name string) bool {
	return name == settingsKey || strings.HasPrefix(name, settingsKey+".")
}

// maxSettings is the most octets that names and values of one plugin's settings
// may have, so that they fit what a plugin is handed.
const maxSettings = 48 << 10

// Settings are a plugin's own, in the order of the file. However they are
// printed, logged or encoded, values that look like secrets are "***".
type Settings []Setting

// Setting is one of them. Tables are flattened with dots ("limits.size"), tables
// in a list with their place, counted from 0 ("rule.0.field").
type Setting struct {
	Name string
	// Values has one value, or those of a list; numbers and truth values are
	// as TOML writes them.
	Values []string
	// Literal is the value in TOML; empty means texts.
	Literal string
}

// secretWords are what names of secrets have in them.
var secretWords = []string{"pass", "secret", "token", "apikey", "api_key", "api-key", "credential", "private"}

// Secret tells whether the name says that the value is not for all to see.
func (s Setting) Secret() bool { return soundsSecret(s.Name) }

// Value gives the value as TOML knows it: a string, int64, float64, bool, or a
// []any of these. Times are strings.
func (s Setting) Value() any {
	var doc struct{ V any }
	if s.Literal == "" || toml.Unmarshal([]byte("v = "+s.Literal), &doc) != nil {
		if len(s.Values) == 1 {
			return s.Values[0]
		}
		return append([]string{}, s.Values...)
	}
	switch doc.V.(type) {
	case string, int64, float64, bool, []any:
		return doc.V
	}
	return s.Values[0]
}

func soundsSecret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(name, w) })
}

// Map gives the settings by name, a text or a list of texts each, without
// secrets.
func (l Settings) Map() map[string]any {
	m := map[string]any{}
	for _, s := range l {
		switch {
		case s.Secret():
			m[s.Name] = masked
		case len(s.Values) == 1 && !strings.HasPrefix(s.Literal, "["):
			m[s.Name] = s.Values[0]
		default:
			m[s.Name] = append([]string{}, s.Values...)
		}
	}
	return m
}

// String gives the settings as an inline table, without secrets.
func (l Settings) String() string { return l.inline(true) }

// Format implements fmt.Formatter: every verb prints what String gives.
func (l Settings) Format(f fmt.State, _ rune) { fmt.Fprint(f, l.String()) }

// MarshalJSON implements json.Marshaler by Map.
func (l Settings) MarshalJSON() ([]byte, error) { return json.Marshal(l.Map()) }

// LogValue implements slog.LogValuer.
func (l Settings) LogValue() slog.Value { return slog.StringValue(l.String()) }

// Format implements fmt.Formatter: every verb prints name and value, without
// secrets.
func (s Setting) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s = %s", s.key(), s.literal(true)) }

// MarshalJSON implements json.Marshaler: a secret is "***".
func (s Setting) MarshalJSON() ([]byte, error) { return json.Marshal(Settings{s}.Map()) }

// LogValue implements slog.LogValuer.
func (s Setting) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

func (l Settings) inline(mask bool) string {
	if len(l) == 0 {
		return "{}"
	}
	words := make([]string, len(l))
	for i, s := range l {
		words[i] = s.key() + " = " + s.literal(mask)
	}
	return "{ " + strings.Join(words, ", ") + " }"
}

// key gives the name as TOML writes it.
func (s Setting) key() string {
	parts := strings.Split(s.Name, ".")
	for i, p := range parts {
		if p == "" || strings.Trim(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			parts[i] = quote(p)
		}
	}
	return strings.Join(parts, ".")
}

func (s Setting) literal(mask bool) string {
	switch {
	case mask && s.Secret():
		return quote(masked)
	case s.Literal != "":
		return s.Literal
	case len(s.Values) == 1:
		return quote(s.Values[0])
	}
	return literal(&s.Values)
}

// settingsReader gathers the settings of one plugin from a file.
type settingsReader struct {
	list Settings
	size int
	// lines are those of the settings; rows counts the tables of lists of
	// tables.
	lines map[string]int
	rows  map[string]int
	fault func(name string, where at, problem, remedy string)
}

func newSettingsReader(fault func(name string, where at, problem, remedy string)) *settingsReader {
	return &settingsReader{lines: map[string]int{}, rows: map[string]int{}, fault: fault}
}

// table gives the flattened name of a table that begins; row says that it is
// one of a list.
func (r *settingsReader) table(path []string, row bool) string {
	name := ""
	for i, part := range path {
		name = under(name, part)
		if row && i == len(path)-1 {
			r.rows[name]++
		}
		if n := r.rows[name]; n > 0 {
			name = under(name, strconv.Itoa(n-1))
		}
	}
	return name
}

func under(table, name string) string {
	if table == "" {
		return name
	}
	return table + "." + name
}

// value takes what stands behind a name.
func (r *settingsReader) value(name string, n *unstable.Node, line int) {
	switch n.Kind {
	case unstable.InlineTable:
		for it := n.Children(); it.Next(); {
			inner := name
			for k := it.Node().Key(); k.Next(); {
				inner = under(inner, string(k.Node().Data))
			}
			r.value(inner, it.Node().Value(), line)
		}
	case unstable.Array:
		r.array(name, n, line)
	default:
		if text, written, ok := scalar(n); ok {
			r.add(Setting{Name: name, Values: []string{text}, Literal: written}, line)
			return
		}
		r.fault(name, at{line: line}, "must be a text, a number, true, false, a list or a table", "write for example "+name+` = "text"`)
	}
}

func (r *settingsReader) array(name string, n *unstable.Node, line int) {
	s := Setting{Name: name, Values: []string{}}
	var written []string
	tables := 0
	for it := n.Children(); it.Next(); {
		if it.Node().Kind == unstable.InlineTable {
			r.value(under(name, strconv.Itoa(tables)), it.Node(), line)
			tables++
			continue
		}
		text, lit, ok := scalar(it.Node())
		if !ok {
			r.fault(name, at{line: line}, "a list cannot have lists in it", "give each list a name of its own")
			return
		}
		s.Values, written = append(s.Values, text), append(written, lit)
	}
	switch {
	case tables > 0 && len(written) > 0:
		r.fault(name, at{line: line}, "a list has either values or tables in it", "give the values a name of their own")
	case tables == 0:
		s.Literal = "[" + strings.Join(written, ", ") + "]"
		r.add(s, line)
	}
}

// scalar gives a value as the plugin gets it and as it is written.
func scalar(n *unstable.Node) (text, written string, ok bool) {
	text = string(n.Data)
	switch n.Kind {
	case unstable.String:
		return text, quote(text), true
	case unstable.Integer:
		v, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 0, 64)
		if err != nil { // a leading zero cannot be: TOML has none
			return "", "", false
		}
		text = strconv.FormatInt(v, 10)
		return text, text, true
	case unstable.Float:
		text = strings.TrimPrefix(strings.ReplaceAll(text, "_", ""), "+")
		return text, text, true
	case unstable.Bool, unstable.DateTime, unstable.LocalDate, unstable.LocalTime, unstable.LocalDateTime:
		return text, text, true
	}
	return "", "", false
}

func (r *settingsReader) add(s Setting, line int) {
	where := at{line: line, value: s.literal(true)}
	if v := []rune(where.value); len(v) > 60 {
		where.value = string(v[:60]) + "…"
	}
	for other, at := range r.lines {
		if other == s.Name || strings.HasPrefix(other, s.Name+".") || strings.HasPrefix(s.Name, other+".") {
			r.fault(s.Name, where, fmt.Sprintf("line %d gives it already, as %s", at, other), "remove one of the two")
			return
		}
	}
	if slices.Contains(strings.Split(s.Name, "."), "") {
		r.fault(s.Name, where, "a name is empty", "give it a name")
		return
	}
	before := r.size
	r.size += len(s.Name) + 8
	for _, v := range s.Values {
		r.size += len(v) + 4
	}
	if r.size > maxSettings {
		if before <= maxSettings {
			r.fault(s.Name, where, fmt.Sprintf("the settings of one plugin have more than %s in all", Size(maxSettings)), "shorten them")
		}
		return
	}
	r.lines[s.Name] = line
	r.list = append(r.list, s)
}

// ParseSettings reads settings of a plugin that stand in a file of their own, as
// they would below [plugin.settings]; name is what faults call the file. A bad
// file gives Faults.
func ParseSettings(name string, data []byte) (Settings, error) {
	var doc map[string]any
	if err := toml.Unmarshal(data, &doc); err != nil {
		return nil, Faults{faults.OfForm(name, err)}
	}
	p := &parser{name: name, data: data}
	r := newSettingsReader(p.fault)
	var u unstable.Parser
	u.Reset(data)
	table := ""
	for u.NextExpression() {
		e := u.Expression()
		path, line := faults.Key(&u, e)
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = r.table(path, e.Kind == unstable.ArrayTable)
		case unstable.KeyValue:
			r.value(under(table, strings.Join(path, ".")), e.Value(), line)
		}
	}
	if len(p.faults) > 0 {
		return nil, p.faults
	}
	return r.list, nil
}
