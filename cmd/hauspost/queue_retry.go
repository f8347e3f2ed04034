package main

import (
	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) queueRetry() *cobra.Command {
	cmd := a.queueDeed("retry", "Try again now, whatever the schedule says", &control.QueueDeed{Deed: control.QueueRetry},
		func(recipients string) string { return "To be tried again now: " + recipients + "." })
	cmd.Example = "  hauspost queue retry 17\n  hauspost queue retry --destination example.org"
	return cmd
}
