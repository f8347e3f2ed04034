package appliance

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"hauspost/appliance/config"
	"hauspost/appliance/control"
	"hauspost/appliance/deliver"
	"hauspost/appliance/resolver"
	"hauspost/plugins/abi"
	"hauspost/plugins/host"
	"hauspost/plugins/pack"
	"hauspost/store"
)

// pluginChain is the part of a box that runs its plugins: it carries what the
// folder of packages and the owner's settings say to the host, and what the
// host answers to those who ask. Without enabled plugins there is no worker.
type pluginChain struct {
	dir    string
	config *config.Config
	store  *store.Store
	dns    *resolver.Resolver
	logger *slog.Logger
	now    func() time.Time
	// alarm tells the owner of a plugin that keeps failing.
	alarm func(plugin string, f host.Failure)

	// reloading keeps reloads one after the other.
	reloading sync.Mutex
	host      atomic.Pointer[host.Host]
	state     atomic.Pointer[chainState]

	complaining sync.Mutex
	// complaints are the last failures of plugins, by ID.
	complaints map[string]control.PluginComplaint
}

// chainState is what a reload found.
type chainState struct {
	policy deliver.Policy
	// broken are enabled plugins that cannot be used: they fail for every
	// message, so that their failure policy holds.
	broken []broken
	// timers are the intervals of plugins that have one.
	timers map[string]time.Duration
	// wrong says in words what is wrong with plugins, by ID.
	wrong map[string]string
}

type broken struct {
	id, version, problem string
	stages               []abi.Stage
	since                time.Time
}

func newPluginChain(dir string, c *config.Config, s *store.Store, dns *resolver.Resolver, logger *slog.Logger) *pluginChain {
	p := &pluginChain{dir: dir, config: c, store: s, dns: dns, logger: logger, now: time.Now}
	p.state.Store(&chainState{})
	return p
}

// serves tells how many plugins are asked at a stage.
func (p *pluginChain) serves(s abi.Stage) int {
	n := 0
	if h := p.host.Load(); h != nil {
		n = h.Serves(s)
	}
	for _, b := range p.state.Load().broken {
		if slices.Contains(b.stages, s) {
			n++
		}
	}
	return n
}

// Policy is the owner's settings for the decision, as they are now.
func (p *pluginChain) Policy() deliver.Policy { return p.state.Load().policy }

// call asks the plugins about an event. A reload meanwhile makes none of them
// slip through: one that is broken before or after it, and was not asked, has
// failed.
func (p *pluginChain) call(ctx context.Context, c host.Call) []host.Run {
	before := p.state.Load()
	var runs []host.Run
	if h := p.host.Load(); h != nil {
		runs = h.Call(ctx, c)
		if c.Replay == nil {
			p.complain(c.Event.ID, runs)
		}
	}
	if c.Only != nil {
		return runs
	}
	runs = before.addBroken(runs, c.Event.Stage)
	return p.state.Load().addBroken(runs, c.Event.Stage)
}

// addBroken adds failures for the broken plugins of a stage of which there is
// no run.
func (s *chainState) addBroken(runs []host.Run, stage abi.Stage) []host.Run {
	for _, b := range s.broken {
		if slices.Contains(b.stages, stage) && !slices.ContainsFunc(runs, func(r host.Run) bool { return r.Plugin == b.id }) {
			runs = append(runs, host.Run{Plugin: b.id, Version: b.version,
				Failure: &host.Failure{Kind: host.FailLoad, Text: b.problem, Since: b.since}})
		}
	}
	return runs
}

// complain notes what plugins failed of, for the owner to read. That they were
// not asked at all is no news.
func (p *pluginChain) complain(id string, runs []host.Run) {
	for i := range runs {
		f := runs[i].Failure
		if f == nil || f.Kind == host.FailBreaker || f.Kind == host.FailBusy || f.Kind == host.FailCancelled {
			continue
		}
		p.complaining.Lock()
		if p.complaints == nil {
			p.complaints = map[string]control.PluginComplaint{}
		}
		p.complaints[runs[i].Plugin] = control.PluginComplaint{At: p.now().UTC(), Message: id, Problem: complaint(f.Text, runs[i].Log)}
		p.complaining.Unlock()
	}
}

