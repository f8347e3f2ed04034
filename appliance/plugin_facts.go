package appliance

import (
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"hauspost/appliance/config"
	"hauspost/appliance/control"
	"hauspost/plugins/pack"
)

// plugin tells all of an installed plugin.
func (a *admin) plugin(f *pack.Folder, e pack.Entry, runs map[string]control.PluginRun, wrong map[string]string) control.Plugin {
	owner := pluginConfig(a.config, e.ID)
	p := control.Plugin{
		PluginFacts: control.PluginFacts{ID: e.ID, Name: e.ID, Version: e.Version, Signer: e.Signer, SHA256: e.SHA256, Digest: e.Digest,
			Stages: []string{}, Asked: []string{}, Needs: []control.PluginTerm{}, Settings: []control.PluginSetting{}},
		Enabled: e.Enabled, Granted: grantTerms(e.Granted), Denied: []control.PluginTerm{}, Source: e.Source, Installed: e.Installed,
		Weight: owner.Weight, MaxPoints: owner.MaxPoints, Failing: owner.OnFailure, Problem: wrong[e.ID],
	}
	if e.Previous != nil {
		p.Before = e.Previous.Version
	}
	if run, ok := runs[e.ID]; ok {
		p.Run = &run
	}
	pkg, err := f.Load(e)
	if err != nil {
		p.Problem = err.Error()
		return p
	}
	p.PluginFacts = pluginFacts(pkg, owner.Settings)
	p.Denied = grantTerms(pkg.Manifest.Needs.Beyond(e.Granted))
	if p.Failing == "" {
		p.Failing = pkg.Manifest.OnFailure
	}
	if p.Problem == "" && e.Enabled {
		p.Problem = misfit(a.config, pkg.Manifest, e.Granted, owner)
	}
	return p
}

// pluginFacts are what a package says of itself, with the owner's settings.
func pluginFacts(p *pack.Package, owner config.Settings) control.PluginFacts {
	m := p.Manifest
	f := control.PluginFacts{
		ID: m.ID, Name: m.Name, Version: m.Version, Description: m.Description, Author: m.Author, Homepage: m.Homepage, License: m.License,
		Signer: pack.KeyText(p.Signer), SHA256: hex.EncodeToString(p.WasmSHA256[:]), Digest: hex.EncodeToString(p.Digest[:]),
		Stages: []string{}, Asked: m.Words(), TimerSeconds: m.Timer.Seconds(), Needs: grantTerms(m.Needs),
		MemoryBytes: m.Limits.Memory, TimeMilliseconds: float64(m.Limits.Time) / float64(time.Millisecond), OnFailure: m.OnFailure,
		Settings: []control.PluginSetting{},
	}
	for _, s := range m.Stages {
		f.Stages = append(f.Stages, s.String())
	}
	secret := map[string]bool{}
	for _, s := range m.Settings {
		secret[s.Name] = s.Secret
		f.Settings = append(f.Settings, control.PluginSetting{Name: s.Name, Type: s.Type, Doc: s.Doc, Default: masked(defaultOf(s.Default), s.Secret)})
	}
	for _, s := range owner {
		i := slices.IndexFunc(f.Settings, func(known control.PluginSetting) bool { return known.Name == s.Name })
		if i < 0 {
			i = len(f.Settings)
			f.Settings = append(f.Settings, control.PluginSetting{Name: s.Name})
		}
		f.Settings[i].Value = masked(append([]string{}, s.Values...), s.Secret() || secret[s.Name])
	}
	return f
}

func masked(values []string, secret bool) []string {
	if secret && values != nil {
		return []string{"***"}
	}
	return values
}

func defaultOf(value any) []string {
	switch v := value.(type) {
	case nil:
		return nil
	case []string:
		return append([]string{}, v...)
	}
	return []string{fmt.Sprint(value)}
}

func grantTerms(g pack.Grants) []control.PluginTerm {
	return each(g.Terms(), func(t pack.Term) control.PluginTerm { return control.PluginTerm(t) })
}

// pluginConfig gives what the owner's file says of a plugin; where it says
// nothing, the defaults.
func pluginConfig(c *config.Config, id string) config.Plugin {
	for _, p := range c.Plugins {
		if p.ID == id {
			return p
		}
	}
	return config.NewPlugin(id)
}

// ownerSettings puts settings into the form that manifests check: by name, with
// the types that they have in TOML.
func ownerSettings(list config.Settings) map[string]any {
	m := map[string]any{}
	for _, s := range list {
		m[s.Name] = s.Value()
	}
	return m
}
