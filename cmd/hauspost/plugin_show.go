package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) pluginShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show all about one plugin: what it may do, its settings, how it does",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			p, err := findPlugin(ctx, box, args[0])
			if err != nil {
				return err
			}
			return a.show(tidy(p), func(w io.Writer) { printPlugin(w, p, time.Now()) })
		}),
	}
}

// findPlugin gives an installed plugin by its ID.
func findPlugin(ctx context.Context, box control.Admin, id string) (control.Plugin, error) {
	list, err := box.Plugins(ctx)
	if err != nil {
		return control.Plugin{}, err
	}
	i := slices.IndexFunc(list, func(p control.Plugin) bool { return p.ID == id })
	if i < 0 {
		return control.Plugin{}, &control.Error{Kind: control.KindNotFound, Text: fmt.Sprintf("the plugin %s is not installed", id)}
	}
	return list[i], nil
}

func printPlugin(w io.Writer, p control.Plugin, now time.Time) {
	printPluginFacts(w, p.PluginFacts, strings.HasPrefix(p.Source, control.BundledFrom))
	table(w, "Asked\t"+asked(p), func(w io.Writer) {
		line := func(name, value string) {
			if value != "" {
				fmt.Fprintf(w, "%s\t%s\n", name, value)
			}
		}
		line("Problem", p.Problem)
		line("Stages", strings.Join(p.Stages, ", "))
		line("Limits", fmt.Sprintf("%s of memory, %s", about(p.MemoryBytes), milliseconds(p.TimeMilliseconds)))
		line("If it fails", map[string]string{"skip": "go on without it", "tempfail": "have the sender come again later"}[p.Failing])
		if p.Weight != 1 {
			line("Weight", fmt.Sprint(p.Weight))
		}
		if p.MaxPoints != 0 {
			line("At most", fmt.Sprintf("%v points", p.MaxPoints))
		}
		line("From", p.Source)
		line("Installed", moment(p.Installed, now))
		line("Before", p.Before)
		line("SHA-256", p.SHA256)
		if p.Run != nil {
			printRun(line, p.Run, now)
		}
	})
	fmt.Fprintln(w)
	printLines(w, "When it runs:", p.Asked)
	printTerms(w, "What it may do:", p.Granted)
	printTerms(w, "What it asks for, and may not do:", p.Denied)
	printPluginSettings(w, p.Settings)
}

// printRun tells how a plugin does in the running box.
func printRun(line func(name, value string), r *control.PluginRun, now time.Time) {
	if r.Calls == 0 {
		line("Calls", "none since the box started")
	} else {
		line("Calls", fmt.Sprintf("%d; half of them took up to %s, 99 of 100 up to %s", r.Calls, milliseconds(r.P50Milliseconds), milliseconds(r.P99Milliseconds)))
		line("Memory", about(r.MemoryBytes)+" at most")
		line("Proposed", fmt.Sprintf("%d that counted, %d that did not", r.Effects, r.Dropped))
	}
	var failed []string
	for _, kind := range slices.Sorted(maps.Keys(r.Failures)) {
		failed = append(failed, fmt.Sprintf("%s %d", kind, r.Failures[kind]))
	}
	line("Failed", strings.Join(failed, ", "))
	if f := r.LastFailure; f != nil {
		line("Last failure", moment(f.At, now)+": "+f.Problem)
		if f.Message != "" {
			line("", "`hauspost trace "+f.Message+"` tells more")
		}
	}
	if r.Breaker != "" && r.Breaker != "closed" {
		state := r.Breaker
		if !r.BrokenSince.IsZero() {
			state += " since " + moment(r.BrokenSince, now)
		}
		if !r.Retry.IsZero() {
			state += ", asked again " + relative(r.Retry, now)
		}
		line("Breaker", state)
	}
	instance := "a new one for each call"
	if r.Pooled {
		instance = "used again after a complete reset"
	}
	line("Instances", instance+"; loaded in "+milliseconds(r.LoadMilliseconds))
}

func printPluginSettings(w io.Writer, list []control.PluginSetting) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(w, "Settings, in hauspost.toml below [plugin.settings]:")
	for _, s := range list {
		value, where := s.Value, ""
		switch {
		case s.Value == nil && s.Default == nil:
			where = "  (needs a value)"
		case s.Value == nil:
			value, where = s.Default, "  (default)"
		}
		fmt.Fprintf(w, "  %s = %s%s\n", s.Name, strings.Join(value, ", "), where)
		if s.Doc != "" {
			fmt.Fprintf(w, "      %s\n", s.Doc)
		}
	}
}
