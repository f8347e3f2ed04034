package imapd

import (
	"slices"
	"time"
)

// Stats are figures for status.
type Stats struct {
	// Connections counts all, LoggedIn those of people, Idle those on IDLE.
	Connections int `json:"connections"`
	LoggedIn    int `json:"logged_in"`
	Idle        int `json:"idle"`
	// Clients are the sessions of people, the oldest first.
	Clients []Client `json:"clients"`
}

// Client is one logged-in session.
type Client struct {
	// Account is the person's address.
	Account string `json:"account"`
	// Address is the client's IP address; Name what it calls itself by ID.
	Address string `json:"address"`
	Name    string `json:"name,omitempty"`
	// Mailbox is the selected one as it was named then, or empty.
	Mailbox string    `json:"mailbox,omitempty"`
	TLS     bool      `json:"tls"`
	Idle    bool      `json:"idle"`
	Since   time.Time `json:"since"`
	// Active is when the client last sent something.
	Active time.Time `json:"active"`
}

// Stats gives figures for status.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Connections: len(s.sessions), Clients: []Client{}}
	for ss := range s.sessions {
		who := ss.shown.Load()
		if who == nil {
			continue
		}
		c := *who
		c.Idle = ss.idling.Load()
		c.Active = time.Unix(ss.lastActive.Load(), 0).UTC()
		st.LoggedIn++
		if c.Idle {
			st.Idle++
		}
		st.Clients = append(st.Clients, c)
	}
	slices.SortFunc(st.Clients, func(a, b Client) int { return a.Since.Compare(b.Since) })
	return st
}
