package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) queueShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show NUMBER|ID",
		Short: "Show one row, or all of a message, with every attempt",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			item, err := box.QueueShow(ctx, args[0])
			if err != nil {
				return err
			}
			item.Rows, item.Trace = notNil(item.Rows), notNil(item.Trace)
			return a.show(item, func(w io.Writer) { printQueueItem(w, item, time.Now()) })
		}),
	}
}

func printQueueItem(w io.Writer, item control.QueueItem, now time.Time) {
	for _, r := range item.Rows {
		table(w, fmt.Sprintf("Number\t%d, message %s", r.Number, r.Message), func(w io.Writer) {
			line := func(name, value string) {
				if value != "" {
					fmt.Fprintf(w, "%s\t%s\n", name, value)
				}
			}
			line("From", sender(r))
			line("To", r.Recipient)
			line("State", r.State)
			line("Next", next(r, now))
			line("Way", r.Via)
			line("Kind", r.Kind)
			line("Alias", r.Alias)
			line("Size", about(r.Size))
			line("Accepted", moment(r.Added, now))
			line("Last try", moment(r.LastTry, now))
			line("Tries", fmt.Sprint(r.Attempts))
			line("Server", r.Host)
			line("TLS", r.TLS)
			line("Answer", r.Answer)
			line("Meaning", r.Reading)
			line("Advice", r.Advice)
			if r.Delayed {
				line("Told", "the sender knows that it takes longer")
			}
			line("Ends", moment(r.Expires, now))
		})
		fmt.Fprintln(w)
	}
	table(w, "What happened", func(w io.Writer) {
		for _, e := range item.Trace {
			fmt.Fprintf(w, "%s\t%s\t%s\n", e.At.Local().Format(clock), e.Step, e.Say)
		}
	})
}

// next tells what happens next to a row.
func next(r control.QueueEntry, now time.Time) string {
	if r.What != "" {
		return r.What
	}
	return moment(r.Next, now)
}

// moment gives a time with how far it is away, nothing for no time.
func moment(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s (%s)", t.Local().Format(time.DateTime), relative(t, now))
}
