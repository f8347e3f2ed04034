package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

// removed is what the remove commands print as JSON.
type removed struct {
	Removed string `json:"removed"`
}

func (a *app) showRemoved(what, name string) error {
	return a.show(removed{name}, func(w io.Writer) { fmt.Fprintf(w, "Removed the %s %s.\n", what, name) })
}

// table prints rows in columns.
func table(w io.Writer, head string, rows func(w io.Writer)) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, head)
	rows(t)
	t.Flush()
}

func (a *app) domainCommand() *cobra.Command {
	group := &cobra.Command{Use: "domain", Short: "The domains that the box takes mail for", Args: cobra.NoArgs, RunE: a.group}
	var aliasOf string
	add := &cobra.Command{
		Use:   "add DOMAIN",
		Short: "Take mail for a domain",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			d, err := box.AddDomain(ctx, args[0], aliasOf)
			if err != nil {
				return err
			}
			return a.show(d, func(w io.Writer) {
				fmt.Fprintf(w, "Added the domain %s.\n", d.Name)
				fmt.Fprintf(w, "For mail from there, publish what `hauspost dkim dns %s` prints.\n", d.Name)
			})
		}),
	}
	add.Flags().StringVar(&aliasOf, "alias-of", "", "only another name of this domain, with the same people")
	group.AddCommand(add, &cobra.Command{
		Use:   "list",
		Short: "List the domains",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, box control.Admin, _ []string) error {
			list, err := box.Domains(ctx)
			if err != nil {
				return err
			}
			return a.show(map[string]any{"domains": notNil(list)}, func(w io.Writer) {
				table(w, "DOMAIN\tALIAS OF", func(w io.Writer) {
					for _, d := range list {
						fmt.Fprintf(w, "%s\t%s\n", d.Name, d.AliasOf)
					}
				})
			})
		}),
	}, &cobra.Command{
		Use:   "remove DOMAIN",
		Short: "Take no more mail for a domain that nobody uses",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			if err := box.RemoveDomain(ctx, args[0]); err != nil {
				return err
			}
			return a.showRemoved("domain", args[0])
		}),
	})
	return group
}

// notNil has an empty list print as [] and not as null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
