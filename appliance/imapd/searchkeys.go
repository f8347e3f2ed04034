package imapd

import (
	"bytes"
	"slices"
	"strings"

	"hauspost/appliance/message"
	"hauspost/store"
)

// Limits on the criteria of one SEARCH.
const (
	maxSearchDepth = 200
	maxSearchKeys  = 2000
	maxFileKeys    = 50
)

// searchParser reads the criteria of one SEARCH.
type searchParser struct {
	s *session
	*call
	q     *searching
	depth int
	keyNo int
	files int
}

// searchKeys is the table of search keys. Each reads its own arguments.
var searchKeys map[string]func(p *searchParser) (searchNode, error)

func init() {
	searchKeys = map[string]func(p *searchParser) (searchNode, error){
		"ALL":        always,
		"ANSWERED":   flagKey(store.Answered, true),
		"DELETED":    flagKey(store.Deleted, true),
		"DRAFT":      flagKey(store.Draft, true),
		"FLAGGED":    flagKey(store.Flagged, true),
		"SEEN":       flagKey(store.Seen, true),
		"UNANSWERED": flagKey(store.Answered, false),
		"UNDELETED":  flagKey(store.Deleted, false),
		"UNDRAFT":    flagKey(store.Draft, false),
		"UNFLAGGED":  flagKey(store.Flagged, false),
		"UNSEEN":     flagKey(store.Seen, false),
		"NEW":        memoryKey(func(m *searched) bool { return m.entry.Flags&store.Seen == 0 && m.box.isRecent(m.entry.UID) }),
		"OLD":        memoryKey(func(m *searched) bool { return !m.box.isRecent(m.entry.UID) }),
		"RECENT":     memoryKey(func(m *searched) bool { return m.box.isRecent(m.entry.UID) }),
		"KEYWORD":    func(p *searchParser) (searchNode, error) { return p.keyword(true) },
		"UNKEYWORD":  func(p *searchParser) (searchNode, error) { return p.keyword(false) },
		"UID":        (*searchParser).uidSet,
		"LARGER":     func(p *searchParser) (searchNode, error) { return p.size(func(is, n uint64) bool { return is > n }) },
		"SMALLER":    func(p *searchParser) (searchNode, error) { return p.size(func(is, n uint64) bool { return is < n }) },
		"BEFORE":     func(p *searchParser) (searchNode, error) { return p.internal(func(is, d int64) bool { return is < d }) },
		"ON": func(p *searchParser) (searchNode, error) {
			return p.internal(func(is, d int64) bool { return is == d })
		},
		"SINCE": func(p *searchParser) (searchNode, error) {
			return p.internal(func(is, d int64) bool { return is >= d })
		},
		"SENTBEFORE": func(p *searchParser) (searchNode, error) { return p.sent(func(is, d int64) bool { return is < d }) },
		"SENTON":     func(p *searchParser) (searchNode, error) { return p.sent(func(is, d int64) bool { return is == d }) },
		"SENTSINCE":  func(p *searchParser) (searchNode, error) { return p.sent(func(is, d int64) bool { return is >= d }) },
		"FROM":       func(p *searchParser) (searchNode, error) { return p.column("FROM") },
		"TO":         func(p *searchParser) (searchNode, error) { return p.column("TO") },
		"CC":         func(p *searchParser) (searchNode, error) { return p.column("CC") },
		"BCC":        func(p *searchParser) (searchNode, error) { return p.column("BCC") },
		"SUBJECT":    func(p *searchParser) (searchNode, error) { return p.column("SUBJECT") },
		"HEADER":     (*searchParser).header,
		"BODY":       func(p *searchParser) (searchNode, error) { return p.text(false) },
		"TEXT":       func(p *searchParser) (searchNode, error) { return p.text(true) },
		"MODSEQ":     (*searchParser).modseq,
		"NOT":        (*searchParser).not,
		"OR":         (*searchParser).or,
	}
}

// keys reads criteria up to the end of the command; all must hold.
func (p *searchParser) keys() (searchNode, error) {
	var nodes []searchNode
	for {
		n, err := p.key()
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		if !p.Skip(' ') || p.AtEnd() {
			return newAllOf(nodes), nil
		}
	}
}

