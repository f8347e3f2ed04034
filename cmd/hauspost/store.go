package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hauspost/appliance"
	"hauspost/appliance/control"
)

func (a *app) storeCommand() *cobra.Command {
	group := &cobra.Command{Use: "store", Short: "The stored mail and its index", Args: cobra.NoArgs, RunE: a.group}
	group.AddCommand(&cobra.Command{
		Use:   "verify",
		Short: "Compare every message file with the index; changes nothing",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, box control.Admin, _ []string) error {
			r, err := box.Verify(ctx)
			if err != nil {
				return err
			}
			r.Problems = notNil(r.Problems)
			if err := a.show(r, func(w io.Writer) {
				fmt.Fprintf(w, "Looked at %d message files and %d mailboxes, %s.\n", r.Messages, r.Mailboxes, about(r.Bytes))
				printProblems(w, r.Problems)
			}); err != nil {
				return err
			}
			if len(r.Problems) > 0 {
				return errors.New("the store has problems")
			}
			return nil
		}),
	}, &cobra.Command{
		Use:   "rebuild",
		Short: "Make the index anew from the message files; the box must not run",
		Args:  cobra.NoArgs,
		RunE: a.on(func(ctx context.Context, _ []string) error {
			r, err := appliance.Rebuild(ctx, a.data)
			if err != nil {
				return err
			}
			r.Problems = notNil(r.Problems)
			return a.show(r, func(w io.Writer) {
				fmt.Fprintf(w, "Made the index anew: %d messages in %d mailboxes, %d documents.\n",
					r.Messages, r.Mailboxes, r.Documents)
				printProblems(w, r.Problems)
			})
		}),
	})
	return group
}

func printProblems(w io.Writer, problems []control.Problem) {
	if len(problems) == 0 {
		fmt.Fprintln(w, "All is in order.")
	}
	for _, p := range problems {
		fmt.Fprintf(w, "%s: %s\n", p.Kind, p.Text)
		for name, value := range map[string]string{"file": p.File, "message": p.Message} {
			if value != "" {
				fmt.Fprintf(w, "  %s: %s\n", name, value)
			}
		}
		fmt.Fprintf(w, "  remedy: %s\n", p.Remedy)
	}
}
