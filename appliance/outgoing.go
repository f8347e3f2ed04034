package appliance

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"hauspost/appliance/config"
	"hauspost/appliance/deliver"
	"hauspost/appliance/dkim"
	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/senderauth"
	"hauspost/appliance/submit"
)

// buildOutgoing makes the parts through which mail leaves, from submission to
// the queue; the relay was made before.
func (b *Box) buildOutgoing() error {
	c, log := b.config, maillog.Log{Logger: b.logger}
	out := b.newOutbound(log)
	own, err := submissionTLS(b.dir, c, b.certs.Config())
	if err != nil {
		return err
	}
	var domains submit.Domains
	if c.Submission.CheckDomains {
		domains = b.dns
	}
	b.submit = submit.New(submit.Options{
		Hostname:        c.Hostname,
		People:          submitters{b.core.accounts},
		Intake:          submissions{out},
		Domains:         domains,
		Routed:          func(domain string) bool { r := routeFor(c, domain); return r != nil && r.Host != "" },
		TLS:             own,
		Trusted:         parsed(c.Submission.Trusted, netip.ParsePrefix),
		Log:             log,
		Limits:          submissionLimits(c),
		AllowPipelining: !c.Checks.Pipelining,
		Keep:            b.keep,
		Late:            func(id envelope.ID, e maillog.Entry) { b.keep(id, []maillog.Entry{e}) },
	})
	b.buildSpool(out, log)
	return nil
}

// runOutgoing runs what sends: the queue, the spool of the sendmail command,
// and, once, the making of keys that are missing.
func (b *Box) runOutgoing(ctx context.Context, serving *sync.WaitGroup, failed chan<- error) {
	serving.Go(func() {
		if err := b.core.queue.Run(ctx); err != nil && ctx.Err() == nil {
			failed <- fmt.Errorf("the queue failed: %w", err)
		}
		b.relay.Close(context.WithoutCancel(ctx))
	})
	serving.Go(func() {
		if err := b.spool.Watch(ctx); err != nil && ctx.Err() == nil {
			b.logger.Error("the spool of the sendmail command cannot be watched; what is there waits for the next start", "error", err.Error())
		}
	})
	serving.Go(func() { b.makeKeys(ctx) })
}

// makeKeys makes DKIM keys for domains that have none: those of a box that an
// earlier version made.
func (b *Box) makeKeys(ctx context.Context) {
	domains, err := b.core.accounts.Domains(ctx)
	for _, d := range domains {
		if err == nil {
			_, err = b.core.dkim.Make(ctx, d.Name)
		}
	}
	if err != nil && ctx.Err() == nil {
		b.logger.Warn("DKIM keys could not be made; mail of a domain without keys is not signed", "error", err.Error())
	}
}

// newOutbound makes the path of submitted mail.
func (b *Box) newOutbound(log maillog.Log) *deliver.Outbound {
	k, c := b.core, b.config
	o := deliver.OutboundOptions{
		Store:      k.store,
		Directory:  k.accounts,
		Owns:       k.accounts.Owns,
		SentAfter:  sentAfter(k, c),
		Wake:       k.wake,
		Reports:    k.reports(c, log),
		Scanner:    filters{b.plugins},
		Policy:     b.plugins.Policy,
		Told:       b.after.delivered,
		Hostname:   c.Hostname,
		HideClient: c.Submission.HideClient,
		Log:        log,
		MaxHops:    c.SMTP.MaxHops,
	}
	if c.DKIM.Sign {
		o.Keys = func(ctx context.Context, domain string) ([]senderauth.Key, error) {
			keys, err := k.dkim.Signers(ctx, domain)
			if errors.Is(err, dkim.ErrNoKey) {
				return nil, nil
			}
			return keys, err
		}
	}
	return deliver.NewOutbound(o)
}

// sentAfter tells for whom copies are filed.
func sentAfter(k *core, c *config.Config) func(ctx context.Context, account string) time.Duration {
	if !c.Submission.SentCopy {
		return nil
	}
	return func(ctx context.Context, account string) time.Duration {
		a, err := k.accounts.ByID(ctx, account)
		if err != nil || !a.SentCopy {
			return 0
		}
		return time.Duration(c.Submission.SentAfter)
	}
}

// submissionTLS is the box's TLS for people, who may show certificates of the
// owner's authority.
func submissionTLS(dir string, c *config.Config, common *tls.Config) (*tls.Config, error) {
	if c.Submission.ClientCA == "" {
		return common, nil
	}
	file := config.File(dir, c.Submission.ClientCA)
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates of submission.client_ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s (submission.client_ca) holds no certificate in PEM form", file)
	}
	own := common.Clone()
	own.ClientCAs, own.ClientAuth = pool, tls.VerifyClientCertIfGiven
	return own, nil
}
