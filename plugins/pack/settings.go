package pack

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"hauspost/plugins/abi"
)

// maxList bounds a list of texts in settings.
const maxList = 10_000

// settingDefault takes the default of a setting, whatever its type; whether it
// fits the type is seen when both are known.
func settingDefault(m *Manifest, n *unstable.Node) bool {
	s := last(m)
	switch n.Kind {
	case unstable.String:
		s.Default = string(n.Data)
	case unstable.Bool:
		s.Default = string(n.Data) == "true"
	case unstable.Integer:
		v, ok := integer(n)
		s.Default = v
		return ok
	case unstable.Float:
		v, ok := number(n)
		s.Default = v
		return ok
	case unstable.Array:
		list := []string{}
		for it := n.Children(); it.Next(); {
			if it.Node().Kind != unstable.String || len(list) >= maxList {
				return false
			}
			list = append(list, string(it.Node().Data))
		}
		s.Default = list
	default:
		return false
	}
	return true
}

// settings faults [[setting]] sections that make no sense.
func (p *parser) settings() {
	names := map[string]bool{}
	for i, s := range p.manifest.Settings {
		where := p.seen[placeOf(settingTable, i)]
		for name, value := range map[string]string{"setting.name": s.Name, "setting.type": s.Type} {
			if _, ok := p.seen[placeOf(name, i)]; !ok && value == "" {
				k, _ := lookup(name)
				p.fault(name, where, "missing; it must be "+k.allowed, "add for example "+lastOf(name)+" = "+k.example)
			}
		}
		if names[s.Name] && s.Name != "" {
			p.fault("setting.name", p.seen[placeOf("setting.name", i)], "there are two settings of this name", "remove one of them")
		}
		names[s.Name] = true
		if s.Default == nil || s.Type == "" {
			continue
		}
		if _, ok := valuesOf(s.Type, s.Default); !ok {
			p.fault("setting.default", p.seen[placeOf("setting.default", i)], "does not fit the type "+s.Type, "write "+typeWords[s.Type])
		}
	}
}

var typeWords = map[string]string{
	Text:   "a text in double quotes",
	Number: "a number",
	Truth:  "true or false",
	List:   "a list of texts in square brackets",
}

// Resolve gives the settings as the plugin sees them: those that the owner set,
// as TOML gives them (tables as maps), and the defaults of the others. Settings
// that the plugin does not know, that are of another type, or that have no
// default and are not set are an error that says so.
func (m *Manifest) Resolve(owner map[string]any) (abi.Settings, error) {
	flat := map[string]any{}
	flatten(flat, "", owner, 0)
	var out abi.Settings
	for _, s := range m.Settings {
		value, set := flat[s.Name]
		delete(flat, s.Name)
		if !set {
			value = s.Default
		}
		if value == nil {
			return abi.Settings{}, fmt.Errorf("the plugin %s needs a value for its setting %s: %s (%s)", m.ID, s.Name, typeWords[s.Type], s.Doc)
		}
		values, ok := valuesOf(s.Type, value)
		if !ok {
			return abi.Settings{}, fmt.Errorf("the setting %s of the plugin %s must be %s", s.Name, m.ID, typeWords[s.Type])
		}
		out.List = append(out.List, abi.Setting{Name: s.Name, Values: values})
	}
	if len(flat) > 0 {
		known := make([]string, 0, len(m.Settings))
		for _, s := range m.Settings {
			known = append(known, s.Name)
		}
		return abi.Settings{}, fmt.Errorf("the plugin %s has no setting %s; it has %s", m.ID, slices.Sorted(maps.Keys(flat))[0],
			cmp.Or(strings.Join(known, ", "), "none"))
	}
	return out, nil
}

// flatten joins the names of tables with dots.
func flatten(into map[string]any, prefix string, table map[string]any, depth int) {
	for name, value := range table {
		if inner, ok := value.(map[string]any); ok && depth < 4 {
			flatten(into, prefix+name+".", inner, depth+1)
			continue
		}
		into[prefix+name] = value
	}
}

// valuesOf writes a value as a guest sees it, and tells whether it is of the
// type. Numbers may come from TOML or from JSON.
func valuesOf(kind string, value any) ([]string, bool) {
	switch v := value.(type) {
	case string:
		return []string{v}, kind == Text
	case bool:
		return []string{strconv.FormatBool(v)}, kind == Truth
	case int64:
		return []string{strconv.FormatInt(v, 10)}, kind == Number
	case int:
		return []string{strconv.Itoa(v)}, kind == Number
	case float64:
		return []string{strconv.FormatFloat(v, 'g', -1, 64)}, kind == Number
	case []string:
		return v, kind == List && len(v) <= maxList
	case []any:
		list := make([]string, 0, len(v))
		for _, x := range v {
			s, ok := x.(string)
			if !ok {
				return nil, false
			}
			list = append(list, s)
		}
		return list, kind == List && len(v) <= maxList
	}
	return nil, false
}
