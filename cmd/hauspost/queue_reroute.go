package main

import (
	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) queueReroute() *cobra.Command {
	deed := &control.QueueDeed{Deed: control.QueueReroute}
	cmd := a.queueDeed("reroute --via direct|smarthost|HOST:PORT|settings", "Send another way than the settings say, and try now", deed,
		func(recipients string) string {
			if deed.Via == "settings" {
				return "To be sent as the settings say: " + recipients + "."
			}
			return "To be sent by " + deed.Via + ": " + recipients + "."
		})
	cmd.Long = "Send another way than the settings say, and try now: \"direct\" to the\n" +
		"destination's own servers, \"smarthost\" through the route for everything,\n" +
		"HOST:PORT through that server, \"settings\" as usual again."
	cmd.Flags().StringVar(&deed.Via, "via", "", "the way: direct, smarthost, HOST:PORT, or settings for the usual one")
	cmd.MarkFlagRequired("via")
	return cmd
}
