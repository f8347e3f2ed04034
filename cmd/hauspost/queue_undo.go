package main

import (
	"context"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) queueUndo() *cobra.Command {
	var c chooser
	cmd := &cobra.Command{
		Use:   "undo [NUMBER|ID]...",
		Short: "Take back the last deed, or the last one of the rows that are named",
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			q, err := c.choose(args)
			if err != nil {
				return err
			}
			return a.queueDo(ctx, box, control.QueueDeed{Deed: control.QueueUndo, Query: q},
				func(recipients string) string { return "As before again: " + recipients + "." })
		}),
	}
	c.flags(cmd)
	return cmd
}
