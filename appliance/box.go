package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"hauspost/appliance/certs"
	"hauspost/appliance/config"
	"hauspost/appliance/control"
	"hauspost/appliance/envelope"
	"hauspost/appliance/imapd"
	"hauspost/appliance/maillog"
	"hauspost/appliance/relay"
	"hauspost/appliance/resolver"
	"hauspost/appliance/sendmail"
	"hauspost/appliance/smtpd"
	"hauspost/appliance/submit"
	"hauspost/store"
)

// Box is a box with all its parts, built by newBox, run by run.
type Box struct {
	dir, version string
	config       *config.Config
	since        time.Time
	ring         *control.Ring
	logger       *slog.Logger

	dns   *resolver.Resolver
	core  *core
	certs *certs.Certs
	smtp  *smtpd.Server
	imap  *imapd.Server
	// submit, relay and spool are how mail leaves; the queue is in core.
	submit *submit.Server
	relay  *relay.Client
	spool  *sendmail.Picker
	// plugins are the filters, after what they are told when mail was taken.
	plugins *pluginChain
	after   *afterwards
	alarms  *alarms
	// http and https answer the certificate authority, in the mode acme.
	http, https *answerer
	sockets     []socket
	control     *control.Server
	admin       net.Listener
}

// newBox builds all parts in order and opens the sockets. On an error all that
// was opened is closed again.
func newBox(ctx context.Context, o ServeOptions) (*Box, error) {
	c, err := load(o.Dir)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("finding the data folder: %w", err)
	}
	limitMemory(c)
	b := &Box{dir: dir, version: o.Version, config: c, since: time.Now(), ring: control.NewRing(c.Log.MemoryLines)}
	b.logger = newLogger(c, b.ring, o.Stderr)
	if err := b.open(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *Box) open(ctx context.Context) (err error) {
	if b.dns, err = resolver.New(resolver.Options{Server: b.config.Resolver.Address, Timeout: time.Duration(b.config.Resolver.Timeout)}); err != nil {
		return fmt.Errorf("preparing DNS: %w", err)
	}
	if b.relay, err = newRelay(b.dir, b.config, b.dns, b.logger); err != nil {
		return err
	}
	if b.core, err = openCore(ctx, b.dir, b.config, b.logger, b.relay); err != nil {
		return err
	}
	b.plugins = newPluginChain(b.dir, b.config, b.core.store, b.dns, b.logger)
	b.alarms = &alarms{b: b, reports: b.core.reports(b.config, maillog.Log{Logger: b.logger}), now: time.Now, told: map[string]time.Time{}}
	b.plugins.alarm = b.alarms.failed
	b.after = newAfterwards(b.plugins, b.keep)
	b.plugins.begin()
	if err := b.build(ctx); err != nil {
		return ofDisk(b.dir, err)
	}
	if b.sockets, err = listen(ctx, b.dir, b.config); err != nil {
		return err
	}
	if b.admin, err = control.Listen(b.dir); err != nil {
		return plainly(b.dir, err)
	}
	b.control = control.NewServer(&admin{dir: b.dir, version: b.version, config: b.config, box: b, core: b.core, filtering: b.plugins})
	return nil
}

