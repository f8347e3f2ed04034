package imapd

// listOption reads the arguments of one option of LIST and notes it.
type listOption func(l *listing, s *session, c *call) error

// listSelection is the table of selection options (RFC 5258, section 3.1).
var listSelection = map[string]listOption{
	"SUBSCRIBED": func(l *listing, _ *session, _ *call) error {
		l.subscribed, l.showSubscribed = true, true
		return nil
	},
	"RECURSIVEMATCH": func(l *listing, _ *session, _ *call) error {
		l.recursive = true
		return nil
	},
	"SPECIAL-USE": func(l *listing, _ *session, _ *call) error {
		l.specialUse = true
		return nil
	},
	// There are no mailboxes elsewhere.
	"REMOTE": func(*listing, *session, *call) error { return nil },
}

// listReturn is the table of return options (RFC 5258, section 3.2).
var listReturn = map[string]listOption{
	"SUBSCRIBED": func(l *listing, _ *session, _ *call) error {
		l.showSubscribed = true
		return nil
	},
	// Both are always told.
	"CHILDREN":    func(*listing, *session, *call) error { return nil },
	"SPECIAL-USE": func(*listing, *session, *call) error { return nil },
	// RFC 5819.
	"STATUS": func(l *listing, s *session, c *call) error {
		if err := c.Space(); err != nil {
			return err
		}
		var err error
		l.status, err = s.readStatusItems(c)
		return err
	},
}

func (l *listing) readOptions(s *session, c *call, table map[string]listOption) error {
	return c.List(func() error {
		name, err := c.Word()
		if err != nil {
			return err
		}
		option := table[name]
		if option == nil {
			return bad("There is no LIST option %s", name)
		}
		return option(l, s, c)
	})
}
