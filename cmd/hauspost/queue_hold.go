package main

import (
	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) queueHold() *cobra.Command {
	return a.queueDeed("hold", "Keep back until `queue release`", &control.QueueDeed{Deed: control.QueueHold},
		func(recipients string) string { return "Held until `hauspost queue release`: " + recipients + "." })
}
