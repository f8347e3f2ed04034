package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) logCommand() *cobra.Command {
	var q control.LogQuery
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Show what the running box logged lately (with --json one object a line)",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, box control.Admin, _ []string) error {
			return box.Log(ctx, q, a.logLine)
		}),
	}
	cmd.Flags().BoolVarP(&q.Follow, "follow", "f", false, "go on with new entries")
	cmd.Flags().StringVar(&q.ID, "id", "", "only those of one message")
	cmd.Flags().StringVar(&q.Level, "level", "", "the least level: debug, info, warn, error")
	cmd.Flags().IntVarP(&q.Lines, "lines", "n", 0, "only the last so many entries")
	return cmd
}

func (a *app) logLine(e control.LogEntry) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(e)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-5s ", e.At.Local().Format(clock), e.Level)
	if e.ID != "" {
		b.WriteString(e.ID + " ")
	}
	b.WriteString(e.Text)
	// Entries of a message say all in their text; others have it in fields.
	for _, k := range slices.SortedFunc(maps.Keys(e.Fields), cmp.Compare[string]) {
		if k != "event" && k != "step" {
			fmt.Fprintf(&b, " %s=%v", k, e.Fields[k])
		}
	}
	_, err := fmt.Fprintln(a.out, b.String())
	return err
}
