package imapd

import "strconv"

// capability is an entry in the table of capabilities.
type capability struct {
	name string
	// states are those in which it is announced; when narrows that down further
	// where it is not nil.
	states state
	when   func(s *session) bool
}

// capabilities in the order in which they are announced.
var capabilities = []capability{
	{name: "IMAP4rev1", states: anyState},
	{name: "IMAP4rev2", states: anyState},
	{name: "STARTTLS", states: anonymous, when: (*session).canStartTLS},
	{name: "LOGINDISABLED", states: anonymous, when: func(s *session) bool { return !s.canLogin() }},
	{name: "AUTH=SCRAM-SHA-256", states: anonymous, when: (*session).canLogin},
	{name: "AUTH=PLAIN", states: anonymous, when: (*session).canLogin},
	{name: "AUTH=LOGIN", states: anonymous, when: (*session).canLogin},
	{name: "SASL-IR", states: anyState},
	{name: "LITERAL+", states: anyState},
	{name: "ID", states: anyState},
	{name: "ENABLE", states: anyState},
	{name: "IDLE", states: anyState},
	{name: "NAMESPACE", states: withUser},
	{name: "UIDPLUS", states: withUser},
	{name: "MOVE", states: withUser},
	{name: "SPECIAL-USE", states: withUser},
	{name: "CREATE-SPECIAL-USE", states: withUser},
	{name: "CHILDREN", states: withUser},
	{name: "LIST-EXTENDED", states: withUser},
	{name: "LIST-STATUS", states: withUser},
	{name: "STATUS=SIZE", states: withUser},
	{name: "ESEARCH", states: withUser},
	{name: "SEARCHRES", states: withUser},
	{name: "UNSELECT", states: withUser},
	{name: "CONDSTORE", states: withUser},
	{name: "BINARY", states: withUser},
	{name: "UTF8=ACCEPT", states: withUser},
	{name: "APPENDLIMIT", states: withUser},
}

func (s *session) canStartTLS() bool { return s.srv.tls != nil && !s.secure }

// canLogin tells whether a password may be shown on this connection.
func (s *session) canLogin() bool { return s.secure || s.plaintextOK }

// capabilityList gives the capabilities as they stand in the response and in
// the response code.
func (s *session) capabilityList() string {
	list := "CAPABILITY"
	for _, c := range capabilities {
		if c.states&s.state == 0 || c.when != nil && !c.when(s) {
			continue
		}
		list += " " + c.name
		if c.name == "APPENDLIMIT" {
			list += "=" + strconv.FormatInt(s.srv.limits.AppendLimit, 10)
		}
	}
	return list
}

func (s *session) greet() {
	s.untagged("OK", s.capabilityList(), "Hauspost is ready")
}

func runCapability(s *session, c *call) error {
	if err := c.End(); err != nil {
		return err
	}
	s.w.B = append(s.w.B, "* "...)
	s.w.B = append(s.w.B, s.capabilityList()...)
	s.w.End()
	return nil
}