// build makes the parts between the store and the sockets.
func (b *Box) build(ctx context.Context) (err error) {
	c, log := b.config, maillog.Log{Logger: b.logger}
	if b.certs, err = newCerts(ctx, b.dir, c, b.core, b.dns, b.logger); err != nil {
		return err
	}
	b.http, b.https = newAnswerer(b.certs.HTTPHandler()), newAnswerer(http.NotFoundHandler())
	var checked smtpd.Names
	if c.Checks.DNS {
		checked = names{b.dns}
	}
	b.smtp = smtpd.New(smtpd.Options{
		Hostname:        c.Hostname,
		Addresses:       parsed(c.PublicAddresses, netip.ParseAddr),
		Directory:       b.core.accounts,
		Intake:          b.newInbound(log),
		Filters:         filters{b.plugins},
		Names:           checked,
		TLS:             b.certs.Config(),
		Log:             log,
		Limits:          smtpLimits(c),
		Checks:          smtpChecks(c),
		AllowPipelining: !c.Checks.Pipelining,
		Keep:            b.keep,
		Late:            func(id envelope.ID, e maillog.Entry) { b.keep(id, []maillog.Entry{e}) },
	})
	b.imap = imapd.New(imapd.Options{
		Store:               b.core.store,
		Accounts:            b.core.accounts,
		TLS:                 b.certs.Config(),
		AllowPlaintext:      c.IMAP.Plaintext == config.PlaintextAlways,
		PlaintextOnLoopback: c.IMAP.Plaintext == config.PlaintextLoopback,
		Log:                 log,
		Limits:              imapLimits(c),
		Feedback:            b.after.feedback,
	})
	return b.buildOutgoing()
}

// keep adds events to the trace of a message in the store: those of
// transactions that were refused, and those that come after the delivery.
func (b *Box) keep(id envelope.ID, entries []maillog.Entry) {
	sid, err := store.ParseID(string(id))
	if err != nil || len(entries) == 0 {
		return
	}
	b.core.store.AppendTrace(sid, maillog.Encode(entries))
}

// close closes what is open, the store last.
func (b *Box) close() error {
	for _, s := range b.sockets {
		s.l.Close() // mostly the servers did; a second time is no error of ours
	}
	if b.admin != nil {
		b.admin.Close()
	}
	if b.core == nil {
		return nil
	}
	if b.plugins != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := b.plugins.close(ctx); err != nil {
			b.logger.Warn("plugins were cut off", "error", err.Error())
		}
		b.alarms.sending.Wait()
	}
	if err := b.core.store.Close(); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// run serves until ctx ends or a part fails, and then stops everything: first
// the sockets that strangers use, then control, the store last.
func (b *Box) run(ctx context.Context, ready func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(b.sockets)+1)
	var serving sync.WaitGroup
	serve := func(name string, fn func() error) {
		serving.Go(func() {
			if err := fn(); err != nil && ctx.Err() == nil {
				failed <- fmt.Errorf("the service %s failed: %w", name, err)
			}
		})
	}
	for _, s := range b.sockets {
		serve(s.service, func() error { return b.serve(s) })
	}
	serve("control", func() error { return b.control.Serve(b.admin) })
	serving.Go(func() { b.housekeeping(ctx) })
	serving.Go(func() { b.after.run(ctx) })
	serving.Go(func() { b.certs.Run(ctx) })
	b.runOutgoing(ctx, &serving, failed)
	err := ready()
	if err == nil {
		select {
		case err = <-failed:
		case <-ctx.Done():
		}
	}
	cancel()
	b.logger.Info("the box stops")
	b.shutdown()
	serving.Wait()
	return errors.Join(err, b.close())
}

func (b *Box) serve(s socket) error {
	// The servers end by Shutdown, not by the context, so that running
	// sessions get their time.
	ctx := context.Background()
	switch s.service {
	case serviceSMTP:
		return b.smtp.Serve(ctx, s.l, false)
	case serviceSubmission, serviceSubmissions:
		return b.submit.Serve(ctx, s.l, s.service == serviceSubmissions)
	case serviceHTTP:
		return b.http.serve(s.l, nil)
	case serviceHTTPS:
		return b.https.serve(s.l, b.certs.Config())
	}
	return b.imap.Serve(ctx, s.l, s.service == serviceIMAPS)
}

// shutdown ends the sessions within the time of the config. Sessions that had
// to be cut off are no failure: their clients come again.
func (b *Box) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(b.config.Shutdown))
	defer cancel()
	var ending sync.WaitGroup
	for name, stop := range map[string]func(context.Context) error{
		"smtp": b.smtp.Shutdown, "submission": b.submit.Shutdown, "imap": b.imap.Shutdown, "control": b.control.Shutdown,
		"http": b.http.Shutdown, "https": b.https.Shutdown,
	} {
		ending.Go(func() {
			if err := stop(ctx); err != nil {
				b.logger.Warn("sessions were cut off", "service", name, "error", err.Error())
			}
		})
	}
	ending.Wait()
}

