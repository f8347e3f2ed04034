package imapd

import (
	"strings"

	"hauspost/appliance/imapd/wire"
	"hauspost/store"
)

// maxPatterns bounds the patterns of one LIST.
const maxPatterns = 50

// listing is one LIST command (RFC 9051, section 6.3.9).
type listing struct {
	patterns []*wire.Pattern
	// Selection options.
	subscribed, specialUse, recursive bool
	// Return options. CHILDREN costs nothing and is always told.
	showSubscribed bool
	status         []*statusItem
}

func runList(s *session, c *call) error {
	var l listing
	if err := c.Space(); err != nil {
		return err
	}
	extended := c.Peek() == '('
	if extended {
		if err := l.readOptions(s, c, listSelection); err != nil {
			return err
		}
		if l.recursive && !l.subscribed && !l.specialUse {
			return bad("RECURSIVEMATCH needs another selection option")
		}
		if err := c.Space(); err != nil {
			return err
		}
	}
	empty, err := l.readPatterns(s, c)
	if err != nil {
		return err
	}
	if c.Skip(' ') {
		if w, err := c.Word(); err != nil || w != "RETURN" {
			return bad("Syntax: expected RETURN")
		}
		if err := c.Space(); err != nil {
			return err
		}
		if err := l.readOptions(s, c, listReturn); err != nil {
			return err
		}
	}
	if err := c.End(); err != nil {
		return err
	}
	// In the extended form an empty pattern is one like others.
	if empty && !extended {
		s.w.B = append(s.w.B, `* LIST (\Noselect) "/" ""`...)
		s.w.End()
		return nil
	}
	return l.run(s)
}

// readPatterns reads the reference and the patterns. empty tells that the client
// asks for the separator only.
func (l *listing) readPatterns(s *session, c *call) (empty bool, err error) {
	raw, err := c.AString()
	if err != nil {
		return false, err
	}
	reference, refOK := s.patternName(raw)
	if err := c.Space(); err != nil {
		return false, err
	}
	one := func() error {
		raw, err := c.Pattern()
		if err != nil {
			return err
		}
		if len(l.patterns) >= maxPatterns {
			return no("LIMIT", "Too many patterns in one command")
		}
		pattern, patternOK := s.patternName(raw)
		empty = pattern == ""
		if refOK && patternOK {
			l.patterns = append(l.patterns, wire.CompilePattern(reference+pattern))
		}
		return nil
	}
	if c.Peek() == '(' {
		err = c.List(one)
		return false, err
	}
	err = one()
	return empty, err
}

// patternName turns a pattern as the client spells it into UTF-8. What is
// malformed matches nothing.
func (s *session) patternName(raw string) (string, bool) {
	if s.utf8Names() {
		return raw, true
	}
	name, err := wire.DecodeUTF7(raw)
	return name, err == nil
}

func (l *listing) matches(name string) bool {
	for _, p := range l.patterns {
		if p.Match(name) {
			return true
		}
	}
	return false
}

// selects tells whether a mailbox meets the selection options.
func (l *listing) selects(mb *store.Mailbox) bool {
	return (!l.subscribed || mb.Subscribed) && (!l.specialUse || mb.SpecialUse != "")
}

func (l *listing) run(s *session) error {
	boxes, err := s.srv.store.Mailboxes(s.srv.ctx, s.account.ID)
	if err != nil {
		return err
	}
	parents := ancestors(boxes, func(*store.Mailbox) bool { return true })
	existing := len(boxes)
	if l.subscribed {
		if boxes, err = s.withOrphans(boxes); err != nil {
			return err
		}
	}
	var childInfo map[string]bool
	if l.recursive {
		childInfo = ancestors(boxes, l.selects)
	}
	for i := range boxes {
		mb := &boxes[i]
		if !l.selects(mb) && !childInfo[mb.Name] || !l.matches(mb.Name) {
			continue
		}
		l.write(s, mb, listed{parents[mb.Name], childInfo[mb.Name], i >= existing})
		if len(l.status) > 0 && !mb.NoSelect {
			if err := s.writeStatus(mb, l.status); err != nil {
				return err
			}
		}
	}
	return nil
}

// withOrphans adds the names that are subscribed though there is no such
// mailbox (any more), as mailboxes that cannot be selected.
func (s *session) withOrphans(boxes []store.Mailbox) ([]store.Mailbox, error) {
	names, err := s.srv.store.Subscriptions(s.srv.ctx, s.account.ID)
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(boxes))
	for i := range boxes {
		known[boxes[i].Name] = true
	}
	for _, name := range names {
		if !known[name] {
			boxes = append(boxes, store.Mailbox{Name: name, Subscribed: true, NoSelect: true})
		}
	}
	return boxes, nil
}

// listed is what LIST tells of a mailbox beyond the mailbox itself.
type listed struct{ hasChildren, childInfo, orphan bool }

// ancestors gives the names that have a mailbox below them which is wanted.
func ancestors(boxes []store.Mailbox, wanted func(*store.Mailbox) bool) map[string]bool {
	set := map[string]bool{}
	for i := range boxes {
		if !wanted(&boxes[i]) {
			continue
		}
		for name := boxes[i].Name; ; {
			cut := strings.LastIndexByte(name, '/')
			if cut < 0 || set[name[:cut]] {
				break
			}
			name = name[:cut]
			set[name] = true
		}
	}
	return set
}

func (l *listing) write(s *session, mb *store.Mailbox, x listed) {
	w := append(s.w.B, "* LIST ("...)
	if x.hasChildren {
		w = append(w, `\HasChildren`...)
	} else {
		w = append(w, `\HasNoChildren`...)
	}
	switch {
	case x.orphan:
		w = append(w, ` \NonExistent`...)
	case mb.NoSelect:
		w = append(w, ` \Noselect`...)
	}
	if l.showSubscribed && mb.Subscribed {
		w = append(w, ` \Subscribed`...)
	}
	if mb.SpecialUse != "" {
		w = append(w, ' ')
		w = append(w, mb.SpecialUse...)
	}
	w = append(w, `) "/" `...)
	w = wire.AppendMailbox(w, mb.Name, s.utf8Names())
	if x.childInfo {
		w = append(w, ` ("CHILDINFO" (`...)
		if l.subscribed {
			w = append(w, `"SUBSCRIBED"`...)
		}
		if l.specialUse {
			if l.subscribed {
				w = append(w, ' ')
			}
			w = append(w, `"SPECIAL-USE"`...)
		}
		w = append(w, "))"...)
	}
	s.w.B = w
	s.w.End()
}
