package imapd

// enablers is the table of what ENABLE (RFC 5161) can switch on. Each entry
// gives the name to answer with.
var enablers = map[string]func(s *session){
	"CONDSTORE":   func(s *session) { s.enableCondstore() },
	"UTF8=ACCEPT": func(s *session) { s.utf8Accept = true },
	"IMAP4REV2":   func(s *session) { s.rev2 = true },
}

func runEnable(s *session, c *call) error {
	enabled := "* ENABLED"
	for {
		if err := c.Space(); err != nil {
			return err
		}
		name, err := c.Word()
		if err != nil {
			return err
		}
		if enable := enablers[name]; enable != nil {
			enable(s)
			if name == "IMAP4REV2" {
				name = "IMAP4rev2"
			}
			enabled += " " + name
		}
		if c.AtEnd() {
			break
		}
	}
	s.w.B = append(s.w.B, enabled...)
	s.w.End()
	return nil
}

// enableCondstore switches to responses with mod-sequences (RFC 7162, section
// 3.1). With a selected mailbox the client hears where it stands.
func (s *session) enableCondstore() {
	if s.condstore {
		return
	}
	s.condstore = true
	if s.box != nil {
		s.tellHighestModSeq()
	}
}
