package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

// granting are the flags that say what is granted.
type granting struct {
	choice control.PluginChoice
	yes    bool
}

func (g *granting) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&g.choice.Only, "grant", nil, "grant these and nothing else, by the names in brackets: header, dns, stop:reject …")
	f.StringSliceVar(&g.choice.Deny, "deny", nil, "do not grant these; points:3 is for less points")
	f.BoolVar(&g.yes, "yes", false, "do not ask")
}

func (a *app) pluginInstall() *cobra.Command {
	var g granting
	cmd := &cobra.Command{
		Use:   "install FILE|DIR|NAME",
		Short: "Install a plugin, after showing what it will be able to do",
		Long: "Install a plugin from a file or a folder, or by its name one that comes with\n" +
			"hauspost. What it will be able to do is shown first.",
		Example: "  hauspost plugin install headers\n" +
			"  hauspost plugin install my-filter-1.0.0.hauspost --deny stop:reject",
		Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			source, err := pluginSource(args[0])
			if err != nil {
				return err
			}
			r := control.PluginRequest{PluginSource: source, PluginChoice: g.choice}
			review, err := box.PluginReview(ctx, r)
			if err != nil {
				return err
			}
			if review.Installed != "" {
				return &control.Error{Kind: control.KindExists, Text: fmt.Sprintf(
					"%s is installed already, in version %s: `hauspost plugin update %s %s` puts this one in its place", review.ID, review.Installed, review.ID, args[0])}
			}
			if !g.yes {
				printReview(a.reviewed(), review)
				if err := a.agree("Install it?", "type it again with --yes if you agree with what it will be able to do"); err != nil {
					return err
				}
			}
			p, err := box.PluginInstall(ctx, r)
			if err != nil {
				return err
			}
			return a.show(tidy(p), func(w io.Writer) {
				fmt.Fprintf(w, "Installed %s %s.\n", p.ID, p.Version)
				printProblem(w, p)
			})
		}),
	}
	g.flags(cmd)
	return cmd
}

func printReview(w io.Writer, r control.PluginReview) {
	printPluginFacts(w, r.PluginFacts, r.Bundled)
	fmt.Fprintln(w)
	printLines(w, "When it runs:", r.Asked)
	if len(r.Granted) == 0 {
		fmt.Fprintln(w, "It will be able to do nothing else.")
	}
	printTerms(w, "What it will be able to do:", r.Granted)
	printTerms(w, "What it asks for, and will not be able to do:", without(r.Needs, r.Granted))
	fmt.Fprintf(w, "Each time it may use up to %s of memory and %s of time.\n", about(r.MemoryBytes), milliseconds(r.TimeMilliseconds))
	for _, s := range r.Settings {
		if s.Default == nil && s.Value == nil && s.Type != "" {
			fmt.Fprintf(w, "It needs a value for its setting %s: %s\n", s.Name, s.Doc)
		}
	}
	if r.Problem != "" {
		fmt.Fprintf(w, "PROBLEM: %s\n", r.Problem)
	}
}

func printProblem(w io.Writer, p control.Plugin) {
	if p.Problem != "" {
		fmt.Fprintf(w, "PROBLEM: %s\n", p.Problem)
	}
}

// milliseconds gives a time as short as it can be read.
func milliseconds(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= 100*time.Millisecond:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}
