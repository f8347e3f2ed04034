package main

import (
	"context"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) pluginOrder() *cobra.Command {
	return &cobra.Command{
		Use:   "order ID...",
		Short: "Have these plugins asked first, in this order; the others follow as they are",
		Args:  cobra.MinimumNArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			list, err := box.PluginOrder(ctx, args)
			if err != nil {
				return err
			}
			return a.showPlugins(list)
		}),
	}
}
