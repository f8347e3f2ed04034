package deliver

import (
	"fmt"
	"mime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"hauspost/appliance/envelope"
)

// Bounds of what filters can bring about, for one message and, of what can be
// limited to one recipient, for that one as well.
const (
	maxTags    = 10
	maxTag     = 64
	maxSends   = 5
	maxFields  = 20
	maxHeaders = 16 << 10
	maxField   = 70
	maxValue   = 500
	maxSymbol  = 64
	maxIgnored = 20
	maxLevels  = 10
	maxName    = 255
)

// collector takes the effects of all runs into a verdict.
type collector struct {
	policy *Policy
	v      *envelope.Verdict
	sum    scores
	stops  []objection
	exempt string
	// own is what is for one recipient, in the order in which they came up.
	own []*envelope.Disposition
}

// collect reads the effects of all runs: tags, fields and so on go into v.
func collect(p *Policy, runs []envelope.Run, v *envelope.Verdict) *collector {
	c := &collector{policy: p, v: v}
	for i := range runs {
		for _, e := range works(&runs[i]) {
			if why := c.take(&runs[i], &e); why != "" {
				c.ignore(fmt.Sprintf("%s of filter %s: %s", e.Kind, runs[i].Filter, why))
			}
		}
	}
	c.sum = c.sum.bounded(p)
	return c
}

// works gives the effects of a run, none of one that failed.
func works(r *envelope.Run) []envelope.Effect {
	if r.Failure != "" {
		return nil
	}
	return r.Effects
}

func (c *collector) ignore(what string) {
	what = line(what, 2*maxSaid)
	if len(c.v.Ignored) < maxIgnored && !slices.Contains(c.v.Ignored, what) {
		c.v.Ignored = append(c.v.Ignored, what)
	}
}

// take reads one effect, or says why it is left out.
func (c *collector) take(r *envelope.Run, e *envelope.Effect) (why string) {
	if action, ok := stopOf(e.Kind); ok {
		switch {
		case refuses(action) && isEarly(r.Stage):
			// Was judged at its stage.
			return ""
		case refuses(action) && e.Recipient != "":
			return "the message cannot be refused for one recipient alone"
		}
		return c.stop(r, e, action)
	}
	switch e.Kind {
	case envelope.EffectTag, envelope.EffectFileInto, envelope.EffectCopy, envelope.EffectRedirect:
		return c.place(e)
	}
	if e.Recipient != "" {
		return "it cannot be for one recipient alone"
	}
	switch e.Kind {
	case envelope.EffectScore:
		c.sum.add(scoreOf(c.policy, r, e))
	case envelope.EffectAddHeader:
		return c.field(e)
	case envelope.EffectRequireTLS:
		c.v.RequireTLS = true
	case envelope.EffectExempt:
		// The same one is named in whatever order they came.
		if c.exempt == "" || r.Filter < c.exempt {
			c.exempt = r.Filter
		}
	default:
		return "this version does not know it"
	}
	return ""
}

// stop takes a stop.
func (c *collector) stop(r *envelope.Run, e *envelope.Effect, action envelope.Action) (why string) {
	o := objection{action: action, firm: e.Malware, reason: envelope.Reason{Name: line(e.Symbol, maxSymbol), Text: "filter " + r.Filter}}
	if o.reason.Name == "" {
		o.reason.Name = "filter-" + string(action)
	}
	if e.Detail != "" {
		o.reason.Text += ": " + line(e.Detail, maxSaid)
	} else {
		o.reason.Text += " said " + o.reason.Name
	}
	if e.Malware {
		o.reason.Text += " (malware)"
	}
	if e.Recipient != "" {
		if o.recipient = recipientKey(e.Recipient); o.recipient == "" {
			return fmt.Sprintf("%q is no recipient", line(e.Recipient, maxSaid))
		}
	}
	c.stops = append(c.stops, o)
	return ""
}

// place takes what can be for all or for one recipient.
func (c *collector) place(e *envelope.Effect) (why string) {
	v := c.v
	mailbox, tags, copies, redirects := &v.Mailbox, &v.Tags, &v.Copies, &v.Redirects
	if e.Recipient != "" {
		key := recipientKey(e.Recipient)
		if key == "" {
			return fmt.Sprintf("%q is no recipient", line(e.Recipient, maxSaid))
		}
		d := c.of(key)
		mailbox, tags, copies, redirects = &d.Mailbox, &d.Tags, &d.Copies, &d.Redirects
	}
	switch e.Kind {
	case envelope.EffectTag:
		if !isKeyword(e.Argument) {
			return fmt.Sprintf("%q cannot be an IMAP keyword", line(e.Argument, maxSaid))
		}
		return enlist(tags, e.Argument, maxTags)
	case envelope.EffectCopy:
		return address(copies, e.Argument)
	case envelope.EffectRedirect:
		return address(redirects, e.Argument)
	}
	name, why := mailboxName(e.Argument)
	switch {
	case why != "":
		return fmt.Sprintf("%q: %s", line(e.Argument, maxSaid), why)
	case *mailbox != "" && *mailbox != name:
		return fmt.Sprintf("it goes to %s already", *mailbox)
	}
	*mailbox = name
	return ""
}

