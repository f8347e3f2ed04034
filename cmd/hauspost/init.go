package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hauspost/appliance"
)

func (a *app) initCommand() *cobra.Command {
	var o appliance.InitOptions
	cmd := &cobra.Command{
		Use:     "init --hostname HOST --domain DOMAIN",
		Short:   "Make a new box: the data folder with its settings",
		Example: "  hauspost init --data /var/lib/hauspost --hostname mail.example.org --domain example.org",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&o.Hostname, "hostname", "", "the true name of the box, such as mail.example.org")
	cmd.Flags().StringVar(&o.Domain, "domain", "", "the first domain to take mail for, such as example.org")
	cmd.Flags().IntVar(&o.PortOffset, "port-offset", 0, "added to every port: 10000 makes 25 into 10025, no root needed")
	cmd.Flags().StringSliceVar(&o.Listen, "listen", nil, "IP addresses to listen at (default: all)")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if o.Hostname == "" || o.Domain == "" {
			return usage{"init needs --hostname and --domain"}
		}
		return a.on(func(ctx context.Context, _ []string) error {
			o.Dir = a.data
			made, err := appliance.Init(ctx, o)
			if err != nil {
				return err
			}
			return a.show(made, func(w io.Writer) {
				fmt.Fprintf(w, "Made a box for %s in %s; its settings are in %s.\n", made.Domain, made.Data, made.Config)
				fmt.Fprintf(w, "Next: hauspost account add anna@%s --data %s\n", made.Domain, made.Data)
				fmt.Fprintf(w, "Then: hauspost serve --data %s\n", made.Data)
				fmt.Fprintf(w, "To send: publish what `hauspost dkim dns %s` prints\n", made.Domain)
			})
		})(c, args)
	}
	return cmd
}
