package appliance

import (
	"io"
	"log/slog"

	"hauspost/appliance/config"
	"hauspost/appliance/control"
)

// newLogger makes the log: into the ring in memory, and to standard error.
func newLogger(c *config.Config, ring *control.Ring, stderr io.Writer) *slog.Logger {
	memory := ring.Handler(level(c.Log.Level))
	if c.Log.Stderr == "off" || stderr == nil {
		return slog.New(memory)
	}
	opts := &slog.HandlerOptions{Level: level(c.Log.Stderr)}
	if c.Log.Format == "json" {
		return slog.New(slog.NewMultiHandler(memory, slog.NewJSONHandler(stderr, opts)))
	}
	// The event of a message stands in the text already; people need no JSON.
	opts.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == "event" {
			return slog.Attr{}
		}
		return a
	}
	return slog.New(slog.NewMultiHandler(memory, slog.NewTextHandler(stderr, opts)))
}

// level reads a level of the config, which was checked.
func level(s string) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(s)); err != nil {
		return slog.LevelInfo
	}
	return l
}
