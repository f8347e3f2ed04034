package pack

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"hauspost/appliance/faults"
)

// ParseManifest reads and checks a plugin.toml. A bad one gives Faults, with
// every fault that could be found.
func ParseManifest(data []byte) (*Manifest, error) {
	if len(data) > maxManifest {
		return nil, Faults{{File: ManifestFile, Problem: "the file is larger than " + strconv.Itoa(maxManifest>>10) + " KiB", Remedy: "make it shorter"}}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	var doc map[string]any
	if err := toml.Unmarshal(data, &doc); err != nil {
		return nil, Faults{faults.OfForm(ManifestFile, err)}
	}
	p := &parser{lines: bytes.Split(data, []byte("\n")), seen: map[string]at{},
		manifest: &Manifest{OnFailure: Skip, Limits: Limits{Memory: DefaultMemory, Time: DefaultTime}}}
	p.walk(data)
	p.required()
	p.together()
	p.settings()
	if len(p.faults) > 0 {
		return nil, p.faults.Sorted()
	}
	return p.manifest, nil
}

// at is where a key stands in the file.
type at struct {
	line  int
	value string
}

// parser walks through one manifest.
type parser struct {
	lines    [][]byte
	manifest *Manifest
	seen     map[string]at
	faults   Faults
}

func (p *parser) fault(key string, where at, problem, remedy string) {
	p.faults = append(p.faults, Fault{File: ManifestFile, Line: where.line, Key: key, Value: where.value, Problem: problem, Remedy: remedy})
}

func (p *parser) walk(data []byte) {
	var u unstable.Parser
	u.Reset(data)
	var table string
	for u.NextExpression() {
		e := u.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			var line int
			table, line = keyOf(&u, e)
			list := e.Kind == unstable.ArrayTable
			switch {
			case !slices.Contains(tables, table):
				p.fault("["+table+"]", at{line: line}, "there is no such section", "the sections are [needs], [limits], [build] and, for each setting, [[setting]]")
			case list != (table == settingTable):
				p.fault("["+table+"]", at{line: line}, "this section is written otherwise", "write [needs], [limits], [build] and [[setting]]")
			case list:
				p.manifest.Settings = append(p.manifest.Settings, SettingSpec{})
				p.seen[p.place(table)] = at{line: line}
			}
		case unstable.KeyValue:
			p.keyValue(&u, table, e)
		}
	}
}

// keyOf gives the dotted key of a table or key-value and its line.
func keyOf(u *unstable.Parser, n *unstable.Node) (string, int) {
	parts, line := faults.Key(u, n)
	return strings.Join(parts, "."), line
}

// place is the name under which seen knows a key: in [[setting]], that of the
// last one.
func (p *parser) place(name string) string {
	if name == settingTable || strings.HasPrefix(name, settingTable+".") {
		return placeOf(name, len(p.manifest.Settings)-1)
	}
	return name
}

func placeOf(name string, i int) string { return name + "#" + strconv.Itoa(i) }

func (p *parser) keyValue(u *unstable.Parser, table string, n *unstable.Node) {
	name, line := keyOf(u, n)
	if table != "" {
		name = table + "." + name
	}
	where := at{line: line, value: faults.Value(u, n.Value(), p.lines, line)}
	if table == settingTable && len(p.manifest.Settings) == 0 {
		return // [setting] was reported already
	}
	p.seen[p.place(name)] = where
	k, known := lookup(name)
	switch {
	case (name == settingTable || strings.HasPrefix(name, settingTable+".")) && table != settingTable:
		p.fault(name, where, "settings are a list", "write a line [[setting]] and below it a line for each key")
	case known:
		if !k.set(p.manifest, n.Value()) {
			p.fault(name, where, "must be "+k.allowed, "write for example "+lastOf(name)+" = "+k.example)
		}
	case n.Value().Kind == unstable.InlineTable && slices.Contains(tables, name):
		for it := n.Value().Children(); it.Next(); {
			p.keyValue(u, name, it.Node())
		}
	case table != "" && !slices.Contains(tables, table):
		// The section was reported already.
	default:
		p.fault(name, where, "there is no such key", keyRemedy(name))
	}
}

func lastOf(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// keyRemedy names the key that the writer most likely meant.
func keyRemedy(name string) string {
	var others []string
	table, last := "", lastOf(name)
	if len(last) < len(name) {
		table = strings.TrimSuffix(name, "."+last)
	}
	for _, k := range keys {
		if own := lastOf(k.name); own == last || own == last+"s" || own+"s" == last {
			return "did you mean " + k.name + "?"
		}
		if strings.TrimSuffix(strings.TrimSuffix(k.name, lastOf(k.name)), ".") == table {
			others = append(others, lastOf(k.name))
		}
	}
	return "remove the line, or choose among " + strings.Join(others, ", ")
}

// required faults keys that have no default and are not there.
func (p *parser) required() {
	for _, k := range keys {
		if _, ok := p.seen[k.name]; k.required && !ok {
			p.fault(k.name, at{}, "missing; it must be "+k.allowed, "add for example "+lastOf(k.name)+" = "+k.example)
		}
	}
}
