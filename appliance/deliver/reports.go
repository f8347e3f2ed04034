package deliver

import (
	"context"
	"fmt"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/queue"
	"hauspost/appliance/reply"
	"hauspost/store"
)

// Reports delivers what the box itself has to say: reports on messages that
// went out. It implements queue.Reports.
type Reports struct {
	Store     *store.Store
	Directory Directory
	// Wake tells the queue of new rows.
	Wake     func(rows []store.Queued)
	Hostname string
	Log      maillog.Log
	// Now may be nil (time.Now).
	Now func() time.Time
}

// Report delivers a message of the box, with the null reverse-path, and runs
// with in the same commit. What is for an address of the box that nobody has
// goes to postmaster. queue.ErrNobody where nobody can get it.
func (r *Reports) Report(ctx context.Context, to envelope.Address, content []byte, with func(tx *store.Tx) error) (envelope.ID, error) {
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	at := now()
	env := &envelope.Envelope{ID: envelope.NewID(at), To: []envelope.Recipient{{Address: to}}, Received: at}
	trace := r.Log.NewTrace(env.ID)
	trace.Add(maillog.Composed{To: to.String()})
	routes := &routes{}
	targets, err := r.Directory.Resolve(ctx, to)
	if err != nil && reply.Of(err).Name == reply.UnknownRecipient.Name {
		// A program wrote as noreply@: the owner may want to know.
		targets, err = r.Directory.Resolve(ctx, envelope.Address{Local: "postmaster", Domain: to.Domain})
	}
	switch {
	case err != nil && reply.Of(err).Name == reply.RelayDenied.Name:
		targets = []envelope.Target{{Address: to}}
	case err != nil && reply.Of(err).Temporary():
		return "", err
	case err != nil:
		return "", fmt.Errorf("%w: %v", queue.ErrNobody, err)
	}
	for _, t := range targets {
		if t.Account != "" {
			routes.local(env.To[0], t, envelope.Disposition{})
			continue
		}
		item := newItem(queue.KindReport, env, envelope.Recipient{Address: t.Address, Notify: "NEVER"}, &envelope.Verdict{}, envelope.Disposition{})
		item.Added, item.Due = at, at
		routes.remote(item, t.Via)
	}
	staged := r.Store.Stage()
	defer staged.Discard()
	if _, err := staged.Write(content); err != nil {
		return "", fmt.Errorf("storing a report: %w", err)
	}
	c := commit{store: r.Store, env: env, trace: trace, wake: r.Wake, with: []func(*store.Tx) error{with}}
	return env.ID, c.run(ctx, staged, submissionHeader(env, nil, r.Hostname, true, at), routes)
}
