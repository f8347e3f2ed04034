package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"hauspost/appliance/config"
	"hauspost/appliance/control"
)

func (a *app) queueCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "queue",
		Short: "Mail on its way out",
		Long: "Mail on its way out. Each recipient of a message is a row of its own, with a\n" +
			"number. Rows are chosen by their numbers or by IDs of messages, by filters, or\n" +
			"by both; all that is given must fit.",
		Args: cobra.NoArgs, RunE: a.group,
	}
	group.AddCommand(a.queueList(), a.queueShow(), a.queueRetry(), a.queueHold(), a.queueRelease(),
		a.queueReroute(), a.queueDrop(), a.queueUndo())
	return group
}

// chooser chooses rows of the queue by flags and arguments.
type chooser struct {
	query control.QueueQuery
	age   string
	all   bool
}

// flags adds the filters to a command.
func (c *chooser) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.query.Destination, "destination", "", "only those for this domain")
	f.StringVar(&c.query.Sender, "from", "", "only those whose sender has this in it")
	f.StringVar(&c.query.Recipient, "to", "", "only those whose recipient has this in it")
	f.StringVar(&c.query.Error, "error", "", "only those whose last error has this in it")
	f.StringVar(&c.query.State, "state", "", "only those that are waiting, active, held or dropped")
	f.StringVar(&c.age, "age", "", "only those older than this, such as 30m, 2h or 3d")
}

// choose gives the query of flags and arguments.
func (c *chooser) choose(args []string) (control.QueueQuery, error) {
	q := c.query
	q.Refs = args
	if c.age != "" {
		d, err := config.ParseDuration(c.age)
		if err != nil {
			return q, usage{fmt.Sprintf("--age %s is no duration: write for example 30m, 2h or 3d", c.age)}
		}
		q.OlderThan = time.Duration(d)
	}
	switch q.State {
	case "", control.QueueWaiting, control.QueueActive, control.QueueHeld, control.QueueDropped:
	default:
		return q, usage{fmt.Sprintf("--state %s is none: write waiting, active, held or dropped", q.State)}
	}
	return q, nil
}

// span gives a length of time in words, with one unit.
func span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// relative tells when t is, seen from now.
func relative(t, now time.Time) string {
	switch d := t.Sub(now); {
	case d >= time.Second:
		return "in " + span(d)
	case d > -time.Second:
		return "now"
	default:
		return span(-d) + " ago"
	}
}

// plural puts a number before a word.
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