// of gives the part of one recipient.
func (c *collector) of(key string) *envelope.Disposition {
	for _, d := range c.own {
		if d.Recipient == key {
			return d
		}
	}
	d := &envelope.Disposition{Recipient: key}
	c.own = append(c.own, d)
	return d
}

// perRecipient completes the verdict with what is for one recipient.
func (c *collector) perRecipient() {
	for i := range c.stops {
		o := &c.stops[i]
		if o.recipient == "" || c.exempt != "" && !o.firm || !o.action.Stronger(c.v.Action) {
			continue
		}
		if d := c.of(o.recipient); o.action.Stronger(d.Action) {
			d.Action, d.Reason = o.action, o.reason
		}
	}
	for _, d := range c.own {
		c.v.Recipients = append(c.v.Recipients, *d)
	}
	slices.SortFunc(c.v.Recipients, func(a, b envelope.Disposition) int { return strings.Compare(a.Recipient, b.Recipient) })
}

// recipientKey is the key of a recipient as filters name it, empty for what is
// none.
func recipientKey(s string) string {
	if strings.EqualFold(s, "postmaster") {
		return envelope.Address{Local: s}.Key()
	}
	a, err := envelope.ParseAddress(s)
	if err != nil {
		return ""
	}
	return a.Key()
}

func address(list *[]string, s string) (why string) {
	a, err := envelope.ParseAddress(s)
	if err != nil {
		return fmt.Sprintf("%q is no address", line(s, maxSaid))
	}
	return enlist(list, a.String(), maxSends)
}

// enlist adds what is not there yet.
func enlist(list *[]string, s string, most int) (why string) {
	switch {
	case slices.ContainsFunc(*list, func(have string) bool { return strings.EqualFold(have, s) }):
		return ""
	case len(*list) >= most:
		return fmt.Sprintf("there are %d already", most)
	}
	*list = append(*list, s)
	return ""
}

// field takes a field for the header. Only names that begin with "X-" are
// allowed: programs and people trust others (From, Authentication-Results,
// DKIM-Signature, List-Unsubscribe …), and signatures may cover that they are
// not there.
func (c *collector) field(e *envelope.Effect) (why string) {
	name := e.Name
	rest, ok := strings.CutPrefix(strings.ToUpper(name), "X-")
	if !ok || rest == "" || len(name) > maxField || strings.Trim(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return fmt.Sprintf("%q cannot be added: the name of a field must begin with X- and have letters, digits and hyphens", line(name, maxSaid))
	}
	f := envelope.Field{Name: name, Value: mime.QEncoding.Encode("utf-8", line(e.Argument, maxValue))}
	switch {
	case f.Value == "":
		return fmt.Sprintf("%s has no value", name)
	case slices.Contains(c.v.Headers, f):
		return ""
	}
	size := len(f.Value)
	for _, have := range c.v.Headers {
		size += len(have.Value)
	}
	if len(c.v.Headers) >= maxFields || size > maxHeaders {
		return "there are too many fields already"
	}
	c.v.Headers = append(c.v.Headers, f)
	return ""
}

// isKeyword tells whether s is a flag-keyword of RFC 9051 that a filter may
// set: an atom, and so no system flag.
func isKeyword(s string) bool {
	if s == "" || len(s) > maxTag {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`(){%*"\]`, s[i]) >= 0 {
			return false
		}
	}
	return true
}

// mailboxName gives the name of a mailbox as the store has it, or says why it
// cannot be one.
func mailboxName(s string) (name, why string) {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) {
		return "", "a mailbox's name has no control characters"
	}
	name = norm.NFC.String(s)
	levels := strings.Split(name, "/")
	switch {
	case name == "" || len(name) > maxName || len(levels) > maxLevels:
		return "", "a mailbox's name is neither empty nor that long"
	case strings.ContainsAny(name, "*%") || name[0] == '#':
		return "", "a mailbox's name has no * or %, and no # at its beginning"
	case slices.ContainsFunc(levels, func(l string) bool { return strings.TrimSpace(l) == "" }):
		return "", "one of its levels is empty"
	case slices.ContainsFunc(levels, func(l string) bool { return l == "." || l == ".." }):
		// Mail programs make paths of names.
		return "", "no level of a mailbox's name is . or .."
	}
	if strings.EqualFold(levels[0], inbox) {
		levels[0] = inbox
	}
	return strings.Join(levels, "/"), ""
}

// line makes one line of text of at most n octets, with single spaces and
// without control characters.
func line(s string, n int) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			return ' '
		case '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069':
			// These turn the direction of a line, and its meaning.
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimSpace(s[:n])
}
