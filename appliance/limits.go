package appliance

import (
	"net/netip"
	"time"

	"hauspost/appliance/accounts"
	"hauspost/appliance/config"
	"hauspost/appliance/esmtp"
	"hauspost/appliance/imapd"
	"hauspost/appliance/smtpd"
)

// The packages take 0 for their default and a negative value for none; in the
// config 0 means none. These carry the one to the other.

func orNone(d config.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return time.Duration(d)
}

func rate(s config.Size) int {
	if s == 0 {
		return -1
	}
	return int(s)
}

// orUnlimited is for numbers.
func orUnlimited(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

func smtpLimits(c *config.Config) smtpd.Limits {
	return smtpd.Limits{
		Limits:     engineLimits(c),
		SenderRate: orUnlimited(c.SMTP.SenderRate),
		DomainRate: orUnlimited(c.SMTP.DomainRate),
		DNSTimeout: time.Duration(c.Checks.Timeout),
	}
}

func smtpChecks(c *config.Config) smtpd.Checks {
	k := c.Checks
	return smtpd.Checks{
		AllowForgedHelo:    !k.HELOOwn,
		AllowMalformedHelo: !k.HELOSyntax,
		RequireHeloFQDN:    k.HELOFull,
		RequireReverseDNS:  k.ReverseName,
		AllowShortSender:   !k.SenderFull,
		AllowUnknownSender: !k.SenderDomain,
		DeferOnDNSTrouble:  k.DeferOnTrouble,
	}
}

// parsed reads what the config has checked already.
func parsed[T any](list []string, parse func(string) (T, error)) []T {
	var out []T
	for _, s := range list {
		if v, err := parse(s); err == nil {
			out = append(out, v)
		}
	}
	return out
}

func engineLimits(c *config.Config) esmtp.Limits {
	l := c.SMTP
	return esmtp.Limits{
		Connections:           l.MaxConnections,
		ConnectionsPerAddress: l.MaxConnectionsPerAddress,
		ConnectionRate:        l.ConnectionRate,
		Exempt:                parsed(l.Exempt, netip.ParsePrefix),
		MessageSize:           int64(c.Mail.MaxSize),
		DropSize:              int64(l.DropSize),
		Recipients:            l.MaxRecipients,
		Messages:              l.MaxMessages,
		TextLine:              int(l.MaxLine),
		Errors:                l.MaxErrors,
		BadRecipients:         l.MaxBadRecipients,
		EmptyCommands:         l.MaxEmptyCommands,
		TarpitAfter:           l.TarpitAfter,
		TarpitStep:            orNone(l.TarpitStep),
		TarpitMax:             orNone(l.TarpitMax),
		GreetPause:            orNone(l.GreetPause),
		CommandTimeout:        time.Duration(l.CommandTimeout),
		StressTimeout:         time.Duration(l.StressTimeout),
		ContentTimeout:        time.Duration(l.ContentTimeout),
		ContentRate:           rate(l.ContentRate),
		ContentGrace:          time.Duration(l.ContentGrace),
		WriteTimeout:          time.Duration(l.WriteTimeout),
		HandshakeTimeout:      time.Duration(l.HandshakeTimeout),
	}
}

func imapLimits(c *config.Config) imapd.Limits {
	l := c.IMAP
	return imapd.Limits{
		MaxConnections:   l.MaxConnections,
		MaxPerAddress:    l.MaxConnectionsPerAddress,
		MaxPerAccount:    l.MaxConnectionsPerAccount,
		StaleAfter:       time.Duration(l.StaleAfter),
		MaxErrors:        l.MaxErrors,
		MaxLoginFailures: l.MaxLoginFailures,
		LoginDelay:       orNone(l.LoginDelay),
		HandshakeTimeout: time.Duration(l.HandshakeTimeout),
		LoginTimeout:     time.Duration(l.LoginTimeout),
		StressTimeout:    time.Duration(l.StressTimeout),
		Idle:             time.Duration(l.Idle),
		CommandTimeout:   time.Duration(l.CommandTimeout),
		MinRate:          int(l.MinRate),
		WriteTimeout:     time.Duration(l.WriteTimeout),
		PushTimeout:      time.Duration(l.PushTimeout),
		KeepAlive:        time.Duration(l.KeepAlive),
		MaxLine:          int(l.MaxLine),
		AppendLimit:      int64(c.Mail.MaxSize),
		MaxMailboxes:     l.MaxMailboxes,
		Pushers:          l.Pushers,
	}
}

func loginLimits(c *config.Config) accounts.Limits {
	l := c.Logins
	return accounts.Limits{
		AddressGuesses: l.MaxPerAddress,
		AccountGuesses: l.MaxPerAccount,
		Window:         time.Duration(l.Window),
		Backoff:        time.Duration(l.Backoff),
		MaxBackoff:     time.Duration(l.MaxBackoff),
		Slow:           time.Duration(l.Slow),
		GoodFor:        time.Duration(l.GoodFor),
		Tracked:        l.Tracked,
		Hashing:        l.Hashing,
		Remember:       orNone(l.Remember),
		MinPassword:    l.MinPassword,
	}
}
