package main

import (
	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) queueDrop() *cobra.Command {
	return a.queueDeed("drop", "Take out without telling the sender; `queue undo` brings it back", &control.QueueDeed{Deed: control.QueueDrop},
		func(recipients string) string {
			return "Taken out of the queue: " + recipients + ". `hauspost queue undo` brings back what was dropped."
		})
}
