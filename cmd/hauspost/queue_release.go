package main

import (
	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) queueRelease() *cobra.Command {
	return a.queueDeed("release", "Let go on what is held", &control.QueueDeed{Deed: control.QueueRelease},
		func(recipients string) string { return "Released: " + recipients + "." })
}
