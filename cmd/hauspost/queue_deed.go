package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

// queueDeed makes a command that does something with the rows that are chosen.
// said tells what became of so many recipients.
func (a *app) queueDeed(use, short string, deed *control.QueueDeed, said func(recipients string) string) *cobra.Command {
	var c chooser
	cmd := &cobra.Command{
		Use:   use + " [NUMBER|ID]...",
		Short: short,
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			q, err := c.choose(args)
			if err != nil {
				return err
			}
			if q.Everything() && !c.all {
				return usage{"say which: numbers, IDs of messages, a filter such as --destination, or --all"}
			}
			d := *deed
			d.Query, d.All = q, c.all
			return a.queueDo(ctx, box, d, said)
		}),
	}
	c.flags(cmd)
	cmd.Flags().BoolVar(&c.all, "all", false, "all that are in the queue; needed where nothing else is said")
	return cmd
}

func (a *app) queueDo(ctx context.Context, box control.Admin, d control.QueueDeed, said func(recipients string) string) error {
	done, err := box.QueueDo(ctx, d)
	if err != nil {
		return err
	}
	return a.show(done, func(w io.Writer) {
		if done.Changed == 0 {
			fmt.Fprintln(w, "Nothing is in the queue that fits; nothing was changed.")
			return
		}
		fmt.Fprintln(w, said(plural(done.Changed, "recipient")))
	})
}
