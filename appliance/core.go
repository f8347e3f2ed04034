package appliance

import (
	"context"
	"log/slog"

	"hauspost/appliance/accounts"
	"hauspost/appliance/config"
	"hauspost/appliance/deliver"
	"hauspost/appliance/dkim"
	"hauspost/appliance/maillog"
	"hauspost/appliance/message"
	"hauspost/appliance/queue"
	"hauspost/appliance/transfer"
	"hauspost/store"
)

// core is what both a running box and a command on a box at rest need.
type core struct {
	store    *store.Store
	accounts *accounts.Accounts
	dkim     *dkim.Keys
	queue    *queue.Queue
}

// openCore opens the store, which also locks the data folder. transport is nil
// where nothing is sent: in a command on a box at rest.
func openCore(ctx context.Context, dir string, c *config.Config, logger *slog.Logger, transport transfer.Transport) (*core, error) {
	s, err := store.Open(ctx, storeOptions(dir, logger))
	if err != nil {
		return nil, plainly(dir, err)
	}
	k := &core{store: s, accounts: accounts.New(accounts.Options{
		Store:     s,
		Separator: separator(c),
		Limits:    loginLimits(c),
		Logger:    logger,
	}), dkim: dkim.New(dkim.Options{Store: s, Logger: logger})}
	log := maillog.Log{Logger: logger}
	k.queue = queue.New(queue.Options{
		Store:     s,
		Transport: transport,
		Reports:   k.reports(c, log),
		Sent:      &deliver.Sent{Store: s, Log: log},
		Log:       log,
		Logger:    logger,
		Hostname:  c.Hostname,
		Limits:    queueLimits(c),
		Route:     paces(c),
	})
	return k, nil
}

// reports is the part that delivers what the box itself has to say.
func (k *core) reports(c *config.Config, log maillog.Log) *deliver.Reports {
	return &deliver.Reports{Store: k.store, Directory: k.accounts, Wake: k.wake, Hostname: c.Hostname, Log: log}
}

// wake tells the queue of new rows.
func (k *core) wake(rows []store.Queued) { k.queue.Wake(rows) }

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
