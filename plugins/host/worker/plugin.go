package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

// bootTime is where the clock of an instance begins while it starts: in all
// instances alike, as none is made for one message.
const bootTime = int64(time.Second)

// plugin is one loaded module with its instances that wait for work.
type plugin struct {
	load     *link.Load
	pages    *pages
	runtime  wazero.Runtime
	code     wazero.CompiledModule
	cache    wazero.CompilationCache
	pooled   bool
	limit    uint64
	mutable  []uint32
	starting bool // the module exports _initialize

	// What an instance is set back to, where pooled.
	image   *image
	globals []uint64
	size    int64 // of the memory after the start

	mu   sync.Mutex
	idle []*instance
}

// instance is one instance of a module. It serves one call at a time.
type instance struct {
	p       *plugin
	mod     api.Module
	memory  *linear
	globals []api.MutableGlobal
	stages  map[abi.Stage]api.Function
}

// newPlugin compiles a module; start makes its first instance. cache is a folder
// for compiled code, empty for none.
func newPlugin(ctx context.Context, load *link.Load, wasm []byte, cache string) (p *plugin, err error) {
	defer func() {
		// A fault of the compiler is the fault of this module alone.
		if r := recover(); r != nil {
			p, err = nil, moduleError("the module cannot be compiled: the compiler failed (%v)", r)
		}
	}()
	m, err := parseModule(wasm)
	if err != nil {
		return nil, err
	}
	p = &plugin{load: load, pooled: m.poolable(), mutable: m.mutable, limit: uint64(load.Memory) / pageSize * pageSize}
	if load.Memory < pageSize || load.Memory > 4<<30-pageSize {
		return nil, moduleError("its limit of memory is %d octets; it must be from 64 KB to 4 GB", load.Memory)
	}
	if err := m.check(load.Stages, load.Memory); err != nil {
		return nil, err
	}
	if err := checkImports(m.imports, load.Imports); err != nil {
		return nil, err
	}
	_, p.starting = m.function("_initialize")
	if m.maxPages > 0 {
		p.limit = min(p.limit, uint64(m.maxPages)*pageSize)
	}
	if err := p.compile(ctx, m.rewrite(), cache); err != nil {
		p.close()
		return nil, err
	}
	if err := provide(ctx, p.runtime, m.imports); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// compile makes machine code, or takes it from the folder.
func (p *plugin) compile(ctx context.Context, wasm []byte, cache string) error {
	folder := openCache(cache, wasm)
	defer folder.close()
	if folder != nil {
		var err error
		if p.cache, err = wazero.NewCompilationCacheWithDir(folder.path); err == nil {
			if err = p.make(ctx, wasm); err == nil {
				folder.keep()
				return nil
			}
		}
		// It may be the folder: a full disk, or one that went away.
		p.drop()
	}
	if err := p.make(ctx, wasm); err != nil {
		return moduleError("the module cannot be compiled: %s", cleanTrap(err))
	}
	return nil
}

func (p *plugin) make(ctx context.Context, wasm []byte) error {
	// The limit of memory is the allocator's alone, see instance.resize.
	config := wazero.NewRuntimeConfig().WithDebugInfoEnabled(false).WithCoreFeatures(api.CoreFeaturesV2)
	if p.cache != nil {
		config = config.WithCompilationCache(p.cache)
	}
	p.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	var err error
	p.code, err = p.runtime.CompileModule(ctx, wasm)
	return err
}

// drop gives back what make made.
func (p *plugin) drop() {
	if p.runtime != nil {
		_ = p.runtime.Close(context.Background())
	}
	if p.cache != nil {
		_ = p.cache.Close(context.Background())
	}
	p.runtime, p.cache, p.code = nil, nil, nil
}

// close ends the plugin with all its instances that wait.
func (p *plugin) close() {
	p.flush()
	p.drop()
	if p.image != nil {
		p.image.close()
		p.image = nil
	}
}

// flush ends the instances that wait.
func (p *plugin) flush() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, i := range idle {
		i.close()
	}
}

// start makes the first instance, and of it the image of all others. This is
// when code of the plugin runs first. pages may be nil.
func (p *plugin) start(ctx context.Context, pages *pages) error {
	p.pages = pages
	i, err := p.boot(ctx)
	if err != nil {
		return err
	}
	p.size = int64(i.mod.Memory().Size())
	if p.pooled && p.size > 0 {
		memory, _ := i.mod.Memory().Read(0, uint32(p.size))
		if p.image, err = newImage(memory); err == nil {
			err = p.image.look()
		}
		if err != nil {
			i.close()
			return err
		}
		for _, g := range i.globals {
			p.globals = append(p.globals, g.Get())
		}
	}
	p.pooled = p.image != nil
	p.put(ctx, i)
	return nil
}

// get gives an instance as it is after its start.
func (p *plugin) get(ctx context.Context) (*instance, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		i := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return i, nil
	}
	p.mu.Unlock()
	return p.fresh(ctx)
}

// fresh makes another instance.
func (p *plugin) fresh(ctx context.Context) (*instance, error) {
	if !p.pooled {
		return p.boot(ctx)
	}
	i, err := p.instantiate(ctx, newCall(bootTime, p.load.Seed))
	if err == nil {
		if err = i.reset(); err == nil {
			return i, nil
		}
		i.close()
	}
	return nil, err
}

// put takes an instance back after a call that ended well, makes it as it was
// after its start, or a new one in its place, and keeps that.
func (p *plugin) put(ctx context.Context, i *instance) {
	var err error
	if p.pooled {
		err = i.reset()
	} else {
		i.close()
		i, err = p.boot(ctx)
	}
	if err != nil {
		if i != nil {
			i.close()
		}
		return // the next get tries anew, and can say why
	}
	p.mu.Lock()
	p.idle = append(p.idle, i)
	p.mu.Unlock()
}

