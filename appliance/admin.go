package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"time"

	"hauspost/appliance/accounts"
	"hauspost/appliance/config"
	"hauspost/appliance/control"
	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/store"
)

// admin answers control.Admin from the parts of the box: for a running box, and
// for a data folder at rest, which it opens when it is first needed.
type admin struct {
	dir, version string
	config       *config.Config
	box          *Box // nil at rest
	// filtering are the plugins of a running box, nil at rest.
	filtering filtering

	mu   sync.Mutex
	core *core
}

var _ control.Admin = (*admin)(nil)

// Connect gives the admin interface of the box on a data folder: that of the
// running box, or, where none runs, one that opens the folder itself.
func Connect(ctx context.Context, dir, version string) (control.Admin, error) {
	c, err := load(dir)
	client, dialErr := control.Dial(ctx, dir)
	switch {
	case dialErr == nil:
		return client, nil // also when the file was spoilt since the start
	case err != nil:
		return nil, err
	case !errors.Is(dialErr, control.ErrNotRunning):
		return nil, dialErr
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("finding the data folder: %w", err)
	}
	return &admin{dir: dir, version: version, config: c}, nil
}

// Rebuild makes the index of a data folder anew. The box must not run.
func Rebuild(ctx context.Context, dir string) (control.RebuildReport, error) {
	if _, err := load(dir); err != nil {
		return control.RebuildReport{}, err
	}
	r, err := store.Rebuild(ctx, storeOptions(dir, nil))
	if errors.Is(err, store.ErrLocked) {
		return control.RebuildReport{}, fmt.Errorf("the box is running on %s: stop it before the index is made anew", dir)
	}
	return control.RebuildReport{
		Messages: r.Messages, Mailboxes: r.Mailboxes, Documents: r.Documents,
		Problems: problems(r.Problems),
	}, plainly(dir, err)
}

// parts gives store and accounts, opening them at rest.
func (a *admin) parts(ctx context.Context) (*core, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.core != nil {
		return a.core, nil
	}
	// Another command that works on the folder is done in a moment.
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		core, err := openCore(ctx, a.dir, a.config, slog.New(slog.DiscardHandler), nil)
		if err == nil {
			a.core = core
			return core, nil
		}
		select {
		case <-wait.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
		if !errors.Is(err, store.ErrLocked) {
			return nil, err
		}
	}
}

// patience is how long a command waits for a data folder at rest.
const patience = 3 * time.Second

// Close implements control.Admin.
func (a *admin) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.box != nil || a.core == nil {
		return nil
	}
	err := a.core.store.Close()
	a.core = nil
	return plainly(a.dir, err)
}

// people runs fn with the register of people and puts its errors into the
// kinds of control.
func people[T any](ctx context.Context, a *admin, fn func(*accounts.Accounts) (T, error)) (T, error) {
	core, err := a.parts(ctx)
	if err != nil {
		var none T
		return none, err
	}
	v, err := fn(core.accounts)
	return v, kinds(err)
}

func kinds(err error) error {
	var refused *accounts.Error
	if !errors.As(err, &refused) {
		return err
	}
	kind := control.KindInvalid
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		kind = control.KindNotFound
	case errors.Is(err, accounts.ErrExists):
		kind = control.KindExists
	}
	return &control.Error{Kind: kind, Text: refused.Text}
}

// Domains implements control.Admin.
func (a *admin) Domains(ctx context.Context) ([]control.Domain, error) {
	return people(ctx, a, func(p *accounts.Accounts) ([]control.Domain, error) {
		list, err := p.Domains(ctx)
		return each(list, func(d accounts.Domain) control.Domain { return control.Domain(d) }), err
	})
}

func each[A, B any](list []A, fn func(A) B) []B {
	out := make([]B, len(list))
	for i, v := range list {
		out[i] = fn(v)
	}
	return out
}

// AddDomain implements control.Admin.
func (a *admin) AddDomain(ctx context.Context, name, aliasOf string) (control.Domain, error) {
	d, err := a.addDomain(ctx, name, aliasOf)
	if err != nil {
		return d, err
	}
	core, err := a.parts(ctx)
	if err == nil {
		_, err = core.dkim.Make(ctx, d.Name)
	}
	if err != nil {
		return d, fmt.Errorf("the domain %s was added, but its DKIM keys could not be made; the box tries again at its next start: %w", d.Name, err)
	}
	return d, nil
}

