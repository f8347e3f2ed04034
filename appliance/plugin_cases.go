package appliance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sync"
	"time"

	bundle "hauspost/plugins"
	"hauspost/plugins/abi"
	"hauspost/plugins/host"
	"hauspost/plugins/pack"
)

// PluginTested is the outcome of a plugin's own tests.
type PluginTested struct {
	ID      string       `json:"id"`
	Version string       `json:"version"`
	Cases   []PluginCase `json:"cases"`
	Passed  int          `json:"passed"`
	Failed  int          `json:"failed"`
}

// PluginCase is the outcome of one test.
type PluginCase struct {
	Name  string `json:"name"`
	Stage string `json:"stage"`
	OK    bool   `json:"ok"`
	// Differences say what is not as it must be, Log what the plugin said.
	Differences  []string `json:"differences"`
	Log          []string `json:"log"`
	Milliseconds float64  `json:"ms"`
}

// PluginTest runs the tests of a package in a worker, with all grants that it
// asks for: a folder or an archive, or by its ID one that comes with this
// program. That tests fail is no error.
func PluginTest(ctx context.Context, path string) (PluginTested, error) {
	p, err := openPlugin(path)
	if err != nil {
		return PluginTested{}, err
	}
	cases, err := pack.Cases(p.Tests)
	if err != nil {
		return PluginTested{}, err
	}
	b, err := newBench(p)
	if err != nil {
		return PluginTested{}, err
	}
	defer b.close()
	tested := PluginTested{ID: p.Manifest.ID, Version: p.Manifest.Version, Cases: []PluginCase{}}
	for i := range cases {
		c, err := b.try(ctx, &cases[i])
		if err != nil {
			return tested, err
		}
		tested.Cases = append(tested.Cases, c)
		if c.OK {
			tested.Passed++
		} else {
			tested.Failed++
		}
	}
	return tested, nil
}

// openPlugin reads a folder or an archive, or, where there is neither, a plugin
// that comes with this program.
func openPlugin(path string) (*pack.Package, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && pack.IsID(path) {
		return bundle.OpenBundled(path)
	}
	return pack.Open(path)
}

// bench runs one plugin without a box. What the plugin is told from outside is
// that of a case.
type bench struct {
	pkg   *pack.Package
	host  *host.Host
	cache string
	world *caseWorld
	// using are the settings that the plugin was started with.
	using *abi.Settings
}

func newBench(p *pack.Package) (*bench, error) {
	cache, err := os.MkdirTemp("", "hauspost-plugin-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the compiled plugin: %w", err)
	}
	b := &bench{pkg: p, cache: cache, world: &caseWorld{}}
	if err := b.open(); err != nil {
		os.RemoveAll(cache)
		return nil, err
	}
	return b, nil
}

// open makes a host, which has what is in the cache.
func (b *bench) open() error {
	command, err := workerCommand()
	if err != nil {
		return err
	}
	services := map[string]host.Service{}
	for _, name := range b.pkg.Manifest.Needs.Services {
		services[name] = caseService{b.world, name}
	}
	b.using = nil
	b.host, err = host.New(host.Options{Command: command, Cache: b.cache, Keys: b.world, DNS: b.world, Services: services, Parallel: 1})
	if err != nil {
		return fmt.Errorf("preparing the plugin: %w", err)
	}
	return nil
}

func (b *bench) close() {
	b.stop()
	os.RemoveAll(b.cache)
}

func (b *bench) stop() {
	// Nothing is under way, so there is nothing to wait for.
	b.host.Close(context.Background())
}

// use starts the plugin with the settings, unless it runs with them already.
func (b *bench) use(ctx context.Context, owner map[string]any) error {
	settings, err := b.pkg.Manifest.Resolve(owner)
	if err != nil {
		return err
	}
	if b.using != nil && reflect.DeepEqual(*b.using, settings) {
		return nil
	}
	m := b.pkg.Manifest
	one := host.Plugin{ID: m.ID, Version: m.Version, Stages: m.Stages, Timer: m.Timer, SHA256: b.pkg.WasmSHA256, Grants: m.Needs,
		Limits: m.Limits, Settings: settings, Wasm: func() (*os.File, error) { return wasmFile(b.pkg.Wasm) }}
	if err := b.host.Use(ctx, []host.Plugin{one}); err != nil {
		return fmt.Errorf("starting the plugin: %w", err)
	}
	b.using = &settings
	return nil
}

