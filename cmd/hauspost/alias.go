package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) aliasCommand() *cobra.Command {
	group := &cobra.Command{Use: "alias", Short: "Addresses that lead to people, here or elsewhere", Args: cobra.NoArgs, RunE: a.group}
	group.AddCommand(&cobra.Command{
		Use:   "add ALIAS TO...",
		Short: "Lead mail for an address to others; @DOMAIN catches all that nobody else gets",
		Long: "Lead mail for an address of this box to others, of this box or anywhere: mail for\n" +
			"others is forwarded. @DOMAIN catches all that nobody else of the domain gets.",
		Example: "  hauspost alias add info@example.org anna@example.org ben@example.org\n" +
			"  hauspost alias add @example.org anna@example.org\n" +
			"  hauspost alias add ben@example.org ben@university.example",
		Args: cobra.MinimumNArgs(2),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			al, err := box.AddAlias(ctx, args[0], args[1:])
			if err != nil {
				return err
			}
			return a.show(al, func(w io.Writer) {
				fmt.Fprintf(w, "Mail for %s goes to %s.\n", al.Address, strings.Join(al.To, ", "))
			})
		}),
	}, &cobra.Command{
		Use:   "list",
		Short: "List the aliases",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, box control.Admin, _ []string) error {
			list, err := box.Aliases(ctx)
			if err != nil {
				return err
			}
			return a.show(map[string]any{"aliases": notNil(list)}, func(w io.Writer) {
				table(w, "ALIAS\tTO", func(w io.Writer) {
					for _, al := range list {
						fmt.Fprintf(w, "%s\t%s\n", al.Address, strings.Join(al.To, ", "))
					}
				})
			})
		}),
	}, &cobra.Command{
		Use:   "remove ALIAS",
		Short: "Remove an alias",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			if err := box.RemoveAlias(ctx, args[0]); err != nil {
				return err
			}
			return a.showRemoved("alias", args[0])
		}),
	})
	return group
}
