package appliance

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"hauspost/appliance/control"
	bundle "hauspost/plugins"
	"hauspost/plugins/pack"
	"hauspost/store"
)

// pluginsFolder is where installed plugins are, in the data folder.
const pluginsFolder = "plugins"

// filtering is what a running box does with its plugins.
type filtering interface {
	// reload has the plugins used as the folder and the settings say now.
	reload(ctx context.Context) error
	// figures tells of the workers, of restarts, and by ID of each plugin; the
	// texts say what is wrong with plugins, if anything is.
	figures() (workers []control.PluginWorker, restarts int64, runs map[string]control.PluginRun, wrong map[string]string)
	// replay runs a plugin over stored mail, the newest first, and calls row
	// for each message. It changes nothing.
	replay(ctx context.Context, r replayed, row func(control.ReplayRow) error) error
}

func (a *admin) pluginFolder() (*pack.Folder, error) {
	return pack.OpenFolder(filepath.Join(a.dir, pluginsFolder), time.Now)
}

// Plugins implements control.Admin.
func (a *admin) Plugins(context.Context) ([]control.Plugin, error) {
	f, err := a.pluginFolder()
	if err != nil {
		return nil, err
	}
	entries, err := f.List()
	if err != nil {
		return nil, err
	}
	runs, wrong := a.running()
	return each(entries, func(e pack.Entry) control.Plugin { return a.plugin(f, e, runs, wrong) }), nil
}

// running gives what a running box knows of its plugins; nothing at rest.
func (a *admin) running() (map[string]control.PluginRun, map[string]string) {
	if a.filtering == nil {
		return nil, nil
	}
	_, _, runs, wrong := a.filtering.figures()
	return runs, wrong
}

// packageOf reads the package that a request means.
func (a *admin) packageOf(s control.PluginSource) (p *pack.Package, from string, err error) {
	switch {
	case len(s.Package) > control.MaxPackage:
		return nil, "", invalid("the package is larger than %d MiB", control.MaxPackage>>20)
	case len(s.Package) > 0:
		p, err = pack.OpenArchive(s.Package)
		return p, s.From, pluginKinds(err)
	case s.ID == "":
		return nil, "", invalid("say which plugin: a package, or the name of one that comes with hauspost")
	}
	p, err = bundle.OpenBundled(s.ID)
	return p, control.BundledFrom + a.version, pluginKinds(err)
}

// PluginReview implements control.Admin.
func (a *admin) PluginReview(_ context.Context, r control.PluginRequest) (control.PluginReview, error) {
	p, _, err := a.packageOf(r.PluginSource)
	if err != nil {
		return control.PluginReview{}, err
	}
	f, err := a.pluginFolder()
	if err != nil {
		return control.PluginReview{}, err
	}
	granted, more, installed, err := wantedGrants(f, p, r.PluginChoice)
	if err != nil {
		return control.PluginReview{}, pluginKinds(err)
	}
	review := control.PluginReview{PluginFacts: pluginFacts(p, pluginConfig(a.config, p.Manifest.ID).Settings), Bundled: len(r.Package) == 0,
		Granted: grantTerms(granted), Installed: installed, More: grantTerms(more)}
	if installed != "" {
		if e, err := f.Get(p.Manifest.ID); err == nil && e.Signer != "" && e.Signer != review.Signer {
			review.Problem = pack.ErrSigner.Error()
		}
	}
	return review, nil
}

// PluginInstall implements control.Admin.
func (a *admin) PluginInstall(ctx context.Context, r control.PluginRequest) (control.Plugin, error) {
	return a.put(ctx, r, func(f *pack.Folder, p *pack.Package, from string) (pack.Entry, error) {
		granted, err := chosenGrants(p.Manifest.Needs, r.PluginChoice)
		if err != nil {
			return pack.Entry{}, err
		}
		return f.Install(p, granted, from)
	})
}

// PluginUpdate implements control.Admin.
func (a *admin) PluginUpdate(ctx context.Context, r control.PluginRequest) (control.Plugin, error) {
	return a.put(ctx, r, func(f *pack.Folder, p *pack.Package, from string) (pack.Entry, error) {
		granted, _, installed, err := wantedGrants(f, p, r.PluginChoice)
		if err == nil && installed == "" {
			err = fmt.Errorf("%q: %w", p.Manifest.ID, pack.ErrNotInstalled)
		}
		if err != nil {
			return pack.Entry{}, err
		}
		return f.Update(p, granted, from)
	})
}

// put runs fn with the package of a request, and has the box use the outcome.
func (a *admin) put(ctx context.Context, r control.PluginRequest, fn func(*pack.Folder, *pack.Package, string) (pack.Entry, error)) (control.Plugin, error) {
	p, from, err := a.packageOf(r.PluginSource)
	if err != nil {
		return control.Plugin{}, err
	}
	return a.changePlugin(ctx, p.Manifest.ID, func(f *pack.Folder) error {
		_, err := fn(f, p, from)
		return err
	})
}