// key reads one criterion.
func (p *searchParser) key() (searchNode, error) {
	if p.keyNo++; p.keyNo > maxSearchKeys {
		return nil, no("LIMIT", "Too many criteria in one search")
	}
	if p.depth++; p.depth > maxSearchDepth {
		return nil, no("LIMIT", "The criteria are nested too deep")
	}
	defer func() { p.depth-- }()
	switch {
	case p.Peek() == '(':
		var nodes []searchNode
		if err := p.List(func() error {
			n, err := p.key()
			nodes = append(nodes, n)
			return err
		}); err != nil {
			return nil, err
		}
		if len(nodes) == 0 {
			return nil, bad("Syntax: expected a search key")
		}
		return newAllOf(nodes), nil
	case p.IsSet():
		return p.set(false)
	}
	name, err := p.Word()
	if err != nil {
		return nil, bad("Syntax: expected a search key")
	}
	read := searchKeys[name]
	if read == nil {
		return nil, bad("There is no search key %s", name)
	}
	return read(p)
}

func always(*searchParser) (searchNode, error) {
	return &leaf{match: func(*searched) bool { return true }}, nil
}

func memoryKey(match func(m *searched) bool) func(p *searchParser) (searchNode, error) {
	return func(*searchParser) (searchNode, error) { return &leaf{match: match}, nil }
}

func flagKey(flag store.Flags, want bool) func(p *searchParser) (searchNode, error) {
	return memoryKey(func(m *searched) bool { return (m.entry.Flags&flag != 0) == want })
}

func (p *searchParser) keyword(want bool) (searchNode, error) {
	if err := p.Space(); err != nil {
		return nil, err
	}
	name, err := p.Atom()
	if err != nil {
		return nil, err
	}
	var bit store.Flags
	mb, err := p.s.box.live.Mailbox()
	if err != nil {
		return nil, err
	}
	for i, k := range mb.Keywords {
		if strings.EqualFold(k, name) {
			bit = 1 << (firstKeyword + i)
		}
	}
	return &leaf{match: func(m *searched) bool { return (m.entry.Flags&bit != 0) == want }}, nil
}

func (p *searchParser) uidSet() (searchNode, error) {
	if err := p.Space(); err != nil {
		return nil, err
	}
	return p.set(true)
}

func (p *searchParser) set(byUID bool) (searchNode, error) {
	set, err := p.Set()
	if err != nil {
		return nil, err
	}
	in, err := p.s.resolve(set, byUID)
	if err != nil {
		return nil, err
	}
	return &leaf{match: func(m *searched) bool {
		i, found := slices.BinarySearchFunc(in, m.seq-1, func(s span, i int) int { return s.lo - i })
		return found || i > 0 && m.seq-1 < in[i-1].hi
	}}, nil
}

func (p *searchParser) size(holds func(is, n uint64) bool) (searchNode, error) {
	if err := p.Space(); err != nil {
		return nil, err
	}
	n, err := p.Number64()
	if err != nil {
		return nil, err
	}
	return &leaf{match: func(m *searched) bool { return holds(uint64(m.entry.Size), n) }}, nil
}

// internal compares the day of INTERNALDATE as it is written, time and zone
// apart.
func (p *searchParser) internal(holds func(is, day int64) bool) (searchNode, error) {
	day, err := p.day()
	if err != nil {
		return nil, err
	}
	return &leaf{match: func(m *searched) bool {
		return holds(floorDay(m.entry.Internal+int64(m.entry.Zone)*60), day)
	}}, nil
}

// sent compares the day of the Date header as it is written. A message without
// one matches nothing.
func (p *searchParser) sent(holds func(is, day int64) bool) (searchNode, error) {
	day, err := p.day()
	if err != nil {
		return nil, err
	}
	p.q.need.cols |= store.ColEnvelope
	return &leaf{needs: costRow, match: func(m *searched) bool {
		t, found := message.EnvelopeDate(m.row.Envelope)
		if !found {
			return false
		}
		_, zone := t.Zone()
		return holds(floorDay(t.Unix()+int64(zone)), day)
	}}, nil
}

func (p *searchParser) day() (int64, error) {
	if err := p.Space(); err != nil {
		return 0, err
	}
	return p.Date()
}

