package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) dkimCommand() *cobra.Command {
	group := &cobra.Command{Use: "dkim", Short: "The keys with which mail is signed", Args: cobra.NoArgs, RunE: a.group}
	group.AddCommand(a.dkimList(), a.dkimDNS())
	return group
}

// keys asks for those of the domain in args, or for all.
func keys(ctx context.Context, box control.Admin, args []string) ([]control.DKIMKey, error) {
	domain := ""
	if len(args) > 0 {
		domain = args[0]
	}
	list, err := box.DKIMKeys(ctx, domain)
	return notNil(list), err
}

func (a *app) dkimList() *cobra.Command {
	return &cobra.Command{
		Use:   "list [DOMAIN]",
		Short: "List the keys",
		Args:  cobra.MaximumNArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			list, err := keys(ctx, box, args)
			if err != nil {
				return err
			}
			return a.show(map[string]any{"keys": list}, func(w io.Writer) {
				table(w, "DOMAIN\tSELECTOR\tKEY\tSINCE\tSIGNS", func(w io.Writer) {
					for _, k := range list {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.Domain, k.Selector, k.Algorithm, k.Created.Local().Format(time.DateOnly), yesNo(k.Active))
					}
				})
			})
		}),
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (a *app) dkimDNS() *cobra.Command {
	var zone bool
	cmd := &cobra.Command{
		Use:   "dns [DOMAIN]",
		Short: "Print the records that must stand in the DNS, so that others can check the signatures",
		Args:  cobra.MaximumNArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			list, err := keys(ctx, box, args)
			if err != nil {
				return err
			}
			records := make([]control.DNSRecord, len(list))
			for i, k := range list {
				records[i] = k.Record
			}
			return a.show(map[string]any{"records": records}, func(w io.Writer) {
				for i, r := range records {
					if zone {
						fmt.Fprintln(w, r.Zone)
						continue
					}
					if i > 0 {
						fmt.Fprintln(w)
					}
					fmt.Fprintf(w, "Name   %s\nType   %s\nValue  %s\n", r.Name, r.Type, r.Value)
				}
			})
		}),
	}
	cmd.Flags().BoolVar(&zone, "zone", false, "as text for a zone file")
	return cmd
}
