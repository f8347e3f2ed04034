package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) accountCommand() *cobra.Command {
	group := &cobra.Command{Use: "account", Short: "The people of the box", Args: cobra.NoArgs, RunE: a.group}
	group.AddCommand(a.accountAdd(), a.accountList(), a.accountRemove(), a.accountPasswd(), a.accountSent(),
		a.accountDisabled("disable", "Refuse a person's sign-ins; mail is still kept", true),
		a.accountDisabled("enable", "Allow a person's sign-ins again", false))
	return group
}

const stdinHelp = "read the password from standard input (one line) instead of asking for it"

func (a *app) accountAdd() *cobra.Command {
	var stdin bool
	cmd := &cobra.Command{
		Use:     "add ADDRESS",
		Short:   "Add a person with mailboxes",
		Example: "  hauspost account add anna@example.org --data /var/lib/hauspost",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			password, err := a.readPassword(args[0], stdin)
			if err != nil {
				return err
			}
			acc, err := box.AddAccount(ctx, args[0], password)
			if err != nil {
				return err
			}
			return a.show(acc, func(w io.Writer) { fmt.Fprintf(w, "Added the account %s.\n", acc.Address) })
		}),
	}
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, stdinHelp)
	return cmd
}

func (a *app) accountList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the people",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, box control.Admin, _ []string) error {
			list, err := box.Accounts(ctx)
			if err != nil {
				return err
			}
			return a.show(map[string]any{"accounts": notNil(list)}, func(w io.Writer) {
				table(w, "ADDRESS\tSINCE\tSIGN-IN\tSENT COPY", func(w io.Writer) {
					for _, acc := range list {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", acc.Address, acc.Created.Local().Format(time.DateOnly), signIn(acc), onOff(acc.SentCopy))
					}
				})
			})
		}),
	}
}

func signIn(acc control.Account) string {
	if acc.Disabled {
		return "disabled"
	}
	return "allowed"
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func (a *app) accountRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove ADDRESS",
		Short: "Remove a person with all mail",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			if !yes {
				question := fmt.Sprintf("This removes %s with all mail. Type the address again to go on: ", args[0])
				if err := a.confirm(question, args[0]); err != nil {
					return err
				}
			}
			if err := box.RemoveAccount(ctx, args[0]); err != nil {
				return err
			}
			return a.showRemoved("account", args[0])
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask on a terminal")
	return cmd
}

// changed is what commands that change an account print as JSON.
type changed struct {
	Changed string `json:"changed"`
}

func (a *app) accountPasswd() *cobra.Command {
	var stdin bool
	cmd := &cobra.Command{
		Use:   "passwd ADDRESS",
		Short: "Set a person's password",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			password, err := a.readPassword(args[0], stdin)
			if err != nil {
				return err
			}
			if err := box.SetPassword(ctx, args[0], password); err != nil {
				return err
			}
			return a.show(changed{args[0]}, func(w io.Writer) { fmt.Fprintf(w, "Set the password of %s.\n", args[0]) })
		}),
	}
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, stdinHelp)
	return cmd
}

func (a *app) accountDisabled(verb, short string, disabled bool) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " ADDRESS",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			if err := box.SetDisabled(ctx, args[0], disabled); err != nil {
				return err
			}
			return a.show(changed{args[0]}, func(w io.Writer) {
				fmt.Fprintf(w, "Sign-in of %s is %s now.\n", args[0], signIn(control.Account{Disabled: disabled}))
			})
		}),
	}
}
