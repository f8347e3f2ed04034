package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) pluginEnabled(verb, short string, on bool) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " ID",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			p, err := box.PluginEnable(ctx, args[0], on)
			if err != nil {
				return err
			}
			return a.show(tidy(p), func(w io.Writer) {
				if p.Enabled {
					fmt.Fprintf(w, "%s is asked about mail now.\n", p.ID)
				} else {
					fmt.Fprintf(w, "%s is asked about no more mail.\n", p.ID)
				}
				printProblem(w, p)
			})
		}),
	}
}
