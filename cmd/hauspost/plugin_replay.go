package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hauspost/appliance/config"
	"hauspost/appliance/control"
)

// replayedMessages is how many messages `plugin replay` takes unless it is told
// otherwise.
const replayedMessages = 1000

// replayed is what `plugin replay` prints as JSON.
type replayed struct {
	Rows   []control.ReplayRow  `json:"rows"`
	Totals control.ReplayTotals `json:"totals"`
}

func (a *app) pluginReplay() *cobra.Command {
	q := control.ReplayQuery{Limit: replayedMessages}
	var settings string
	var all bool
	cmd := &cobra.Command{
		Use:   "replay ID|FILE|DIR",
		Short: "Run a plugin over stored mail, and show what would change; changes nothing",
		Long: "Run a plugin over stored mail as if it came again, with the answers of the DNS and\n" +
			"of services that were given then, and show what would change. What the plugin keeps\n" +
			"in its keys is as it is now. Nothing is changed:\n" +
			"use it to try another version or other settings before they count.",
		Example: "  hauspost plugin replay my-filter --settings stricter.toml\n" +
			"  hauspost plugin replay my-filter-2.0.0.hauspost --account anna@example.org --limit 200",
		Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) (err error) {
			if q.PluginSource, err = pluginSource(args[0]); err != nil {
				return err
			}
			if settings != "" {
				text, err := os.ReadFile(settings)
				if err != nil {
					return fmt.Errorf("reading the settings: %w", err)
				}
				if _, err := config.ParseSettings(settings, text); err != nil {
					return err
				}
				q.Override, q.Settings = true, string(text)
			}
			return a.replay(ctx, box, q, all)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&settings, "settings", "", "other settings than those of the box: a TOML file with what would stand below [plugin.settings]")
	f.StringVar(&q.Account, "account", "", "only mail of this person")
	f.StringVar(&q.Mailbox, "mailbox", "", "only mail in mailboxes of this name")
	f.IntVar(&q.Limit, "limit", replayedMessages, "how many of the newest messages at most; 0 takes all")
	f.BoolVar(&all, "all", false, "show messages for which nothing would change as well")
	return cmd
}

func (a *app) replay(ctx context.Context, box control.Admin, q control.ReplayQuery, all bool) error {
	result := replayed{Rows: []control.ReplayRow{}}
	var err error
	result.Totals, err = box.PluginReplay(ctx, q, func(r control.ReplayRow) error {
		if all || r.Changed || r.Failure != "" {
			r.Differences = notNil(r.Differences)
			result.Rows = append(result.Rows, r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.show(result, func(w io.Writer) { printReplay(w, result) })
}

func printReplay(w io.Writer, r replayed) {
	if len(r.Rows) > 0 {
		table(w, "MESSAGE\tDATE\tFROM\tBEFORE\tAFTER\tDIFFERENCE", func(w io.Writer) {
			for _, row := range r.Rows {
				from := row.Sender
				if from == "" {
					from = "<>"
				}
				differences := row.Differences
				if row.Unrecorded {
					differences = append(differences, "it asked what it was not told then")
				}
				after := verdict(row.After)
				if row.Failure != "" {
					after, differences = "FAILED", []string{row.Failure}
				}
				if len(differences) == 0 {
					differences = []string{""}
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", row.ID, row.Date.Local().Format("2006-01-02 15:04"), from, verdict(row.Before), after, differences[0])
				for _, d := range differences[1:] {
					fmt.Fprintf(w, "\t\t\t\t\t%s\n", d)
				}
			}
		})
		fmt.Fprintln(w)
	}
	t := r.Totals
	fmt.Fprintf(w, "Of %s, %d would change", plural(t.Messages, "message"), t.Changed)
	for i, action := range slices.Sorted(maps.Keys(t.Actions)) {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(w, "%s%s %d", sep, action, t.Actions[action])
	}
	fmt.Fprint(w, ".")
	if t.Failed > 0 {
		fmt.Fprintf(w, " The plugin failed on %d.", t.Failed)
	}
	if t.Unrecorded > 0 {
		fmt.Fprintf(w, " For %d it asked what it was not told when they came.", t.Unrecorded)
	}
	fmt.Fprintf(w, " It took %s; nothing was changed.\n", milliseconds(t.Milliseconds))
}

func verdict(v control.ReplayVerdict) string {
	if v.Action == "" {
		return "not known"
	}
	s := []string{v.Action, strconv.FormatFloat(v.Score, 'f', -1, 64)}
	if v.Mailbox != "" && !strings.EqualFold(v.Mailbox, "INBOX") {
		s = append(s, "in "+v.Mailbox)
	}
	return strings.Join(s, " ")
}
