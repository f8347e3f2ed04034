package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) pluginRemove() *cobra.Command {
	var forget bool
	cmd := &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a plugin; its settings in hauspost.toml stay",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			if err := box.PluginRemove(ctx, args[0], forget); err != nil {
				return err
			}
			return a.show(removed{args[0]}, func(w io.Writer) {
				if forget {
					fmt.Fprintf(w, "Removed the plugin %s and what it had remembered.\n", args[0])
					return
				}
				fmt.Fprintf(w, "Removed the plugin %s. What it remembered stays for when it is installed again; `--forget` removes that as well.\n", args[0])
			})
		}),
	}
	cmd.Flags().BoolVar(&forget, "forget", false, "remove what it has remembered as well")
	return cmd
}
