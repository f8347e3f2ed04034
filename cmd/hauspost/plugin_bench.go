package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hauspost/appliance"
)

// benchCalls is how many calls `plugin bench` makes unless it is told otherwise.
const benchCalls = 1000

func (a *app) pluginBench() *cobra.Command {
	calls := benchCalls
	cmd := &cobra.Command{
		Use:   "bench [DIR|FILE|ID]",
		Short: "Measure what a plugin costs on this machine",
		Long: "Measure what a plugin costs on this machine: from a folder or a file, or by its\n" +
			"name one that comes with hauspost. It is asked as its first test says.",
		Args: cobra.MaximumNArgs(1),
		RunE: a.tool(func(ctx context.Context, args []string) error {
			if calls < 1 {
				return usage{"--calls must be at least 1"}
			}
			b, err := appliance.PluginBench(ctx, folder(args), calls)
			if err != nil {
				return err
			}
			return a.show(b, func(w io.Writer) { printBenched(w, b) })
		}),
	}
	cmd.Flags().IntVar(&calls, "calls", benchCalls, "how often it is asked; it ends after 10 seconds")
	return cmd
}

func printBenched(w io.Writer, b appliance.PluginBenched) {
	table(w, fmt.Sprintf("Plugin\t%s %s, at %s", b.ID, b.Version, b.Stage), func(w io.Writer) {
		if b.MessageBytes > 0 {
			fmt.Fprintf(w, "Message\t%s\n", about(b.MessageBytes))
		}
		fmt.Fprintf(w, "Calls\t%d; half of them took up to %s, 99 of 100 up to %s\n", b.Calls, milliseconds(b.P50Milliseconds), milliseconds(b.P99Milliseconds))
		if b.Failures > 0 {
			fmt.Fprintf(w, "FAILED\t%d; the last one: %s\n", b.Failures, b.Failure)
		}
		fmt.Fprintf(w, "Memory\t%s at most\n", about(b.MemoryBytes))
		fmt.Fprintf(w, "Start\t%s compiled anew, %s from the cache\n", milliseconds(b.ColdMilliseconds), milliseconds(b.CachedMilliseconds))
		instances := "a new one for each call"
		if b.Pooled {
			instances = "used again after a complete reset"
		}
		fmt.Fprintf(w, "Instances\t%s\n", instances)
		if b.Interpreter {
			fmt.Fprintln(w, "SLOW\tplugins are not compiled on this machine, and run 30 to 90 times slower")
		}
	})
}
