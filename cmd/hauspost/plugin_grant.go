package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) pluginGrant() *cobra.Command {
	var g control.PluginGrants
	cmd := &cobra.Command{
		Use:   "grant ID",
		Short: "Show what a plugin may do, or change it",
		Example: "  hauspost plugin grant my-filter\n" +
			"  hauspost plugin grant my-filter --deny stop:reject,points:3",
		Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) (err error) {
			var p control.Plugin
			if len(g.Allow) == 0 && len(g.Deny) == 0 && !g.All {
				p, err = findPlugin(ctx, box, args[0])
			} else {
				g.ID = args[0]
				p, err = box.PluginGrant(ctx, g)
			}
			if err != nil {
				return err
			}
			return a.show(tidy(p), func(w io.Writer) {
				if len(p.Granted) == 0 {
					fmt.Fprintf(w, "%s may do nothing.\n", p.ID)
				}
				printTerms(w, fmt.Sprintf("What %s may do:", p.ID), p.Granted)
				printTerms(w, "What it asks for, and may not do:", p.Denied)
				printProblem(w, p)
			})
		}),
	}
	f := cmd.Flags()
	f.StringSliceVar(&g.Allow, "allow", nil, "grant these as well, by the names in brackets")
	f.StringSliceVar(&g.Deny, "deny", nil, "take these away; points:3 is for less points")
	f.BoolVar(&g.All, "all", false, "grant all that it asks for")
	return cmd
}
