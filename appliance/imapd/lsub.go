package imapd

import (
	"strings"

	"hauspost/appliance/imapd/wire"
)

// runLsub is LSUB (RFC 3501, section 6.3.9): the subscribed names, and those of
// their parents that a pattern with "%" stops at.
func runLsub(s *session, c *call) error {
	var l listing
	if err := c.Space(); err != nil {
		return err
	}
	if _, err := l.readPatterns(s, c); err != nil {
		return err
	}
	if err := c.End(); err != nil {
		return err
	}
	boxes, err := s.srv.store.Mailboxes(s.srv.ctx, s.account.ID)
	if err != nil {
		return err
	}
	if boxes, err = s.withOrphans(boxes); err != nil {
		return err
	}
	told := map[string]bool{}
	for i := range boxes {
		if boxes[i].Subscribed {
			told[boxes[i].Name] = true
		}
	}
	for i := range boxes {
		if !boxes[i].Subscribed {
			continue
		}
		name := boxes[i].Name
		if l.matches(name) {
			s.writeLsub(name, boxes[i].NoSelect)
			continue
		}
		for cut := strings.LastIndexByte(name, '/'); cut > 0; cut = strings.LastIndexByte(name, '/') {
			if name = name[:cut]; !told[name] && l.matches(name) {
				told[name] = true
				s.writeLsub(name, true)
				break
			}
		}
	}
	return nil
}

func (s *session) writeLsub(name string, noSelect bool) {
	w := append(s.w.B, "* LSUB ("...)
	if noSelect {
		w = append(w, `\Noselect`...)
	}
	w = append(w, `) "/" `...)
	s.w.B = wire.AppendMailbox(w, name, s.utf8Names())
	s.w.End()
}
