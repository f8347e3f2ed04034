package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

const clock = "2006-01-02 15:04:05.000"

func (a *app) traceCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "trace ID",
		Short: "Tell the life of one message, from connect to stored and pushed",
		Long: "Tell the life of one message. The ID stands in the log, in the Received header\n" +
			"and in the answer that the sending server got.",
		Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, box control.Admin, args []string) error {
			t, err := box.Trace(ctx, args[0])
			if err != nil {
				return err
			}
			t.Entries = notNil(t.Entries)
			return a.show(t, func(w io.Writer) {
				table(w, "Message "+t.ID, func(w io.Writer) {
					for _, e := range t.Entries {
						fmt.Fprintf(w, "%s\t%s\t%s\n", e.At.Local().Format(clock), e.Step, e.Say)
						for _, line := range wrote(e) {
							fmt.Fprintf(w, "\t\t  | %s\n", line)
						}
					}
				})
			})
		}),
	}
}

// wrote gives the lines that a filter wrote about the message.
func wrote(e control.TraceStep) []string {
	var ev struct {
		Run struct {
			Log []string `json:"log"`
		} `json:"run"`
	}
	if e.Step != "filtered" || json.Unmarshal(e.Event, &ev) != nil {
		return nil
	}
	return ev.Run.Log
}
