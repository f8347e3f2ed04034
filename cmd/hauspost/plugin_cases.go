package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hauspost/appliance"
)

func (a *app) pluginTest() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:   "test [DIR|FILE]",
		Short: "Run a plugin's own tests as the box would run it",
		Args:  cobra.MaximumNArgs(1),
		RunE: a.tool(func(ctx context.Context, args []string) error {
			tested, err := appliance.PluginTest(ctx, folder(args))
			if err != nil {
				return err
			}
			if err := a.show(tested, func(w io.Writer) { printTested(w, tested, verbose) }); err != nil {
				return err
			}
			switch {
			case len(tested.Cases) == 0:
				return errors.New("the plugin has no tests: write them into its folder tests")
			case tested.Failed > 0:
				return fmt.Errorf("%s of %d failed", plural(tested.Failed, "test"), len(tested.Cases))
			}
			return nil
		}),
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show what the plugin logs in tests that pass, too")
	return cmd
}

func printTested(w io.Writer, t appliance.PluginTested, verbose bool) {
	for _, c := range t.Cases {
		word := "ok  "
		if !c.OK {
			word = "FAIL"
		}
		fmt.Fprintf(w, "%s  %s (%s, %s)\n", word, c.Name, c.Stage, milliseconds(c.Milliseconds))
		for _, d := range c.Differences {
			fmt.Fprintf(w, "      %s\n", d)
		}
		if verbose || !c.OK {
			for _, l := range c.Log {
				fmt.Fprintf(w, "      log: %s\n", l)
			}
		}
	}
	if t.Failed == 0 && t.Passed > 0 {
		fmt.Fprintf(w, "%s %s: %s passed.\n", t.ID, t.Version, plural(t.Passed, "test"))
	}
}
