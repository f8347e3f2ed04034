// Package hello is the plugin of the guide (plugins/README.md): it marks the
// first message of everybody who never wrote before, and to whom nobody of the
// house wrote. It is small, and shows what most plugins need: two stages,
// settings, keys that last, and effects.
//
// It imports the SDK and the plugin interface and nothing else of Hauspost. The
// guest is in the folder guest; the logic here is plain Go.
package hello

import (
	"strconv"
	"strings"

	"hauspost/plugins/abi"
	"hauspost/plugins/sdk"
)

// OnMessage looks at mail that comes in.
func OnMessage(c *sdk.Call) error {
	who := key(c.Event.Sender)
	if who == "" {
		return nil // a report has no sender
	}
	known, err := c.Keys().Get(who)
	if err != nil {
		return err
	}
	s := c.Settings()
	if !known[0].Found {
		c.AddHeader("X-Hello", "the first message from this sender")
		if tag := s.Text("tag", "$hello"); tag != "" {
			c.Tag(tag)
		}
		if points := s.Number("points", 0); points != 0 {
			c.Score("FIRST_MESSAGE", points, "this sender never wrote before")
		}
	}
	// Kept only if the message is taken; each message makes it last again.
	return c.Keys().Add(who, 1, lifetime(s))
}

// OnSubmit looks at mail that goes out: whom we write to is no stranger.
func OnSubmit(c *sdk.Call) error {
	ttl := lifetime(c.Settings())
	var changes []abi.Change
	for _, to := range c.Event.Recipients {
		if who := key(to); who != "" {
			changes = append(changes, abi.Change{Op: abi.OpAdd, Key: []byte(who), Delta: 1, TTL: ttl})
		}
	}
	c.Debug("we write to ", strconv.Itoa(len(changes)), " people")
	return c.Keys().Change(changes...)
}

// key is the name under which an address is remembered, empty for none and for
// one that is too long to be anybody's.
func key(address string) string {
	if len(address) > abi.MaxKey {
		return ""
	}
	return strings.ToLower(address)
}

// lifetime is how long somebody is remembered, in seconds.
func lifetime(s *sdk.Settings) int64 {
	return int64(max(1, min(s.Number("days", 365), 36500))) * sdk.Day
}
