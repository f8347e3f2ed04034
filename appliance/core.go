package appliance

import (
	"context"
	"log/slog"

	"hauspost/appliance/accounts"
	"hauspost/appliance/config"
	"hauspost/appliance/message"
	"hauspost/store"
)

// core is what both a running box and a command on a box at rest need.
type core struct {
	store    *store.Store
	accounts *accounts.Accounts
}

// openCore opens the store, which also locks the data folder.
func openCore(ctx context.Context, dir string, c *config.Config, logger *slog.Logger) (*core, error) {
	s, err := store.Open(ctx, storeOptions(dir, logger))
	if err != nil {
		return nil, plainly(dir, err)
	}
	return &core{store: s, accounts: accounts.New(accounts.Options{
		Store:     s,
		Separator: separator(c),
		Limits:    loginLimits(c),
		Logger:    logger,
	})}, nil
}

func storeOptions(dir string, logger *slog.Logger) store.Options {
	return store.Options{Dir: dir, Index: index, Logger: logger}
}

// index carries what package message makes of a message to the store, which
// must not know that package.
func index(raw []byte) store.Derived {
	i := message.Index(raw)
	return store.Derived{
		Envelope: i.Envelope, Structure: i.Structure,
		From: i.From, To: i.To, Cc: i.Cc, Bcc: i.Bcc, Subject: i.Subject,
		MessageID: i.MessageID, Sent: i.Sent,
	}
}

func separator(c *config.Config) string {
	if c.Mail.PlusSeparator == "" {
		return accounts.SeparatorOff
	}
	return c.Mail.PlusSeparator
}

// NewPassword makes a random password that is easy to read and to type.
func NewPassword() string { return accounts.NewPassword() }