// complained is the last failure of a plugin, nil where there was none.
func (p *pluginChain) complained(plugin string) *control.PluginComplaint {
	p.complaining.Lock()
	defer p.complaining.Unlock()
	if c, ok := p.complaints[plugin]; ok {
		return &c
	}
	return nil
}

// reload implements filtering.
func (p *pluginChain) reload(ctx context.Context) error {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	next, chain, err := p.load()
	if err != nil {
		return err
	}
	h, err := p.hostFor(chain)
	if err != nil {
		return err
	}
	if h != nil {
		p.state.Store(next.after(p.state.Load()))
		err = h.Use(ctx, chain)
	}
	p.take(next, h)
	if err != nil {
		return fmt.Errorf("starting the plugins: %w", err)
	}
	return nil
}

// after is the state while the host goes over to the next chain: what was broken
// stays so until it is there.
func (s *chainState) after(old *chainState) *chainState {
	both := *s
	both.broken = slices.Clone(s.broken)
	for _, b := range old.broken {
		if !slices.ContainsFunc(s.broken, func(next broken) bool { return next.id == b.id }) {
			both.broken = append(both.broken, b)
		}
	}
	return &both
}

// begin is the first reload. It does not wait for the plugins to have started:
// mail does. Where nobody knows which plugins there are, mail is put off.
func (p *pluginChain) begin() {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	next, chain, err := p.load()
	var h *host.Host
	if err == nil {
		h, err = p.hostFor(chain)
	}
	if err == nil && h != nil {
		err = h.Begin(chain)
	}
	if err != nil {
		p.logger.Error("the plugins could not be started, and mail is put off: see `hauspost plugin list`", "error", err.Error())
		next, h = &chainState{policy: p.newPolicy(), wrong: map[string]string{allPlugins: err.Error()}}, nil
		next.policy.OnFailure[allPlugins] = pack.Tempfail
		next.broken = []broken{{id: allPlugins, problem: err.Error(), stages: []abi.Stage{abi.OnMessage, abi.OnSubmit}, since: p.now()}}
	}
	p.take(next, h)
}

// allPlugins stands for the plugins of a box that cannot know which ones it has.
const allPlugins = "(all plugins)"

func (p *pluginChain) take(next *chainState, h *host.Host) {
	p.state.Store(next)
	if h != nil {
		p.host.Store(h)
	}
}

// load reads which plugins there are.
func (p *pluginChain) load() (*chainState, []host.Plugin, error) {
	folder, err := pack.OpenFolder(filepath.Join(p.dir, pluginsFolder), p.now)
	if err != nil {
		return nil, nil, err
	}
	entries, err := folder.List()
	if err != nil {
		return nil, nil, err
	}
	next := &chainState{policy: p.newPolicy(), timers: map[string]time.Duration{}, wrong: map[string]string{}}
	var chain []host.Plugin
	for _, e := range entries {
		if !e.Enabled {
			continue
		}
		owner := pluginConfig(p.config, e.ID)
		var one host.Plugin
		pkg, err := folder.Load(e)
		if err == nil {
			one, err = hostPlugin(e, pkg, e.Granted, owner)
		}
		if err == nil {
			// The module is not held in memory; the worker compares its hash.
			module := filepath.Join(folder.Path(e.ID, e.Pin), pack.ModuleFile)
			one.Wasm = func() (*os.File, error) { return os.Open(module) }
			chain = append(chain, one)
			next.timers[e.ID] = one.Timer
		} else {
			p.logger.Error("a plugin cannot be used", "plugin", e.ID, "error", err.Error())
		}
		next.add(e, owner, err, p.since(e.ID))
	}
	return next, chain, nil
}