// boot makes an instance and lets it start.
func (p *plugin) boot(ctx context.Context) (*instance, error) {
	c := newCall(bootTime, p.load.Seed)
	c.settings = p.load.Settings
	i, err := p.instantiate(ctx, c)
	if err != nil {
		return nil, err
	}
	if p.starting {
		if _, err := i.mod.ExportedFunction("_initialize").Call(c.with(ctx)); err != nil {
			f := i.failed(c, err)
			i.close()
			return nil, moduleError("the plugin fails when it starts: %s", f.text)
		}
	}
	return i, nil
}

// instantiate makes an instance that has not started.
func (p *plugin) instantiate(ctx context.Context, c *call) (i *instance, err error) {
	memory, err := newLinear(p.limit, p.pages)
	if err != nil {
		return nil, err
	}
	i = &instance{p: p, memory: memory, stages: map[abi.Stage]api.Function{}}
	defer func() {
		// wazero has no error for memory that cannot be had.
		if r := recover(); r != nil {
			err = fmt.Errorf("making an instance: %v", r)
		}
		if err != nil {
			i.close()
			i = nil
		}
	}()
	ctx = experimental.WithMemoryAllocator(c.with(ctx), memory)
	i.mod, err = p.runtime.InstantiateModule(&callContext{Context: ctx, call: c}, p.code, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return i, moduleError("the plugin fails when it starts: %s", i.failed(c, err).text)
	}
	for _, g := range p.mutable {
		v, ok := i.mod.ExportedGlobal(globalName(g)).(api.MutableGlobal)
		if !ok {
			return i, fmt.Errorf("making an instance: its global %d is not there", g)
		}
		i.globals = append(i.globals, v)
	}
	for _, s := range p.load.Stages {
		i.stages[s] = i.mod.ExportedFunction(s.String())
	}
	return i, nil
}

// reset makes the instance what the image is.
func (i *instance) reset() error {
	im := i.p.image
	if err := i.memory.restore(im); err != nil {
		return err
	}
	if err := i.resize(uint64(im.size)); err != nil {
		return err
	}
	for n, g := range i.globals {
		g.Set(i.p.globals[n])
	}
	i.memory.refused = false
	return nil
}

// resize gives the memory a size, a smaller one too: wazero takes what the
// allocator gives, and the module says no upper bound (see module.rewrite), so
// that growing by one page is always in order.
func (i *instance) resize(size uint64) error {
	m := i.mod.Memory()
	if uint64(m.Size()) == size {
		return nil
	}
	i.memory.force = size
	_, ok := m.Grow(1)
	i.memory.force = 0
	if !ok || uint64(m.Size()) != size {
		return errors.New("setting an instance back: its memory keeps its size")
	}
	return nil
}

// close ends the instance.
func (i *instance) close() {
	if i.mod != nil {
		_ = i.mod.Close(context.Background())
		i.mod = nil
	}
	i.memory.release()
}

// failure is why a call failed: a link.Fail constant, with words.
type failure struct{ kind, text string }

var errCancelled = errors.New("nobody waits for it any longer")

// call runs the function of a stage. A nil failure means that the guest did its
// work.
func (i *instance) call(ctx context.Context, stage abi.Stage, c *call) *failure {
	f := i.stages[stage]
	if f == nil {
		return &failure{kind: link.FailLoad, text: "it does not serve " + stage.String()}
	}
	var stack [1]uint64
	err := f.CallWithStack(c.with(ctx), stack[:])
	if err != nil {
		return i.failed(c, err)
	}
	c.log.end()
	if code := api.DecodeI32(stack[0]); code != 0 {
		return i.refine(&failure{kind: link.FailTrap, text: fmt.Sprintf("it returned %d", code)})
	}
	return nil
}

// failed makes a failure of what wazero said.
func (i *instance) failed(c *call, err error) *failure {
	c.log.end()
	var exit *sys.ExitError
	switch {
	case errors.Is(err, errCancelled):
		return &failure{kind: link.FailCancelled, text: errCancelled.Error()}
	case errors.As(err, &exit):
		return i.refine(&failure{kind: link.FailExit, text: fmt.Sprintf("it ended itself with code %d", exit.ExitCode())})
	}
	return i.refine(&failure{kind: link.FailTrap, text: cleanTrap(err)})
}

// refine adds whether the guest was out of memory. What it wrote itself stays in
// its lines for the trace: it may be text of the mail, and failures go to the
// log.
func (i *instance) refine(f *failure) *failure {
	if i.memory.refused {
		f.kind = link.FailMemory
		f.text = fmt.Sprintf("it wanted more memory than its %d KB: %s", i.p.limit>>10, f.text)
	}
	f.text = cut(f.text, 2*abi.MaxText)
	return f
}

// cleanTrap makes one line of an error of wazero: what happened, and in which
// function.
func cleanTrap(err error) string {
	text, stack, _ := strings.Cut(err.Error(), "\nwasm stack trace:\n")
	text = strings.TrimPrefix(strings.TrimSuffix(text, " (recovered by wazero)"), "wasm error: ")
	frame, _, _ := strings.Cut(strings.TrimSpace(stack), "\n")
	frame, _, _ = strings.Cut(frame, "(")
	if frame = strings.TrimPrefix(frame, "."); frame != "" {
		text += " in " + frame
	}
	return cut(clean(text), abi.MaxText)
}
