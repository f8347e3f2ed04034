package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

// listed is how many rows `queue list` shows unless it is told otherwise.
const listed = 100

func (a *app) queueList() *cobra.Command {
	var c chooser
	limit := listed
	cmd := &cobra.Command{
		Use:   "list [NUMBER|ID]...",
		Short: "List what is in the queue, by destination",
		Example: "  hauspost queue list --destination example.org\n" +
			"  hauspost queue list --age 2h --error greylist",
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			q, err := c.choose(args)
			if err != nil {
				return err
			}
			q.Limit = limit
			list, err := box.Queue(ctx, q)
			if err != nil {
				return err
			}
			list.Rows, list.Failing = notNil(list.Rows), notNil(list.Failing)
			return a.show(list, func(w io.Writer) { printQueue(w, list, time.Now()) })
		}),
	}
	c.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", listed, "how many rows at most; 0 shows all")
	return cmd
}

func printQueue(w io.Writer, list control.QueueList, now time.Time) {
	if len(list.Rows) == 0 {
		fmt.Fprintln(w, "Nothing is in the queue that fits.")
	}
	failing := map[lane]*control.QueueDestination{}
	for i, d := range list.Failing {
		failing[lane{d.Destination, d.Via}] = &list.Failing[i]
	}
	for _, rows := range byDestination(list.Rows) {
		l := laneOf(rows[0])
		fmt.Fprintf(w, "%s: %s%s\n", l, plural(len(rows), "recipient"), trouble(failing[l], now))
		printRows(w, rows, failing[l] != nil, now)
	}
	if hidden := list.Total - len(list.Rows); hidden > 0 {
		fmt.Fprintf(w, "… and %d more: `--limit 0` shows all\n", hidden)
	}
}

// lane is a destination on one way.
type lane struct{ destination, via string }

func laneOf(r control.QueueEntry) lane { return lane{r.Destination, r.Via} }

func (l lane) String() string {
	if l.via == "" {
		return l.destination
	}
	return l.destination + " by " + l.via
}

// byDestination groups rows by where they go and how; the groups are in the order of their first ones.
func byDestination(rows []control.QueueEntry) [][]control.QueueEntry {
	var groups [][]control.QueueEntry
	at := map[lane]int{}
	for _, r := range rows {
		i, ok := at[laneOf(r)]
		if !ok {
			i = len(groups)
			at[laneOf(r)], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}

// trouble tells what is wrong with a destination, if anything is.
func trouble(d *control.QueueDestination, now time.Time) string {
	if d == nil {
		return ""
	}
	s := ", failing"
	if !d.Since.IsZero() {
		s += " for " + span(now.Sub(d.Since))
	}
	if d.Reading != "" {
		s += ": " + d.Reading
	}
	if !d.Next.IsZero() {
		s += "; next try " + relative(d.Next, now)
	}
	return s
}

// printRows prints rows of one destination, each with the reading of its last
// error below it. What the line of a failing destination says is not said again.
func printRows(w io.Writer, rows []control.QueueEntry, fails bool, now time.Time) {
	var b strings.Builder
	table(&b, "  NUMBER\tAGE\tFROM\tTO\tSTATE", func(w io.Writer) {
		for _, r := range rows {
			fmt.Fprintf(w, "  %d\t%s\t%s\t%s\t%s\n", r.Number, span(now.Sub(r.Added)), sender(r), r.Recipient, state(r, fails, now))
		}
	})
	head, lines, _ := strings.Cut(b.String(), "\n")
	fmt.Fprintln(w, head)
	for i, line := range strings.Split(strings.TrimSuffix(lines, "\n"), "\n") {
		fmt.Fprintln(w, line)
		if rows[i].Reading != "" && !(fails && rows[i].State == control.QueueWaiting) {
			fmt.Fprintf(w, "          %s\n", rows[i].Reading)
		}
	}
}

func sender(r control.QueueEntry) string {
	if r.Sender == "" {
		return "<>"
	}
	return r.Sender
}

// state tells where a row stands and what happens next.
func state(r control.QueueEntry, fails bool, now time.Time) string {
	s := r.What
	switch {
	case fails && r.State == control.QueueWaiting:
		s = "waits for the destination"
	case s != "":
		s = strings.TrimPrefix(s, "it is ")
	case r.State == control.QueueActive:
		s = "being sent just now"
	case r.State == control.QueueWaiting && !r.Next.IsZero():
		s = "next try " + relative(r.Next, now)
	default:
		s = r.State
	}
	if r.Attempts > 0 {
		s += fmt.Sprintf(" (tried %s)", times(r.Attempts))
	}
	return s
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}
