package appliance

import (
	"context"

	"hauspost/appliance/config"
	"hauspost/appliance/deliver"
	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/smtpd"
)

// intake shows deliver.Inbound to smtpd as the Intake that it asks for:
// neither package knows the other.
type intake struct{ in *deliver.Inbound }

// Stage implements smtpd.Intake.
func (i intake) Stage(ctx context.Context, env *envelope.Envelope, trace *maillog.Trace) smtpd.Staging {
	return i.in.Stage(ctx, env, trace)
}

func newInbound(core *core, c *config.Config, log maillog.Log) smtpd.Intake {
	return intake{deliver.NewInbound(deliver.Options{
		Store:     core.store,
		Directory: core.accounts,
		Scanner:   deliver.NoFilters{},
		Wake:      core.wake,
		Hostname:  c.Hostname,
		Log:       log,
		MaxHops:   c.SMTP.MaxHops,
	})}
}
