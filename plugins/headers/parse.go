package headers

import (
	"strconv"
	"strings"

	"hauspost/plugins/abi"
)

// Parse reads the owner's rules for mail of one way. Its error is Faults: what
// is wrong in each rule that is.
func Parse(in string, way Way) (*Rules, error) {
	p := &parser{lex: newLexer(in), way: way, rules: &Rules{}}
	p.advance()
	p.advance()
	var faults Faults
	for p.now.kind != end {
		if f := p.rule(); f != nil {
			if faults = append(faults, *f); p.full {
				break
			}
			p.skip()
		}
	}
	if faults != nil {
		return nil, faults
	}
	return p.rules, nil
}

// parser reads rules by recursive descent with one token to look ahead.
type parser struct {
	lex       *lexer
	now, next token
	way       Way
	rules     *Rules
	// number and name are those of the rule being read.
	number int
	name   string
	depth  int
	// full tells that there are too many rules or tests to go on.
	full bool
}

func (p *parser) advance() { p.now, p.next = p.next, p.lex.next() }

// skip goes on to the next rule.
func (p *parser) skip() {
	for p.now.kind != end && !p.now.begins(p.next) {
		p.advance()
	}
}

// take passes over a word, if it is the next token.
func (p *parser) take(w string) bool {
	if !p.now.is(w) || p.over() {
		return false
	}
	p.advance()
	return true
}

// over tells whether the rule has ended.
func (p *parser) over() bool { return p.now.kind == end || p.now.begins(p.next) }

// fault speaks of the current token.
func (p *parser) fault(parts ...string) *Fault {
	return &Fault{Rule: p.number, Name: p.name, Line: p.now.line, Column: p.now.column, Text: strings.Join(parts, "")}
}

// expected says what should be here instead.
func (p *parser) expected(what string) *Fault {
	switch {
	case p.now.kind == broken && strings.ContainsAny(firstOf(p.now.text), "'‘’“”„«»"):
		return p.fault(`texts stand in straight quotes: "like this"`)
	case p.now.kind == broken:
		return p.fault("the text has no closing quote on its line")
	case p.now.kind != end && p.over():
		return p.fault("the rule before ends here, but ", what, " is missing in it")
	}
	return p.fault("expected ", what, ", found ", p.now.say())
}

func firstOf(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}

// rule reads one rule.
func (p *parser) rule() *Fault {
	if !p.now.begins(p.next) {
		return p.fault("a rule begins with if or always on a new line, found ", p.now.say())
	}
	if p.number++; p.number > MaxRules {
		p.full = true
		return p.fault("there are more than ", strconv.Itoa(MaxRules), " rules")
	}
	r := rule{number: p.number, line: p.now.line}
	p.name = ""
	if p.now.kind == text {
		r.name, p.name = p.now.text, p.now.text
		p.advance()
		p.advance()
	}
	switch {
	case p.now.is("if"):
		p.advance()
		var f *Fault
		if r.when, f = p.condition(); f != nil {
			return f
		}
		if p.now.isMark(",") {
			p.advance()
		}
		if !p.take("then") {
			return p.expected("and, or or then after the condition")
		}
	case p.now.is("always"):
		p.advance()
		p.take("then")
	default:
		return p.expected("if or always after the name of the rule")
	}
	if f := p.actions(&r); f != nil {
		return f
	}
	p.rules.list = append(p.rules.list, r)
	return nil
}

// condition reads parts with "and" or with "or" between them.
func (p *parser) condition() (*condition, *Fault) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fault("conditions lie too deep in each other")
	}
	defer func() { p.depth-- }()
	first, f := p.part()
	if f != nil {
		return nil, f
	}
	whole := &condition{list: []*condition{first}}
	between := ""
	for {
		w := "and"
		if p.now.is("or") {
			w = "or"
		}
		if !p.now.is(w) || p.over() {
			break
		}
		if between != "" && w != between {
			return nil, p.fault(`"and" and "or" are mixed: put parentheses around what belongs together`)
		}
		between = w
		p.advance()
		next, f := p.part()
		if f != nil {
			return nil, f
		}
		whole.list = append(whole.list, next)
	}
	switch between {
	case "":
		return first, nil
	case "and":
		whole.op = allOf
	default:
		whole.op = anyOf
	}
	return whole, nil
}

// part reads a test, "not" with a part, or a condition in parentheses.
func (p *parser) part() (*condition, *Fault) {
	switch {
	case p.take("not"):
		if p.depth++; p.depth > maxDepth {
			return nil, p.fault("conditions lie too deep in each other")
		}
		defer func() { p.depth-- }()
		c, f := p.part()
		return &condition{op: noneOf, list: []*condition{c}}, f
	case p.now.isMark("("):
		p.advance()
		c, f := p.condition()
		if f != nil {
			return nil, f
		}
		if !p.now.isMark(")") {
			return nil, p.expected("and, or or a closing parenthesis")
		}
		p.advance()
		return c, nil
	}
	t, f := p.test()
	if f != nil {
		return nil, f
	}
	if t.id = p.rules.tests; t.id >= MaxTests {
		p.full = true
		return nil, p.fault("there are more than ", strconv.Itoa(MaxTests), " tests in all rules")
	}
	p.rules.tests++
	return &condition{test: t}, nil
}

// actions reads what follows "then".
func (p *parser) actions(r *rule) *Fault {
	for {
		at := p.now
		a, f := p.action(r)
		if f != nil {
			return f
		}
		if r.last && !p.over() {
			return p.fault("stop is the last action of a rule, found ", p.now.say(), " after it")
		}
		if a.Kind != 0 {
			if wrong := a.wrong(p.way); wrong != "" {
				p.now = at
				return p.fault(wrong)
			}
			a.Symbol = r.symbol(a.Symbol)
			if a.Detail == "" {
				a.Detail = r.title()
			}
			r.do = append(r.do, a)
		}
		switch {
		case p.over():
			return nil
		case p.now.isMark(","):
			p.advance()
			p.take("and")
		case !p.take("and"):
			return p.expected("and or a comma before another action, or a new rule on a new line")
		}
	}
}

// wrong says why an action is not for mail of a way, or nothing.
func (a action) wrong(way Way) string {
	switch {
	case way == Incoming && a.Kind == abi.RequireTLS:
		return "only mail that goes out can be made to require TLS"
	case way == Outgoing && (a.Kind == abi.FileInto || a.Kind == abi.Tag || a.Kind == abi.Stop && a.Stop == abi.Discard):
		return "mail that goes out is not filed, tagged or discarded"
	}
	return ""
}

// title names the rule for people.
func (r *rule) title() string {
	s := "rule " + strconv.Itoa(r.number)
	if r.name != "" {
		s += ` "` + r.name + `"`
	}
	return s + " in line " + strconv.Itoa(r.line)
}

// symbol names what the rule finds for programs, if the rule says no other.
func (r *rule) symbol(own string) string {
	if own != "" {
		return own
	}
	name := strconv.Itoa(r.number)
	if r.name != "" {
		name = symbolOf(r.name)
	}
	return "RULE_" + name
}

// symbolOf turns a name into capitals, digits and underscores.
func symbolOf(name string) string {
	const most = 50
	var b strings.Builder
	for _, c := range strings.ToUpper(name) {
		if c < '0' || c > '9' && c < 'A' || c > 'Z' {
			c = '_'
		}
		if b.WriteRune(c); b.Len() == most {
			break
		}
	}
	return b.String()
}
