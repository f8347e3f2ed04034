package headers

import (
	"net/netip"
	"strconv"
	"strings"
)

// test reads a subject, a verb and its values.
func (p *parser) test() (*test, *Fault) {
	t := &test{}
	if f := p.subject(t); f != nil {
		return nil, f
	}
	if p.now.isMark(":") {
		p.advance()
	}
	f := p.verb(t)
	if f != nil || t.verb == exists {
		return t, f
	}
	if t.about == messageSize {
		return t, p.size(t)
	}
	return t, p.values(t)
}

// subjects are the words that stand for something else than a header field.
var subjects = map[string]subject{
	"sender": envelopeSender, "recipient": envelopeRecipient, "client": client, "helo": helo,
	"size": messageSize, "fact": fact, "header": headerField,
}

func (p *parser) subject(t *test) *Fault {
	if p.over() || p.now.kind != word {
		return p.expected("a header field, sender, recipient, client, helo, fact or size")
	}
	for _, w := range []string{"if", "then", "and", "or"} {
		if p.now.is(w) {
			return p.expected("a header field, sender, recipient, client, helo, fact or size")
		}
	}
	name := strings.ToLower(p.now.text)
	about, known := subjects[name]
	t.about = about
	if known {
		p.advance()
		if about != headerField && about != fact {
			return nil
		}
		what := "the name of a header field"
		if about == fact {
			what = "the name of a fact, such as dmarc"
		}
		if p.over() || p.now.kind != word && p.now.kind != text || p.now.text == "" {
			return p.expected(what)
		}
		name = strings.ToLower(p.now.text)
	}
	t.name = name
	if about == headerField && !fieldName(name) {
		return p.fault(p.now.say(), " cannot be the name of a header field")
	}
	p.advance()
	if about != headerField || !addressFields[name] {
		return nil
	}
	switch {
	case p.take("name"):
		t.part = nameOnly
	case p.take("address"):
		t.part = addressOnly
	}
	return nil
}

// fieldName tells whether s can name a header field (RFC 5322, section 2.2).
func fieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ':' {
			return false
		}
	}
	return s != "" && len(s) <= 76
}

// verbs are spelled in several words; "does" and "is" may be followed by "not".
var verbs = []struct {
	words string
	verb  verb
}{
	{"contains", contains}, {"contain", contains},
	{"begins with", beginsWith}, {"begin with", beginsWith}, {"starts with", beginsWith}, {"start with", beginsWith},
	{"ends with", endsWith}, {"end with", endsWith},
	{"matches", matches}, {"match", matches},
	{"exists", exists}, {"exist", exists},
	{"is not present", exists}, {"is present", exists}, {"is not missing", exists}, {"is missing", exists},
	{"is larger than", larger}, {"is smaller than", smaller},
	{"is not", equals}, {"is", equals},
}

const verbHelp = "contains, is, begins with, ends with, matches, exists, is missing"

// verb reads one of verbs, with "does not" before it where it is in its other
// form.
func (p *parser) verb(t *test) *Fault {
	at := p.now
	does := p.take("does")
	if does {
		if !p.take("not") {
			return p.expected("not after does")
		}
		t.negate = true
	}
	for _, v := range verbs {
		first, more, _ := strings.Cut(v.words, " ")
		if plain := strings.HasSuffix(first, "s"); plain == does || !p.phrase(first, more) {
			continue
		}
		t.verb = v.verb
		switch v.words {
		case "is not present", "is missing", "is not":
			t.negate = true
		}
		if sized := v.verb == larger || v.verb == smaller; sized != (t.about == messageSize) {
			p.now = at
			if sized {
				return p.fault("only size can be larger or smaller than something")
			}
			return p.fault("size is larger than or smaller than something")
		}
		return nil
	}
	if t.about == messageSize {
		return p.expected("is larger than or is smaller than")
	}
	return p.expected(verbHelp)
}

// phrase takes one or more words, or none of them. Of more than two words the
// parser cannot see the third before it has taken the first: where "is not" and
// "is larger" go on otherwise, the second word decides alone.
func (p *parser) phrase(first, more string) bool {
	if p.over() || !p.now.is(first) {
		return false
	}
	if more == "" {
		p.advance()
		return true
	}
	second, third, _ := strings.Cut(more, " ")
	if !p.next.is(second) {
		return false
	}
	if third == "" {
		p.advance()
		p.advance()
		return true
	}
	ahead := *p.lex
	if t := ahead.next(); !t.is(third) {
		return false
	}
	p.advance()
	p.advance()
	p.advance()
	return true
}

// units are those of sizes.
var units = map[string]int64{
	"": 1, "b": 1, "octets": 1, "bytes": 1, "kb": 1 << 10, "k": 1 << 10, "mb": 1 << 20, "m": 1 << 20, "gb": 1 << 30, "g": 1 << 30,
}

func (p *parser) size(t *test) *Fault {
	const what = "a size such as 500 KB or 10 MB"
	if p.over() || p.now.kind != word {
		return p.expected(what)
	}
	digits := strings.TrimRight(strings.ToLower(p.now.text), "abcdefghijklmnopqrstuvwxyz")
	unit := strings.ToLower(p.now.text[len(digits):])
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n < 0 {
		return p.expected(what)
	}
	if _, ok := units[strings.ToLower(p.next.text)]; unit == "" && ok && p.next.kind == word {
		p.advance()
		unit = strings.ToLower(p.now.text)
	}
	scale, ok := units[unit]
	if !ok {
		return p.expected(what)
	}
	t.octets = n * scale
	p.advance()
	return nil
}

// values reads one text, or "one of" and several.
func (p *parser) values(t *test) *Fault {
	several := false
	if p.phrase("one", "of") || p.phrase("any", "of") {
		several = true
	}
	parens := several && p.now.isMark("(")
	if parens {
		p.advance()
	}
	for {
		if p.over() || p.now.kind != text {
			return p.expected("a text in quotes")
		}
		if f := p.value(t); f != nil {
			return f
		}
		p.advance()
		// A comma after the last text belongs to "then".
		if !several || !p.now.isMark(",") || p.next.kind != text {
			break
		}
		p.advance()
	}
	if parens {
		if !p.now.isMark(")") {
			return p.expected("a comma or a closing parenthesis")
		}
		p.advance()
	}
	return nil
}

func (p *parser) value(t *test) *Fault {
	v := p.now.text
	most := MaxText
	if t.verb == matches {
		most = MaxGlob
	}
	switch {
	case v == "":
		return p.fault(`the text is empty; use "is missing" or "exists"`)
	case len(v) > most:
		return p.fault("the text is longer than ", strconv.Itoa(most), " octets")
	}
	if t.about == client && t.verb == equals && strings.Contains(v, "/") {
		n, err := netip.ParsePrefix(v)
		if err != nil {
			return p.fault(p.now.say(), ` is no network; write it like "192.0.2.0/24"`)
		}
		t.nets = append(t.nets, n.Masked())
		return nil
	}
	// Space at the ends counts, so that " ad " does not find "bread".
	t.values = append(t.values, strings.ToLower(v))
	return nil
}
