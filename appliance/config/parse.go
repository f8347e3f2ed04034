package config

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"hauspost/appliance/faults"
)

// Load reads and checks the file of a data folder. A bad file gives Faults.
func Load(dir string) (*Config, error) {
	path := Path(dir)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads and checks a file's content; name is what faults call the file.
// A bad file gives Faults, with every fault that could be found.
func Parse(name string, data []byte) (*Config, error) {
	return parse(name, data, migrations)
}

func parse(name string, data []byte, steps []migration) (*Config, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	var doc map[string]any
	if err := toml.Unmarshal(data, &doc); err != nil {
		return nil, Faults{faults.OfForm(name, err)}
	}
	p := &parser{name: name, data: data, lines: bytes.Split(data, []byte("\n")), seen: map[string]at{}, config: Default("")}
	migrated, f := migrate(doc, steps)
	if f != nil {
		f.File, f.Line = name, p.lineOfKey("version")
		return nil, Faults{*f}
	}
	if migrated != nil {
		p.data, p.lines, p.moved = migrated, bytes.Split(migrated, []byte("\n")), true
	}
	p.walk()
	p.required()
	p.together()
	if len(p.faults) > 0 {
		return nil, p.faults.Sorted()
	}
	return p.config, nil
}

// at is where a key stands in the file.
type at struct {
	line  int
	value string
}

// parser walks through one file.
type parser struct {
	name   string
	data   []byte
	lines  [][]byte
	moved  bool // the data is the outcome of a migration: lines mean nothing
	config *Config
	// settings gathers those of the last plugin; inSettings is the table in them
	// that the last header began.
	settings   *settingsReader
	inSettings string
	seen       map[string]at
	faults     Faults
}

func (p *parser) fault(key string, where at, problem, remedy string) {
	if p.moved {
		where.line = 0
	}
	p.faults = append(p.faults, Fault{File: p.name, Line: where.line, Key: key,
		Value: where.value, Problem: problem, Remedy: remedy})
}

func (p *parser) walk() {
	var u unstable.Parser
	u.Reset(p.data)
	table := ""
	for u.NextExpression() {
		e := u.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = p.header(&u, e)
		case unstable.KeyValue:
			p.keyValue(&u, table, e)
		}
	}
}

// header begins a section and gives its name.
func (p *parser) header(u *unstable.Parser, e *unstable.Node) string {
	path, line := faults.Key(u, e)
	table, array := strings.Join(path, "."), e.Kind == unstable.ArrayTable
	switch {
	case isFree(table) && p.settings == nil:
		p.fault("["+table+"]", at{line: line}, "these are settings of a plugin", "write above it a line [[plugin]], and one with its id")
	case array && table == settingsKey:
		p.fault("[["+table+"]]", at{line: line}, "this section is not a list", "write ["+table+"]")
	case isFree(table):
		p.inSettings = p.settings.table(path[2:], array)
	case !knownSection(table):
		p.fault("["+table+"]", at{line: line}, "no such section", sectionRemedy(table))
	case array && !isList(table):
		p.fault("[["+table+"]]", at{line: line}, "this section is not a list", "write ["+table+"]")
	case !array && isList(table):
		p.fault("["+table+"]", at{line: line}, "this section is a list", "write [["+table+"]]")
	}
	if isList(table) {
		lists[table].add(p.config)
		p.seen[p.placeOf(table)] = at{line: line}
	}
	if table == "plugin" {
		p.settings = newSettingsReader(func(name string, where at, problem, remedy string) {
			p.fault(under(settingsKey, name), where, problem, remedy)
		})
	}
	return table
}

