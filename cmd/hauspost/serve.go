package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"hauspost/appliance"
	"hauspost/appliance/control"
)

func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the box until SIGTERM or Ctrl-C",
		Args:  cobra.NoArgs,
		RunE: a.on(func(ctx context.Context, _ []string) error {
			return appliance.Serve(ctx, appliance.ServeOptions{
				Dir: a.data, Version: version, Stderr: a.err, Ready: a.ready,
			})
		}),
	}
}

// ready prints the line by which people and scripts know that a box is up.
func (a *app) ready(r appliance.Ready) error {
	return a.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "hauspost ready: %s at %s after %.0f ms\n", r.Hostname, where(r.Listeners), r.Milliseconds)
	})
}

func where(listeners []control.Listener) string {
	words := make([]string, len(listeners))
	for i, l := range listeners {
		words[i] = l.Service + " " + l.Address
	}
	return strings.Join(words, ", ")
}
