package headers

import (
	"strconv"
	"strings"
	"unicode"

	"hauspost/plugins/abi"
)

const actionHelp = "an action: file into, tag, score, add field, quarantine, reject, discard, copy to, redirect to, require TLS, exempt or stop"

// action reads one action. That of "stop" has no kind.
func (p *parser) action(r *rule) (a action, f *Fault) {
	switch {
	case p.over():
		return a, p.expected(actionHelp)
	case p.phrase("file", "into"):
		a.Kind = abi.FileInto
		a.Argument, f = p.argument("the mailbox in quotes", mailboxName)
	case p.take("tag"):
		p.take("with")
		a.Kind = abi.Tag
		a.Argument, f = p.argument("the tag in quotes", tagName)
	case p.take("score"):
		f = p.score(&a)
	case p.phrase("add", "field"):
		f = p.addField(&a)
	case p.take("quarantine"):
		a.Kind, a.Stop = abi.Stop, abi.Quarantine
		a.Detail = p.reason()
	case p.take("reject"):
		a.Kind, a.Stop = abi.Stop, abi.Reject
		a.Detail = p.reason()
	case p.take("discard"):
		a.Kind, a.Stop = abi.Stop, abi.Discard
		a.Detail = p.reason()
	case p.phrase("copy", "to"):
		a.Kind = abi.Copy
		a.Argument, f = p.argument("an address in quotes", address)
	case p.phrase("redirect", "to"):
		a.Kind = abi.Redirect
		a.Argument, f = p.argument("an address in quotes", address)
	case p.phrase("require", "TLS"):
		a.Kind = abi.RequireTLS
	case p.take("exempt"):
		a.Kind = abi.Exempt
	case p.take("stop"):
		r.last = true
	default:
		f = p.expected(actionHelp)
	}
	return a, f
}

// argument reads a text that passes a check; the check says what is wrong.
func (p *parser) argument(what string, check func(string) string) (string, *Fault) {
	if p.over() || p.now.kind != text {
		return "", p.expected(what)
	}
	v := p.now.text
	if len(v) > MaxText {
		return "", p.fault("the text is longer than ", strconv.Itoa(MaxText), " octets")
	}
	if wrong := check(v); wrong != "" {
		return "", p.fault(p.now.say(), " ", wrong)
	}
	p.advance()
	return v, nil
}

// reason reads words for the owner, if there are some.
func (p *parser) reason() string {
	if p.over() || p.now.kind != text || words(p.now.text) != "" {
		return ""
	}
	v := p.now.text
	p.advance()
	return v
}

func (p *parser) score(a *action) *Fault {
	a.Kind = abi.Score
	points, err := strconv.ParseFloat(p.now.text, 64)
	if p.over() || p.now.kind != word || err != nil {
		return p.expected("points, such as 2.5 or -3, after score")
	}
	if !(points >= -MaxScore && points <= MaxScore) {
		return p.fault("points are from -", strconv.Itoa(MaxScore), " to ", strconv.Itoa(MaxScore))
	}
	a.Points = points
	p.advance()
	if !p.take("as") {
		return nil
	}
	if p.over() || p.now.kind != word && p.now.kind != text {
		return p.expected("a name such as LOOKS_ODD after as")
	}
	if p.now.text == "" || symbolOf(p.now.text) != p.now.text {
		return p.fault("the name of a score has capitals, digits and underscores, such as LOOKS_ODD")
	}
	a.Symbol = p.now.text
	p.advance()
	return nil
}

// fieldPrefix begins the names of the fields that rules can add. The manifest
// asks for no others, so that no rule can forge what somebody else says.
const fieldPrefix = "X-Rule-"

// addField reads a name and a value.
func (p *parser) addField(a *action) *Fault {
	a.Kind = abi.AddHeader
	if p.over() || p.now.kind != word && p.now.kind != text {
		return p.expected("the name of the field")
	}
	a.Name = p.now.text
	n := len(fieldPrefix)
	if len(a.Name) <= n || !strings.EqualFold(a.Name[:n], fieldPrefix) || strings.Trim(a.Name, nameSigns) != "" {
		return p.fault("the name of a field that is added begins with ", fieldPrefix, " and goes on with letters, digits and -, found ", p.now.say())
	}
	p.advance()
	if p.now.isMark(":") {
		p.advance()
	}
	var f *Fault
	a.Argument, f = p.argument("the value of the field in quotes", words)
	return f
}

// nameSigns are those of names of header fields.
const nameSigns = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

// The checks of arguments say what is wrong, or nothing.

func words(s string) string {
	if strings.TrimSpace(s) == "" {
		return "says nothing"
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "has characters that cannot be written"
	}
	return ""
}

func mailboxName(s string) string {
	switch {
	case words(s) != "":
		return words(s)
	case strings.HasPrefix(s, "/") || strings.HasSuffix(s, "/") || strings.Contains(s, "//"):
		return `is no mailbox; write mailboxes in others like "Shops/Books"`
	}
	return ""
}

func tagName(s string) string {
	if s == "" || len(s) > 60 || s[0] == '\\' || strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`(){}[]%*"\`, r)
	}) {
		return "is no tag: tags are one word of letters, digits and signs like $ and -, at most 60"
	}
	return ""
}

func address(s string) string {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || domain == "" || strings.ContainsAny(domain, `@"`) || strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`<>(),;:"\`, r)
	}) {
		return "is no mail address"
	}
	return ""
}
