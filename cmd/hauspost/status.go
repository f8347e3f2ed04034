package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hauspost/appliance/control"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell how the box is",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, box control.Admin, _ []string) error {
			s, err := box.Status(ctx)
			if err != nil {
				return err
			}
			return a.show(s, func(w io.Writer) { printStatus(w, s, time.Now()) })
		}),
	}
}

func printStatus(w io.Writer, s control.Status, now time.Time) {
	if s.Running {
		fmt.Fprintf(w, "%s runs since %s (%s), version %s, process %d\n", s.Hostname,
			s.Since.Local().Format(time.DateTime), now.Sub(s.Since).Round(time.Second), s.Version, s.PID)
	} else {
		fmt.Fprintf(w, "%s is not running\n", s.Hostname)
	}
	if s.Store.Fault != "" {
		fmt.Fprintf(w, "FAULT: nothing can be stored: %s\n", s.Store.Fault)
	}
	table(w, "Data folder\t"+s.Data, func(w io.Writer) {
		for _, l := range s.Listeners {
			fmt.Fprintf(w, "Listens\t%s at %s\n", l.Service, l.Address)
		}
		fmt.Fprintf(w, "TLS\t%s%s\n", s.TLS.Mode, until(s.TLS.NotAfter))
		if s.TLS.Problem != "" {
			fmt.Fprintf(w, "\tPROBLEM: %s\n", s.TLS.Problem)
		}
		fmt.Fprintf(w, "People\t%d accounts, %d aliases, %d domains\n", s.Accounts, s.Aliases, s.Domains)
		fmt.Fprintf(w, "Mail\t%d messages in %d mailboxes, %s; %s free\n", s.Store.Messages, s.Store.Mailboxes,
			about(s.Store.Bytes), about(s.Store.FreeBytes))
		printQueueStatus(w, s.Queue, now)
		printFilterStatus(w, s)
		if !s.Running {
			return
		}
		fmt.Fprintf(w, "Commits\t%d, with %d flushes to the disk\n", s.Store.Commits, s.Store.Flushes)
		for _, service := range []struct {
			name   string
			counts map[string]int64
		}{{"SMTP", s.SMTP}, {"Submission", s.Submission}, {"Relay", s.Relay}, {"IMAP", s.IMAP}} {
			for i, k := range slices.Sorted(maps.Keys(service.counts)) {
				name := ""
				if i == 0 {
					name = service.name
				}
				fmt.Fprintf(w, "%s\t%s %d\n", name, k, service.counts[k])
			}
		}
		fmt.Fprintf(w, "Memory\t%s in use, %s of the system, %d goroutines\n",
			about(int64(s.Process.HeapBytes)), about(int64(s.Process.TotalBytes)), s.Process.Goroutines)
	})
}

func printQueueStatus(w io.Writer, q control.QueueStatus, now time.Time) {
	fmt.Fprintf(w, "Queue\t%d waiting, %d being sent, %d held, %d dropped", q.Waiting, q.Active, q.Held, q.Dropped)
	if !q.Oldest.IsZero() {
		fmt.Fprintf(w, "; the oldest has waited for %s", span(now.Sub(q.Oldest)))
	}
	if !q.Next.IsZero() {
		fmt.Fprintf(w, "; next try %s", relative(q.Next, now))
	}
	fmt.Fprintln(w)
	if q.Local != nil {
		fmt.Fprintf(w, "\tPROBLEM: this box reaches no other%s\n", trouble(q.Local, now))
	}
	for i, d := range q.Failing {
		fmt.Fprintf(w, "\t%s: %d waiting%s\n", lane{d.Destination, d.Via}, d.Waiting, trouble(&q.Failing[i], now))
	}
}

// printFilterStatus tells of plugins, and of the walls around them.
func printFilterStatus(w io.Writer, s control.Status) {
	f := s.Filters
	if f.Installed == 0 {
		return
	}
	fmt.Fprintf(w, "Plugins\t%d installed, %d asked", f.Installed, f.Enabled)
	if n := len(f.Workers); n > 0 {
		var bytes int64
		for _, worker := range f.Workers {
			bytes += worker.Bytes
		}
		processes := "1 process"
		if n > 1 {
			processes = fmt.Sprintf("%d processes", n)
		}
		fmt.Fprintf(w, ", in %s of %s", processes, about(bytes))
	}
	if f.Restarts > 0 {
		fmt.Fprintf(w, ", after %d that ended", f.Restarts)
	}
	fmt.Fprintln(w)
	if len(f.Workers) > 0 {
		worker := f.Workers[0]
		fmt.Fprintf(w, "\twalls: %s\n", strings.Join(worker.Walls, ", "))
		if len(worker.Missing) > 0 {
			fmt.Fprintf(w, "\tMISSING on this system: %s\n", strings.Join(worker.Missing, ", "))
		}
		if worker.Interpreter {
			fmt.Fprintln(w, "\tSLOW: plugins are not compiled on this machine, and run 30 to 90 times slower")
		}
	}
	for _, p := range f.Problems {
		fmt.Fprintf(w, "\tPROBLEM with %s: %s\n", p.ID, p.Text)
	}
}

func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", certificate until " + t.Local().Format(time.DateOnly)
}

// about gives a size with at most three digits and a unit.
func about(n int64) string {
	f, unit := float64(n), ""
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f < 1000 {
			break
		}
		f, unit = f/1024, u
	}
	if unit == "" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.3g %s", f, unit)
}