func (a *admin) addDomain(ctx context.Context, name, aliasOf string) (control.Domain, error) {
	return people(ctx, a, func(p *accounts.Accounts) (control.Domain, error) {
		before, err := p.Domains(ctx)
		if err != nil {
			return control.Domain{}, err
		}
		if err := p.AddDomain(ctx, name, aliasOf); err != nil {
			return control.Domain{}, err
		}
		// The register writes names in its own spelling: find the new one.
		after, err := p.Domains(ctx)
		i := slices.IndexFunc(after, func(d accounts.Domain) bool { return !slices.Contains(before, d) })
		if err != nil || i < 0 {
			return control.Domain{Name: name}, err
		}
		return control.Domain(after[i]), nil
	})
}

// RemoveDomain implements control.Admin.
func (a *admin) RemoveDomain(ctx context.Context, name string) error {
	err := a.change(ctx, func(p *accounts.Accounts) error { return p.RemoveDomain(ctx, name) })
	if err != nil {
		return err
	}
	core, err := a.parts(ctx)
	if err != nil {
		return err
	}
	domain, err := envelope.NormalizeDomain(strings.TrimSuffix(strings.TrimSpace(name), "."))
	if err != nil {
		return err
	}
	return core.dkim.Remove(ctx, domain)
}

func (a *admin) change(ctx context.Context, fn func(*accounts.Accounts) error) error {
	_, err := people(ctx, a, func(p *accounts.Accounts) (struct{}, error) { return struct{}{}, fn(p) })
	return err
}

// Accounts implements control.Admin.
func (a *admin) Accounts(ctx context.Context) ([]control.Account, error) {
	return people(ctx, a, func(p *accounts.Accounts) ([]control.Account, error) {
		list, err := p.List(ctx)
		return each(list, func(acc accounts.Account) control.Account { return control.Account(acc) }), err
	})
}

// AddAccount implements control.Admin.
func (a *admin) AddAccount(ctx context.Context, address, password string) (control.Account, error) {
	return people(ctx, a, func(p *accounts.Accounts) (control.Account, error) {
		acc, err := p.Add(ctx, address, password)
		return control.Account(acc), err
	})
}

// RemoveAccount implements control.Admin.
func (a *admin) RemoveAccount(ctx context.Context, address string) error {
	return a.change(ctx, func(p *accounts.Accounts) error { return p.Remove(ctx, address) })
}

// SetPassword implements control.Admin.
func (a *admin) SetPassword(ctx context.Context, address, password string) error {
	return a.change(ctx, func(p *accounts.Accounts) error { return p.SetPassword(ctx, address, password) })
}

// SetDisabled implements control.Admin.
func (a *admin) SetDisabled(ctx context.Context, address string, disabled bool) error {
	return a.change(ctx, func(p *accounts.Accounts) error { return p.SetDisabled(ctx, address, disabled) })
}

// Aliases implements control.Admin.
func (a *admin) Aliases(ctx context.Context) ([]control.Alias, error) {
	return people(ctx, a, func(p *accounts.Accounts) ([]control.Alias, error) {
		list, err := p.ListAliases(ctx)
		return each(list, func(al accounts.Alias) control.Alias { return control.Alias(al) }), err
	})
}

// AddAlias implements control.Admin.
func (a *admin) AddAlias(ctx context.Context, address string, to []string) (control.Alias, error) {
	return people(ctx, a, func(p *accounts.Accounts) (control.Alias, error) {
		if err := p.AddAlias(ctx, address, to); err != nil {
			return control.Alias{}, err
		}
		list, err := p.ListAliases(ctx)
		i := slices.IndexFunc(list, func(al accounts.Alias) bool { return strings.EqualFold(al.Address, strings.TrimSpace(address)) })
		if err != nil || i < 0 {
			return control.Alias{Address: address, To: to}, err
		}
		return control.Alias(list[i]), nil
	})
}