func (p *parser) keyValue(u *unstable.Parser, table string, n *unstable.Node) {
	path, line := faults.Key(u, n)
	value := n.Value()
	if p.setting(table, path, value, line) {
		return
	}
	name := under(table, strings.Join(path, "."))
	first, _, _ := strings.Cut(name, ".")
	k, known := lookup(name)
	where := at{line: line, value: faults.Value(u, value, p.lines, line)}
	if where.value != "" && isSecret(name, where.value) {
		where.value = masked
	}
	p.seen[p.placeOf(name)] = where
	switch {
	case isList(first) && table == "":
		p.fault(name, at{line: line}, "this section is a list", "write a line [["+first+"]] and below it a line for each key")
	case known:
		p.set(k, where, value)
	case value.Kind == unstable.InlineTable && knownSection(name):
		for it := value.Children(); it.Next(); {
			p.keyValue(u, name, it.Node())
		}
	case table != "" && !knownSection(table):
		// The section was reported already.
	default:
		remedy := "remove the line"
		if near := nearest(name); near != "" {
			remedy = "did you mean " + near + "?"
		}
		p.fault(name, where, "no such key", remedy)
	}
}

// setting takes a line with settings of a plugin, and tells whether it is one.
func (p *parser) setting(table string, path []string, value *unstable.Node, line int) bool {
	switch {
	case isFree(table):
		if p.settings == nil {
			return true // The section was reported already.
		}
		p.settings.value(under(p.inSettings, strings.Join(path, ".")), value, line)
	case table != "plugin" || path[0] != "settings" || p.settings == nil:
		return false
	case len(path) == 1 && value.Kind != unstable.InlineTable:
		k, _ := lookup(settingsKey)
		p.fault(k.name, at{line: line}, "must be "+k.allowed, "write for example settings = "+k.example)
	default:
		p.settings.value(strings.Join(path[1:], "."), value, line)
	}
	p.config.Plugins[len(p.config.Plugins)-1].Settings = p.settings.list
	return true
}

// placeOf gives the name under which seen knows a key or section: in a list,
// that of the last one.
func (p *parser) placeOf(name string) string {
	section, _, _ := strings.Cut(name, ".")
	if l, ok := lists[section]; ok {
		return inList(name, l.count(p.config)-1)
	}
	return name
}

func inList(name string, i int) string { return name + "#" + strconv.Itoa(i) }

// isSecret tells whether the value of a key must not be shown: it is a
// password, or looks like one at the wrong place.
func isSecret(name, value string) bool {
	if k, known := lookup(name); known {
		_, secret := k.field(defaults).(*Secret)
		return secret
	}
	list, _, _ := strings.Cut(name, ".")
	text := strings.ToLower(name + value)
	return isList(list) || strings.Contains(text, "pass") || strings.Contains(text, "secret")
}

func (p *parser) lineOfKey(name string) int {
	for i, line := range p.lines {
		if before, _, ok := bytes.Cut(line, []byte("=")); ok && string(bytes.TrimSpace(before)) == name {
			return i + 1
		}
	}
	return 0
}

// set decodes value into the key's field, or notes a fault.
func (p *parser) set(k key, where at, value *unstable.Node) {
	if !decode(k.field(p.config), value) || k.ok != nil && !k.ok(k.field(p.config)) {
		p.fault(k.name, where, "must be "+k.allowed, "write for example "+lastOf(k.name)+" = "+k.example)
	}
}

func lastOf(name string) string {
	_, last := split(name)
	return last
}

func decode(into any, n *unstable.Node) bool {
	var err error
	switch p := into.(type) {
	case *bool:
		*p = string(n.Data) == "true"
		return n.Kind == unstable.Bool
	case *int:
		*p, err = strconv.Atoi(strings.ReplaceAll(string(n.Data), "_", ""))
		return n.Kind == unstable.Integer && err == nil
	case *float64:
		*p, err = strconv.ParseFloat(strings.ReplaceAll(string(n.Data), "_", ""), 64)
		return (n.Kind == unstable.Float || n.Kind == unstable.Integer) && err == nil
	case *string:
		*p = string(n.Data)
		return n.Kind == unstable.String
	case *Secret:
		*p = Secret(n.Data)
		return n.Kind == unstable.String
	case *Duration:
		*p, err = ParseDuration(string(n.Data))
		return n.Kind == unstable.String && err == nil
	case *Size:
		*p, err = ParseSize(string(n.Data))
		return (n.Kind == unstable.String || n.Kind == unstable.Integer) && err == nil
	case *[]string:
		*p = nil
		for it := n.Children(); it.Next(); {
			if it.Node().Kind != unstable.String {
				return false
			}
			*p = append(*p, string(it.Node().Data))
		}
		return n.Kind == unstable.Array
	}
	panic(fmt.Sprintf("config: a key of type %T", into))
}

