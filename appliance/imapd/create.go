package imapd

import (
	"errors"
	"strings"

	"hauspost/store"
)

// specialUses are the special uses that a mailbox can be given (RFC 6154), by
// their names in lower case.
var specialUses = map[string]string{
	`\archive`: `\Archive`, `\drafts`: `\Drafts`, `\flagged`: `\Flagged`,
	`\junk`: `\Junk`, `\sent`: `\Sent`, `\trash`: `\Trash`,
}

// runCreate is CREATE with CREATE-SPECIAL-USE (RFC 6154, section 3).
func runCreate(s *session, c *call) error {
	if err := c.Space(); err != nil {
		return err
	}
	name, err := s.mailbox(c)
	if err != nil {
		return err
	}
	var use string
	if c.Skip(' ') {
		if use, err = createParams(c); err != nil {
			return err
		}
	}
	if err := c.End(); err != nil {
		return err
	}
	// A separator at the end announces children (RFC 9051, section 6.3.4).
	name = strings.TrimSuffix(name, "/")
	if err := checkName(name); err != nil {
		return err
	}
	boxes, err := s.srv.store.Mailboxes(s.srv.ctx, s.account.ID)
	if err != nil {
		return err
	}
	if len(boxes) >= s.srv.limits.MaxMailboxes {
		return no("LIMIT", "You have too many mailboxes already")
	}
	if use != "" {
		for i := range boxes {
			if boxes[i].SpecialUse == use {
				return no("USEATTR", "Another mailbox has this use already")
			}
		}
	}
	_, err = s.srv.store.CreateMailbox(s.srv.ctx, s.account.ID, name, use)
	if errors.Is(err, store.ErrExists) {
		return no("ALREADYEXISTS", "There is such a mailbox already")
	}
	if errors.Is(err, store.ErrNotAllowed) {
		return no("CANNOT", "This mailbox cannot be made")
	}
	return err
}

// createParams reads the list of parameters, of which there is only USE.
func createParams(c *call) (use string, err error) {
	err = c.List(func() error {
		param, err := c.Word()
		if err != nil {
			return err
		}
		if param != "USE" {
			return bad("There is no CREATE parameter %s", param)
		}
		if err := c.Space(); err != nil {
			return err
		}
		return c.List(func() error {
			if err := c.Expect('\\'); err != nil {
				return err
			}
			name, err := c.Atom()
			if err != nil {
				return err
			}
			known := specialUses[`\`+strings.ToLower(name)]
			if known == "" || use != "" {
				return no("USEATTR", "A mailbox has one of the uses Archive, Drafts, Flagged, Junk, Sent, Trash")
			}
			use = known
			return nil
		})
	})
	return use, err
}