// RemoveAlias implements control.Admin.
func (a *admin) RemoveAlias(ctx context.Context, address string) error {
	return a.change(ctx, func(p *accounts.Accounts) error { return p.RemoveAlias(ctx, address) })
}

// Trace implements control.Admin.
func (a *admin) Trace(ctx context.Context, id string) (control.Trace, error) {
	sid, err := store.ParseID(strings.ToLower(strings.TrimSpace(id)))
	if err != nil {
		return control.Trace{}, &control.Error{Kind: control.KindInvalid,
			Text: fmt.Sprintf("%q is no message ID: they have 26 letters and digits and stand in the log and in the Received header", id)}
	}
	core, err := a.parts(ctx)
	if err != nil {
		return control.Trace{}, err
	}
	blobs, err := core.store.Trace(ctx, sid)
	if errors.Is(err, store.ErrNotFound) {
		return control.Trace{}, &control.Error{Kind: control.KindNotFound, Text: "there is no trace of the message " + sid.String()}
	}
	if err != nil {
		return control.Trace{}, err
	}
	t := control.Trace{ID: sid.String(), Entries: []control.TraceStep{}}
	for _, b := range blobs {
		entries, err := maillog.Decode(b)
		if err != nil {
			return t, err
		}
		for _, e := range entries {
			t.Entries = append(t.Entries, control.TraceStep(e))
		}
	}
	slices.SortStableFunc(t.Entries, func(x, y control.TraceStep) int { return x.At.Compare(y.At) })
	return t, nil
}

// Log implements control.Admin.
func (a *admin) Log(ctx context.Context, q control.LogQuery, fn func(control.LogEntry) error) error {
	if a.box == nil {
		return &control.Error{Kind: control.KindNotRunning,
			Text: "the box is not running, and it keeps its log in memory: what went to standard error may be in the journal of the system (journalctl)"}
	}
	return a.box.ring.Read(ctx, q, fn)
}

// Config implements control.Admin.
func (a *admin) Config(context.Context) (control.Settings, error) {
	return control.Settings{Running: a.box != nil, File: config.Path(a.dir), Keys: a.config.Map(), Text: string(a.config.Show())}, nil
}

// Verify implements control.Admin.
func (a *admin) Verify(ctx context.Context) (control.VerifyReport, error) {
	core, err := a.parts(ctx)
	if err != nil {
		return control.VerifyReport{}, err
	}
	r, err := core.store.Verify(ctx)
	return control.VerifyReport{Messages: r.Messages, Mailboxes: r.Mailboxes, Bytes: r.Bytes, Problems: problems(r.Problems)}, err
}

func problems(list []store.Problem) []control.Problem {
	return each(list, func(p store.Problem) control.Problem { return control.Problem(p) })
}

// Status implements control.Admin.
func (a *admin) Status(ctx context.Context) (control.Status, error) {
	core, err := a.parts(ctx)
	if err != nil {
		return control.Status{}, err
	}
	st := control.Status{Version: a.version, Hostname: a.config.Hostname, Data: a.dir, Listeners: planned(a.config),
		TLS: control.TLSStatus{Mode: a.config.TLS.Mode}, SMTP: map[string]int64{}, Submission: map[string]int64{}, Relay: map[string]int64{}, IMAP: map[string]int64{}}
	domains, err1 := core.accounts.Domains(ctx)
	people, err2 := core.accounts.List(ctx)
	aliases, err3 := core.accounts.ListAliases(ctx)
	figures, err4 := core.store.Stats(ctx)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return st, err
	}
	st.Domains, st.Accounts, st.Aliases = len(domains), len(people), len(aliases)
	st.Store = control.StoreStats(figures)
	if st.Filters, err = a.filterStatus(ctx); err != nil {
		return st, err
	}
	if a.box != nil {
		a.box.status(&st)
		st.Running, st.PID, st.Process = true, os.Getpid(), process()
	}
	return st, queueStatus(ctx, core.queue, &st)
}

// process reads the figures of the runtime without stopping the world.
func process() control.ProcessStats {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/sched/goroutines:goroutines"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return samples[i].Value.Uint64()
	}
	return control.ProcessStats{HeapBytes: value(0), TotalBytes: value(1) - value(2), Goroutines: int(value(3))}
}
