package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) pluginUpdate() *cobra.Command {
	var g granting
	var back bool
	cmd := &cobra.Command{
		Use:   "update ID [FILE|DIR]",
		Short: "Put another version of a plugin into its place; asks only where it wants more",
		Long: "Put another version of a plugin into its place: from a file or a folder, or, if\n" +
			"neither is named, the one that comes with hauspost. What was granted stays; you\n" +
			"are asked only where the new version wants more. --back undoes the last update.",
		Args: cobra.RangeArgs(1, 2),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			if back {
				return a.pluginBack(ctx, box, args)
			}
			from := args[len(args)-1]
			source, err := control.PluginSource{ID: from}, error(nil)
			if len(args) > 1 {
				source, err = pluginSource(from)
			}
			if err != nil {
				return err
			}
			r := control.PluginRequest{PluginSource: source, PluginChoice: g.choice}
			review, err := box.PluginReview(ctx, r)
			switch {
			case err != nil:
				return err
			case review.ID != args[0]:
				return &control.Error{Kind: control.KindInvalid, Text: fmt.Sprintf("%s is the plugin %s, not %s", from, review.ID, args[0])}
			case review.Installed == "":
				return &control.Error{Kind: control.KindNotFound, Text: fmt.Sprintf("%s is not installed: `hauspost plugin install %s` installs it", args[0], from)}
			case review.Problem != "":
				return errors.New(review.Problem)
			}
			if len(review.More) > 0 && !g.yes {
				w := a.reviewed()
				printPluginFacts(w, review.PluginFacts, review.Bundled)
				printTerms(w, fmt.Sprintf("\nBeyond what version %s asked for, it will be able to do this:", review.Installed), review.More)
				if err := a.agree("Update it?", "type it again with --yes if you agree with what more it will be able to do"); err != nil {
					return err
				}
			}
			p, err := box.PluginUpdate(ctx, r)
			if err != nil {
				return err
			}
			return a.show(tidy(p), func(w io.Writer) {
				fmt.Fprintf(w, "Updated %s from %s to %s.\n", p.ID, review.Installed, p.Version)
				printProblem(w, p)
			})
		}),
	}
	g.flags(cmd)
	cmd.Flags().BoolVar(&back, "back", false, "go back to the version before the last update")
	return cmd
}

func (a *app) pluginBack(ctx context.Context, box control.Admin, args []string) error {
	if len(args) > 1 {
		return usage{"--back goes back to the version before: name no file"}
	}
	p, err := box.PluginBack(ctx, args[0])
	if err != nil {
		return err
	}
	return a.show(tidy(p), func(w io.Writer) {
		fmt.Fprintf(w, "Went back to %s %s.\n", p.ID, p.Version)
		printProblem(w, p)
	})
}