// required faults keys that have no default and are not there.
func (p *parser) required() {
	for _, name := range []string{"version", "hostname"} {
		k, _ := lookup(name)
		if _, ok := p.seen[name]; !ok {
			p.fault(name, at{}, "missing; it must be "+k.allowed, "add for example "+name+" = "+k.example)
		}
	}
}

// together faults values that do not fit each other.
func (p *parser) together() {
	c := p.config
	if c.TLS.Mode == ModeFiles {
		for name, value := range map[string]string{"tls.cert": c.TLS.Cert, "tls.key": c.TLS.Key} {
			if value == "" {
				p.fault(name, p.whereOr(name, "tls.mode"), `must be the path of a file, because tls.mode is "files"`,
					"name the file, or set tls.mode to \"self-signed\"")
			}
		}
	}
	if c.TLS.Mode == ModeACME && !c.TLS.ACMEHTTP && !c.TLS.ACMETLS {
		p.fault("tls.mode", p.seen["tls.mode"], "the certificate authority must be answered at port 80 or 443",
			"switch tls.acme_http or tls.acme_tls to true")
	}
	if c.Listeners == (Listeners{}) {
		p.fault("listeners", p.whereOr("listeners.smtp", "listeners.imap"), "every service is switched off",
			"switch at least one of smtp, submission, submissions, imap, imaps to true")
	}
	if c.SMTP.MaxConnectionsPerAddress > c.SMTP.MaxConnections {
		p.order("smtp.max_connections_per_address", "smtp.max_connections")
	}
	if c.IMAP.MaxConnectionsPerAddress > c.IMAP.MaxConnections {
		p.order("imap.max_connections_per_address", "imap.max_connections")
	}
	p.filters()
	p.outgoing()
	p.routes()
}

// outgoing faults values for mail on its way out that do not fit each other.
func (p *parser) outgoing() {
	c := p.config
	for _, o := range []struct {
		small, large string
		wrong        bool
	}{
		{"submission.max_connections_per_address", "submission.max_connections", c.Submission.MaxConnectionsPerAddress > c.Submission.MaxConnections},
		{"queue.delay_notice", "queue.expiry", p.has("queue.delay_notice") && c.Queue.DelayNotice > c.Queue.Expiry},
		{"queue.per_destination", "queue.attempts", c.Queue.PerDestination > c.Queue.Attempts},
	} {
		if o.wrong {
			p.order(o.small, o.large)
		}
	}
	if !c.Relay.IPv4 && !c.Relay.IPv6 {
		p.fault("relay.ipv4", p.whereOr("relay.ipv4", "relay.ipv6"), "no server can be reached without IPv4 and IPv6",
			"switch at least one of ipv4, ipv6 to true")
	}
}

// has tells whether a key is in the file.
func (p *parser) has(name string) bool {
	_, ok := p.seen[name]
	return ok
}

func (p *parser) order(small, large string) {
	p.fault(small, p.whereOr(small, large), "must not be greater than "+large, "make "+large+" greater or this smaller")
}

// whereOr gives where a key stands, or where the other one does if it is not
// in the file.
func (p *parser) whereOr(name, other string) at {
	if w, ok := p.seen[name]; ok {
		return w
	}
	return at{line: p.seen[other].line}
}

// whereIn gives where a key of the i-th element of a list stands, or where that
// begins.
func (p *parser) whereIn(list, name string, i int) at {
	if w, ok := p.seen[inList(name, i)]; ok {
		return w
	}
	return at{line: p.seen[inList(list, i)].line}
}

func knownSection(name string) bool {
	for _, s := range sections {
		if s.name == name {
			return true
		}
	}
	return false
}

func sectionRemedy(name string) string {
	var names []string
	for _, s := range sections[1:] {
		if distance(s.name, name) <= 2 {
			return "did you mean [" + s.name + "]?"
		}
		names = append(names, s.name)
	}
	return "the sections are " + strings.Join(names, ", ")
}