// housekeeping does what has time: it removes old traces, once a day.
func (b *Box) housekeeping(ctx context.Context) {
	wait := time.NewTimer(5 * time.Minute)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		before := time.Now().AddDate(0, 0, -b.config.Traces.KeepDays)
		if n, err := b.core.store.PruneTraces(ctx, before); err != nil && ctx.Err() == nil {
			b.logger.Warn("old traces could not be removed", "error", err.Error())
		} else if n > 0 {
			b.logger.Info("old traces were removed", "traces", n)
		}
		if err := b.core.store.PruneKeys(ctx, time.Now()); err != nil && ctx.Err() == nil {
			b.logger.Warn("keys of plugins that have expired could not be removed", "error", err.Error())
		}
		wait.Reset(24 * time.Hour)
	}
}

// status fills in what only a running box knows.
func (b *Box) status(st *control.Status) {
	st.Since = b.since.UTC()
	st.Listeners = bound(b.sockets)
	cert := b.certs.Info()
	st.TLS.NotAfter, st.TLS.Fingerprint, st.TLS.Problem = cert.NotAfter.UTC(), cert.Fingerprint, cert.Problem
	s := b.smtp.Stats()
	st.SMTP = map[string]int64{
		"connections":         int64(s.Connections.Active),
		"connections_total":   int64(s.Connections.Accepted),
		"connections_refused": total(s.Connections.Refused),
		"messages":            int64(s.Messages),
		"octets":              int64(s.Octets),
		"answers_lost":        int64(s.AnswersLost),
		"vanished":            int64(s.Vanished),
		"refused":             total(s.Refused),
	}
	u := b.submit.Stats()
	st.Submission = map[string]int64{
		"connections":         int64(u.Connections.Active),
		"connections_total":   int64(u.Connections.Accepted),
		"connections_refused": total(u.Connections.Refused),
		"sign_ins":            int64(u.SignIns),
		"sign_ins_failed":     int64(u.FailedSignIns),
		"messages":            int64(u.Messages),
		"octets":              int64(u.Octets),
		"answers_lost":        int64(u.AnswersLost),
		"vanished":            int64(u.Vanished),
		"refused":             total(u.Refused),
	}
	r := b.relay.Stats()
	st.Relay = map[string]int64{
		"connections":       int64(r.Open),
		"connections_total": int64(r.Connections),
		"attempts":          int64(r.Attempts),
		"messages":          int64(r.Messages),
		"reused":            int64(r.Reused),
		"encrypted":         int64(r.Encrypted),
		"verified":          int64(r.Verified),
		"plain":             int64(r.Plain),
	}
	p := b.spool.Stats()
	st.Submission["spool_waiting"], st.Submission["spool_taken"], st.Submission["spool_bad"] = int64(p.Waiting), int64(p.Taken), int64(p.Bad)
	i := b.imap.Stats()
	st.IMAP = map[string]int64{
		"connections": int64(i.Connections),
		"logged_in":   int64(i.LoggedIn),
		"idle":        int64(i.Idle),
	}
}

func total(counts map[string]uint64) int64 {
	var sum uint64
	for _, n := range counts {
		sum += n
	}
	return int64(sum)
}

// ServeOptions say how to run a box.
type ServeOptions struct {
	// Dir is the data folder, Version that of the program.
	Dir, Version string
	// Stderr takes the log, as far as the config sends it there.
	Stderr io.Writer
	// Ready is called once all sockets are open; an error stops the box.
	Ready func(Ready) error
}

// Ready tells that a box is up.
type Ready struct {
	Ready     bool               `json:"ready"`
	Hostname  string             `json:"hostname"`
	Version   string             `json:"version"`
	Listeners []control.Listener `json:"listeners"`
	// Milliseconds since the start.
	Milliseconds float64 `json:"ms"`
}
