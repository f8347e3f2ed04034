package main

import (
	"context"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) pluginRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a plugin; its settings in hauspost.toml stay",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			if err := box.PluginRemove(ctx, args[0]); err != nil {
				return err
			}
			return a.showRemoved("plugin", args[0])
		}),
	}
}
