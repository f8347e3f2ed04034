package sdk

import (
	"strconv"
	"strings"

	"hauspost/plugins/abi"
)

// Settings are the owner's settings for the plugin. The host has held them
// against the types of the manifest.
type Settings struct{ list abi.Settings }

// Settings gives the owner's settings. If the host cannot tell them, the call
// fails when the plugin's function has returned.
func (c *Call) Settings() *Settings {
	if c.settings == nil {
		s := &Settings{}
		b, err := c.whole(c.host.Settings)
		if err == nil {
			err = s.list.Decode(b)
		}
		if err != nil && c.failed == nil {
			c.failed = err
		}
		c.settings = s
	}
	return c.settings
}

// List gives the values of a setting, or what is given as default where it is
// not set. An empty list is set.
func (s *Settings) List(name string, otherwise ...string) []string {
	for i := range s.list.List {
		if s.list.List[i].Name == name {
			return s.list.List[i].Values
		}
	}
	return otherwise
}

// Text gives a setting, or otherwise.
func (s *Settings) Text(name, otherwise string) string {
	if v := s.List(name); len(v) > 0 {
		return v[0]
	}
	return otherwise
}

// Number gives a setting that is a number in TOML, or otherwise.
func (s *Settings) Number(name string, otherwise float64) float64 {
	text := strings.ReplaceAll(s.Text(name, ""), "_", "")
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return float64(n)
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n
	}
	return otherwise
}

// Truth gives a setting that is true or false, or otherwise.
func (s *Settings) Truth(name string, otherwise bool) bool {
	switch s.Text(name, "") {
	case "true":
		return true
	case "false":
		return false
	}
	return otherwise
}
