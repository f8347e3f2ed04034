package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hauspost/appliance"
	"hauspost/appliance/config"
	"hauspost/appliance/control"
)

// checked is what `config check` prints as JSON.
type checked struct {
	File   string        `json:"file"`
	OK     bool          `json:"ok"`
	Faults config.Faults `json:"faults"`
	// Plugins are those that cannot be asked with these settings, Remarks what
	// else stands there and will have no effect.
	Plugins []control.PluginProblem `json:"plugins,omitempty"`
	Remarks []control.PluginProblem `json:"remarks,omitempty"`
}

var errFaults = errors.New("the settings have faults; nothing was changed")

func (a *app) configCommand() *cobra.Command {
	group := &cobra.Command{Use: "config", Short: "The settings of the box", Args: cobra.NoArgs, RunE: a.group}
	group.AddCommand(&cobra.Command{
		Use:   "check",
		Short: "Check hauspost.toml and name every fault in it",
		Args:  cobra.NoArgs,
		RunE:  a.on(func(context.Context, []string) error { return a.configCheck() }),
	}, &cobra.Command{
		Use:   "show",
		Short: "Show the settings in force, with their explanations",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, box control.Admin, _ []string) error {
			s, err := box.Config(ctx)
			if err != nil {
				return err
			}
			return a.show(s, func(w io.Writer) { io.WriteString(w, s.Text) })
		}),
	})
	return group
}

func (a *app) configCheck() error {
	result := checked{File: config.Path(a.data), Faults: config.Faults{}}
	c, err := config.Load(a.data)
	if err != nil && !errors.As(err, &result.Faults) {
		return fmt.Errorf("the settings cannot be read: %w", err)
	}
	result.OK = err == nil
	if !a.json && err != nil {
		fmt.Fprintln(a.out, err)
		return errFaults
	}
	if err == nil {
		if result.Plugins, result.Remarks, err = appliance.CheckPlugins(a.data, c); err != nil {
			return err
		}
		result.OK = len(result.Plugins) == 0
	}
	if showErr := a.show(result, func(w io.Writer) { printChecked(w, result) }); showErr != nil {
		return showErr
	}
	if !result.OK {
		return errFaults
	}
	return nil
}

func printChecked(w io.Writer, c checked) {
	for _, p := range c.Plugins {
		fmt.Fprintf(w, "PROBLEM with the plugin %s: %s\n", p.ID, p.Text)
	}
	for _, p := range c.Remarks {
		fmt.Fprintf(w, "Remark on the plugin %s: %s\n", p.ID, p.Text)
	}
	if c.OK {
		fmt.Fprintf(w, "%s is in order.\n", c.File)
	}
}