// call asks the plugin about the event of a case.
func (b *bench) call(ctx context.Context, c *pack.Case) (host.Run, error) {
	b.world.set(c)
	call := host.Call{Event: c.Event, Replay: map[string]*host.Record{}}
	if c.Event.Stage.HasMessage() {
		call.Content = func() (*os.File, error) {
			return contentFile(b.cache, int64(len(c.Message)), func(w io.Writer) error {
				_, err := w.Write(c.Message)
				return err
			})
		}
	}
	runs := b.host.Call(ctx, call)
	if err := ctx.Err(); err != nil {
		return host.Run{}, err
	}
	if len(runs) != 1 {
		return host.Run{}, fmt.Errorf("the plugin %s does not serve the stage %s", b.pkg.Manifest.ID, c.Event.Stage)
	}
	return runs[0], nil
}

// try runs one case.
func (b *bench) try(ctx context.Context, c *pack.Case) (PluginCase, error) {
	out := PluginCase{Name: c.Name, Stage: c.Event.Stage.String(), Differences: []string{}, Log: []string{}}
	if err := b.use(ctx, c.Settings); err != nil {
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		out.Differences = append(out.Differences, err.Error())
		return out, nil
	}
	run, err := b.call(ctx, c)
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	out.Milliseconds = inMilliseconds(run.Took)
	out.Log = append(out.Log, run.Log...)
	for _, d := range run.Dropped {
		out.Log = append(out.Log, "not counted: "+d)
	}
	switch {
	case err != nil:
		out.Differences = append(out.Differences, err.Error())
	case run.Failure != nil && !c.Fails:
		out.Differences = append(out.Differences, "it failed ("+run.Failure.Kind+"): "+run.Failure.Text)
	case run.Failure == nil && c.Fails:
		out.Differences = append(out.Differences, "it must fail, and did not")
	case run.Failure == nil:
		out.Differences = append(out.Differences, c.Check(run.Effects)...)
	}
	out.OK = len(out.Differences) == 0
	return out, nil
}

// caseWorld answers what a plugin asks as the present case says. It is the
// host's Keys and DNS.
type caseWorld struct {
	mu      sync.Mutex
	now     *pack.Case
	replies []pack.CaseReply
}

func (w *caseWorld) set(c *pack.Case) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now, w.replies = c, c.Services
}

func (w *caseWorld) present() *pack.Case {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Get implements host.Keys.
func (w *caseWorld) Get(_ context.Context, _ string, keys [][]byte, now time.Time) ([]abi.Value, error) {
	c := w.present()
	values := make([]abi.Value, len(keys))
	for i, k := range keys {
		if v := c.Keys[string(k)]; v.Expires == 0 || v.Expires > now.Unix() {
			values[i] = v
		}
	}
	return values, nil
}

// Apply implements host.Keys: each case begins with its own keys.
func (w *caseWorld) Apply(context.Context, string, []abi.Change, time.Time) error { return nil }

// Lookup implements host.DNS.
func (w *caseWorld) Lookup(_ context.Context, q abi.Question) abi.Answer {
	return w.present().Answer(q)
}

// caseService gives the replies of the present case. It is a service of the host.
type caseService struct {
	world *caseWorld
	name  string
}

// Call implements host.Service.
func (s caseService) Call(context.Context, []byte, *os.File) ([]byte, error) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	for i, r := range s.world.replies {
		if r.Name != s.name {
			continue
		}
		s.world.replies = append(append([]pack.CaseReply{}, s.world.replies[:i]...), s.world.replies[i+1:]...)
		if r.Err != 0 {
			return nil, r.Err
		}
		return bytes.Clone(r.Reply), nil
	}
	return nil, abi.ErrAgain
}

func inMilliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