// hostFor gives the host of a chain, nil where none was needed so far.
func (p *pluginChain) hostFor(chain []host.Plugin) (*host.Host, error) {
	if h := p.host.Load(); h != nil || len(chain) == 0 {
		return h, nil
	}
	return p.newHost()
}

// close ends the workers; calls under way have until ctx ends.
func (p *pluginChain) close(ctx context.Context) error {
	if h := p.host.Load(); h != nil {
		return h.Close(ctx)
	}
	return nil
}

// since is when a broken plugin was first seen to be so.
func (p *pluginChain) since(id string) time.Time {
	for _, b := range p.state.Load().broken {
		if b.id == id {
			return b.since
		}
	}
	return p.now()
}

func (p *pluginChain) newPolicy() deliver.Policy {
	f := p.config.Filters
	return deliver.Policy{
		JunkAt: f.JunkAt, QuarantineAt: f.QuarantineAt, RejectAt: f.RejectAt, QuarantineAfter: time.Duration(f.QuarantineAfter),
		Weights: map[string]float64{}, MaxPoints: map[string]float64{}, OnFailure: map[string]string{},
	}
}

// add takes one enabled plugin into the state; err is why it cannot be used.
func (s *chainState) add(e pack.Entry, owner config.Plugin, err error, since time.Time) {
	weigh(&s.policy, owner, e.OnFailure)
	if err == nil {
		return
	}
	b := broken{id: e.ID, version: e.Version, problem: err.Error(), stages: e.Stages, since: since}
	s.broken, s.wrong[e.ID] = append(s.broken, b), err.Error()
}

// weigh puts into a policy what the owner says of a plugin; where nothing is
// said of failures, its own word holds.
func weigh(policy *deliver.Policy, owner config.Plugin, onFailure string) {
	if owner.OnFailure != "" {
		onFailure = owner.OnFailure
	}
	policy.Weights[owner.ID], policy.MaxPoints[owner.ID], policy.OnFailure[owner.ID] = owner.Weight, owner.MaxPoints, onFailure
}

// hostPlugin makes of a package what the host runs.
func hostPlugin(e pack.Entry, pkg *pack.Package, granted pack.Grants, owner config.Plugin) (host.Plugin, error) {
	m := pkg.Manifest
	settings, err := m.Resolve(ownerSettings(owner.Settings))
	if err != nil {
		return host.Plugin{}, fmt.Errorf("the settings in hauspost.toml: %w", err)
	}
	one := host.Plugin{
		ID: m.ID, Version: m.Version, Stages: m.Stages, Timer: m.Timer, SHA256: pkg.WasmSHA256, Grants: granted, Limits: m.Limits, Settings: settings,
		Wasm: func() (*os.File, error) { return wasmFile(pkg.Wasm) },
	}
	if n, err := hex.Decode(one.Seed[:], []byte(e.Seed)); e.Seed != "" && (err != nil || n != len(one.Seed)) {
		return host.Plugin{}, errors.New("the seed in the lock file is damaged")
	}
	return one, nil
}

func (p *pluginChain) newHost() (*host.Host, error) {
	command, err := workerCommand()
	if err != nil {
		return nil, err
	}
	services, err := pluginServices(p.config)
	if err != nil {
		return nil, err
	}
	h, err := host.New(host.Options{
		Command: command, Cache: filepath.Join(p.dir, pluginCache), Keys: pluginKeys{p.store}, DNS: pluginDNS{p.dns}, Services: services,
		Logger: p.logger, Now: p.now, Parallel: parallel(p.config), Alarm: p.alarm,
		MaxTime: time.Duration(p.config.Filters.Time), MaxMemory: int64(p.config.Filters.Memory),
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the plugins: %w", err)
	}
	return h, nil
}

// pluginCache is where compiled plugins are, in the data folder.
const pluginCache = "cache/plugins"

// parallel is how many messages one worker looks at at the same time.
func parallel(c *config.Config) int {
	if c.Filters.Parallel > 0 {
		return c.Filters.Parallel
	}
	return min(max(2*runtime.NumCPU(), 4), 16)
}
