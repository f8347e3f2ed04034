package appliance

import (
	"context"

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

func (b *Box) newInbound(log maillog.Log) smtpd.Intake {
	return intake{deliver.NewInbound(deliver.Options{
		Store:     b.core.store,
		Directory: b.core.accounts,
		Scanner:   filters{b.plugins},
		Policy:    b.plugins.Policy,
		Wake:      b.core.wake,
		Told:      b.after.delivered,
		Hostname:  b.config.Hostname,
		Log:       log,
		MaxHops:   b.config.SMTP.MaxHops,
	})}
}
