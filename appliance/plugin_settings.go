package appliance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hauspost/appliance/config"
	"hauspost/appliance/control"
	"hauspost/plugins/pack"
)

// CheckPlugins tells what is wrong between the settings of a box and the plugins
// in its data folder. Faults keep a plugin from being asked, remarks do not. It
// makes nothing.
func CheckPlugins(dir string, c *config.Config) (faults, remarks []control.PluginProblem, err error) {
	var entries []pack.Entry
	path := filepath.Join(dir, pluginsFolder)
	if _, err := os.Stat(path); err == nil {
		folder, err := pack.OpenFolder(path, time.Now)
		if err == nil {
			entries, err = folder.List()
		}
		if err != nil {
			return nil, nil, err
		}
		for _, e := range entries {
			if text := problemOf(folder, e, c); text != "" {
				faults = append(faults, control.PluginProblem{ID: e.ID, Text: text})
			}
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("looking for plugins: %w", err)
	}
	return faults, strangers(c, entries), nil
}

// problemOf says why an installed plugin cannot be asked, if it cannot.
func problemOf(folder *pack.Folder, e pack.Entry, c *config.Config) string {
	if !e.Enabled {
		return ""
	}
	pkg, err := folder.Load(e)
	if err != nil {
		return err.Error()
	}
	return misfit(c, pkg.Manifest, e.Granted, pluginConfig(c, e.ID))
}

// misfit says what is wrong between a plugin and the settings of a box.
func misfit(c *config.Config, m *pack.Manifest, granted pack.Grants, owner config.Plugin) string {
	if _, err := m.Resolve(ownerSettings(owner.Settings)); err != nil {
		return err.Error() + " (in hauspost.toml, below the [[plugin]] with this id)"
	}
	for _, name := range granted.Services {
		if !slices.ContainsFunc(c.Services, func(s config.Service) bool { return s.Name == name }) {
			return fmt.Sprintf("it asks the service %q, which is not in hauspost.toml: add a [[service]] with this name", name)
		}
	}
	return ""
}

// strangers are the plugins of which the settings speak and that are not
// installed: mostly misspelt ones.
func strangers(c *config.Config, installed []pack.Entry) []control.PluginProblem {
	var list []control.PluginProblem
	for _, p := range c.Plugins {
		if !slices.ContainsFunc(installed, func(e pack.Entry) bool { return e.ID == p.ID }) {
			list = append(list, control.PluginProblem{ID: p.ID, Text: "hauspost.toml has settings for it, and it is not installed: is its id misspelt?"})
		}
	}
	return list
}