// floorDay turns seconds into days, downwards also before 1970.
func floorDay(seconds int64) int64 {
	day := seconds / 86400
	if seconds%86400 < 0 {
		day--
	}
	return day
}

func (p *searchParser) needle() (string, error) {
	if err := p.Space(); err != nil {
		return "", err
	}
	text, err := p.AString()
	return message.Fold(text), err
}

// columns give the search forms that the index keeps of some header fields.
var columns = map[string]func(r *store.Row) []byte{
	"FROM":    func(r *store.Row) []byte { return r.From },
	"TO":      func(r *store.Row) []byte { return r.To },
	"CC":      func(r *store.Row) []byte { return r.Cc },
	"BCC":     func(r *store.Row) []byte { return r.Bcc },
	"SUBJECT": func(r *store.Row) []byte { return r.Subject },
}

func (p *searchParser) column(name string) (searchNode, error) {
	text, err := p.needle()
	if err != nil {
		return nil, err
	}
	return p.columnNode(name, text), nil
}

func (p *searchParser) columnNode(name, text string) searchNode {
	needle, column := []byte(text), columns[name]
	p.q.need.cols |= store.ColSearch
	return &leaf{needs: costRow, match: func(m *searched) bool { return bytes.Contains(column(m.row), needle) }}
}

// header is HEADER. What the index has in a search form is looked up there;
// whether a field exists at all, and all other fields, in the file.
func (p *searchParser) header() (searchNode, error) {
	if err := p.Space(); err != nil {
		return nil, err
	}
	name, err := p.AString()
	if err != nil {
		return nil, err
	}
	text, err := p.needle()
	if err != nil {
		return nil, err
	}
	upper := strings.ToUpper(name)
	switch {
	case text == "":
	case columns[upper] != nil:
		return p.columnNode(upper, text), nil
	case upper == "MESSAGE-ID":
		p.q.need.cols |= store.ColSearch
		return &leaf{needs: costRow, match: func(m *searched) bool {
			return strings.Contains(message.Fold(string(m.row.MessageID)), text)
		}}, nil
	}
	return p.fileKey(func(m *searched) bool { return message.MatchHeader(m.header, name, text) })
}

func (p *searchParser) text(headers bool) (searchNode, error) {
	text, err := p.needle()
	if err != nil {
		return nil, err
	}
	if text == "" {
		return always(p)
	}
	return p.fileKey(func(m *searched) bool { return message.MatchText(m.raw, m.row.Structure, text, headers) })
}

func (p *searchParser) fileKey(match func(m *searched) bool) (searchNode, error) {
	if p.files++; p.files > maxFileKeys {
		return nil, no("LIMIT", "Too many criteria on the text of messages in one search")
	}
	p.q.need.files = true
	return &leaf{needs: costFile, match: match}, nil
}

// modseq is MODSEQ of RFC 7162, section 3.1.5. The entry name is let pass: one
// mod-sequence stands for all flags of a message.
func (p *searchParser) modseq() (searchNode, error) {
	if err := p.Space(); err != nil {
		return nil, err
	}
	if p.Peek() == '"' {
		if _, err := p.String(); err != nil {
			return nil, err
		}
		if err := p.Space(); err != nil {
			return nil, err
		}
		if kind, err := p.Word(); err != nil || kind != "ALL" && kind != "PRIV" && kind != "SHARED" {
			return nil, bad("Syntax: expected all, priv or shared")
		}
		if err := p.Space(); err != nil {
			return nil, err
		}
	}
	n, err := p.Number64()
	if err != nil {
		return nil, err
	}
	p.q.modseq = true
	p.s.enableCondstore()
	return &leaf{match: func(m *searched) bool { return m.entry.ModSeq >= n }}, nil
}

func (p *searchParser) not() (searchNode, error) {
	if err := p.Space(); err != nil {
		return nil, err
	}
	n, err := p.key()
	return negation{n}, err
}

func (p *searchParser) or() (searchNode, error) {
	nodes := make([]searchNode, 2)
	for i := range nodes {
		if err := p.Space(); err != nil {
			return nil, err
		}
		var err error
		if nodes[i], err = p.key(); err != nil {
			return nil, err
		}
	}
	cheapestFirst(nodes)
	return anyOf(nodes), nil
}
