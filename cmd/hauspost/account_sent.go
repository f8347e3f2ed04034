package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) accountSent() *cobra.Command {
	return &cobra.Command{
		Use:   "sent ADDRESS on|off",
		Short: "File copies of what a person sends where the mail program saves none, or do not",
		Args:  cobra.ExactArgs(2),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			on := args[1] == "on"
			if !on && args[1] != "off" {
				return usage{fmt.Sprintf("%q is neither on nor off", args[1])}
			}
			if err := box.SetSentCopy(ctx, args[0], on); err != nil {
				return err
			}
			return a.show(changed{args[0]}, func(w io.Writer) {
				if on {
					fmt.Fprintf(w, "What %s sends is filed in Sent now where the mail program does not do so itself.\n", args[0])
					return
				}
				fmt.Fprintf(w, "What %s sends is filed in Sent only by the mail program now.\n", args[0])
			})
		}),
	}
}
