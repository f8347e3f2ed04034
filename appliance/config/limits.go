package config

import "time"

// SMTP holds the limits of port 25.
type SMTP struct {
	MaxConnections           int
	MaxConnectionsPerAddress int
	MaxRecipients            int
	MaxErrors                int
	MaxUnknownRecipients     int
	MaxMessages              int
	MaxCommands              int
	MaxHops                  int
	Tarpit                   Duration
	Idle                     Duration
	Session                  Duration
	MinRate                  Size
}

// IMAP holds the limits of ports 143 and 993.
type IMAP struct {
	MaxConnections           int
	MaxConnectionsPerAddress int
	MaxConnectionsPerAccount int
	MaxErrors                int
	LoginTimeout             Duration
	Idle                     Duration
	MaxLine                  Size
}

// Logins limits the guessing of passwords.
type Logins struct {
	MaxPerAddress int
	MaxPerAccount int
	Window        Duration
}

var defaults = &Config{
	Version:     Version,
	Listen:      []string{"*"},
	Shutdown:    Duration(20 * time.Second),
	MemoryLimit: 0,
	Listeners:   Listeners{SMTP: true, IMAP: true, IMAPS: true},
	TLS:         TLS{Mode: ModeSelfSigned},
	Resolver:    Resolver{Timeout: Duration(5 * time.Second)},
	Mail:        Mail{MaxSize: 50 << 20, PlusSeparator: "+"},
	SMTP: SMTP{
		MaxConnections:           200,
		MaxConnectionsPerAddress: 20,
		MaxRecipients:            100,
		MaxErrors:                10,
		MaxUnknownRecipients:     5,
		MaxMessages:              100,
		MaxCommands:              1000,
		MaxHops:                  50,
		Tarpit:                   Duration(2 * time.Second),
		Idle:                     Duration(5 * time.Minute),
		Session:                  Duration(time.Hour),
		MinRate:                  100,
	},
	Checks: Checks{HELO: CheckNote, SenderDomain: CheckRefuse, ReverseName: CheckNote},
	IMAP: IMAP{
		MaxConnections:           1000,
		MaxConnectionsPerAddress: 100,
		MaxConnectionsPerAccount: 50,
		MaxErrors:                20,
		LoginTimeout:             Duration(time.Minute),
		Idle:                     Duration(35 * time.Minute),
		MaxLine:                  64 << 10,
	},
	Logins: Logins{MaxPerAddress: 20, MaxPerAccount: 50, Window: Duration(15 * time.Minute)},
	Log:    Log{Level: "info", Stderr: "warn", Format: "text", MemoryLines: 2000},
	Traces: Traces{KeepDays: 90},
}

// Default gives the defaults for a box with that host name.
func Default(hostname string) *Config {
	c := *defaults
	c.Hostname = hostname
	c.Listen = append([]string(nil), defaults.Listen...)
	return &c
}