// changePlugin changes the folder, has the box use it as it is then, and tells
// of the plugin.
func (a *admin) changePlugin(ctx context.Context, id string, fn func(*pack.Folder) error) (control.Plugin, error) {
	f, err := a.changePlugins(ctx, fn)
	if err != nil {
		return control.Plugin{}, err
	}
	e, err := f.Get(id)
	if err != nil {
		return control.Plugin{}, pluginKinds(err)
	}
	runs, wrong := a.running()
	return a.plugin(f, e, runs, wrong), nil
}

func (a *admin) changePlugins(ctx context.Context, fn func(*pack.Folder) error) (*pack.Folder, error) {
	f, err := a.pluginFolder()
	if err != nil {
		return nil, ofDisk(a.dir, err)
	}
	if err := fn(f); err != nil {
		return nil, ofDisk(a.dir, pluginKinds(err))
	}
	if a.filtering == nil {
		return f, nil
	}
	if err := a.filtering.reload(ctx); err != nil {
		return nil, fmt.Errorf("the change was made, but the running box does not use it yet (start it again): %w", err)
	}
	return f, nil
}

// PluginBack implements control.Admin.
func (a *admin) PluginBack(ctx context.Context, id string) (control.Plugin, error) {
	return a.changePlugin(ctx, id, func(f *pack.Folder) error {
		_, err := f.Back(id)
		return err
	})
}

// PluginRemove implements control.Admin.
func (a *admin) PluginRemove(ctx context.Context, id string, forget bool) error {
	if _, err := a.changePlugins(ctx, func(f *pack.Folder) error { return f.Remove(id) }); err != nil || !forget {
		return err
	}
	core, err := a.parts(ctx)
	if err != nil {
		return err
	}
	return core.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Delete(timerKind, id); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return tx.DropKeys(keySpace(id))
	})
}

// PluginEnable implements control.Admin.
func (a *admin) PluginEnable(ctx context.Context, id string, on bool) (control.Plugin, error) {
	return a.changePlugin(ctx, id, func(f *pack.Folder) error { return f.Enable(id, on) })
}

// PluginOrder implements control.Admin.
func (a *admin) PluginOrder(ctx context.Context, ids []string) ([]control.Plugin, error) {
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] {
			return nil, invalid("%s is named twice", id)
		}
		seen[id] = true
	}
	if _, err := a.changePlugins(ctx, func(f *pack.Folder) error { return f.Order(ids) }); err != nil {
		return nil, err
	}
	return a.Plugins(ctx)
}

// PluginGrant implements control.Admin.
func (a *admin) PluginGrant(ctx context.Context, g control.PluginGrants) (control.Plugin, error) {
	return a.changePlugin(ctx, g.ID, func(f *pack.Folder) error {
		e, err := f.Get(g.ID)
		if err != nil {
			return err
		}
		p, err := f.Load(e)
		if err != nil {
			return err
		}
		granted, needs := e.Granted, p.Manifest.Needs
		if g.All {
			granted = needs
		}
		if len(g.Allow) > 0 {
			more, err := chosenGrants(needs, control.PluginChoice{Only: g.Allow})
			if err != nil {
				return err
			}
			granted = granted.With(more)
		}
		if granted, err = lessGrants(granted, needs, g.Deny); err != nil {
			return err
		}
		return f.Grant(g.ID, granted)
	})
}

// filterStatus tells how the plugins are.
func (a *admin) filterStatus(ctx context.Context) (control.FilterStatus, error) {
	s := control.FilterStatus{Problems: []control.PluginProblem{}, Workers: []control.PluginWorker{}}
	list, err := a.Plugins(ctx)
	if err != nil {
		return s, err
	}
	s.Installed = len(list)
	for _, p := range list {
		if p.Enabled {
			s.Enabled++
		}
		if p.Problem != "" {
			s.Problems = append(s.Problems, control.PluginProblem{ID: p.ID, Text: p.Problem})
		}
	}
	s.Problems = append(s.Problems, strangers(a.config, each(list, func(p control.Plugin) pack.Entry { return pack.Entry{ID: p.ID} }))...)
	if a.filtering != nil {
		var workers []control.PluginWorker
		workers, s.Restarts, _, _ = a.filtering.figures()
		s.Workers = append(s.Workers, workers...)
	}
	return s, nil
}

// pluginKinds puts errors about plugins into the kinds of control.
func pluginKinds(err error) error {
	var told *control.Error
	var faults pack.Faults
	kind := control.KindInvalid
	switch {
	case err == nil || errors.As(err, &told):
		return err
	case errors.Is(err, pack.ErrNotInstalled), errors.Is(err, bundle.ErrNotBundled):
		kind = control.KindNotFound
	case errors.Is(err, pack.ErrInstalled):
		kind = control.KindExists
	case errors.Is(err, pack.ErrBadPackage), errors.Is(err, pack.ErrSignature), errors.Is(err, pack.ErrSigner), errors.Is(err, pack.ErrTooMuch),
		errors.Is(err, pack.ErrNoPrevious), errors.Is(err, pack.ErrChanged), errors.As(err, &faults):
	default:
		return err
	}
	return &control.Error{Kind: kind, Text: err.Error()}
}
