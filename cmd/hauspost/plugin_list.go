package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) pluginList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the plugins, in the order in which they are asked",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, box control.Admin, _ []string) error {
			list, err := box.Plugins(ctx)
			if err != nil {
				return err
			}
			return a.showPlugins(list)
		}),
	}
}

func (a *app) showPlugins(list []control.Plugin) error {
	for i, p := range list {
		list[i] = tidy(p)
	}
	return a.show(map[string]any{"plugins": notNil(list)}, func(w io.Writer) {
		if len(list) == 0 {
			fmt.Fprintln(w, "No plugins are installed.")
			return
		}
		table(w, "PLUGIN\tVERSION\tASKED\tCALLS\tTIME\tFAILED\tDOES", func(w io.Writer) {
			for _, p := range list {
				calls, took, failed := "-", "-", "-"
				if r := p.Run; r != nil {
					calls, took, failed = fmt.Sprint(r.Calls), milliseconds(r.P50Milliseconds), fmt.Sprint(failures(r))
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, p.Version, asked(p), calls, took, failed, p.Description)
			}
		})
		for _, p := range list {
			if p.Problem != "" {
				fmt.Fprintf(w, "PROBLEM with %s: %s\n", p.ID, p.Problem)
			}
		}
	})
}

// asked tells whether a plugin is asked.
func asked(p control.Plugin) string {
	switch {
	case !p.Enabled:
		return "no"
	case p.Problem != "":
		return "PROBLEM"
	}
	return "yes"
}

func failures(r *control.PluginRun) int64 {
	var n int64
	for _, f := range r.Failures {
		n += f
	}
	return n
}
