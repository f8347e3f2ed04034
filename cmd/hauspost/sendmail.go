package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"hauspost/appliance"
)

// exitCode is an exit code of a command that has its own ones; what there was
// to say was said.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// sendmailCommand has a command line of its own, forty years old: nothing of it
// is read here but --data, as all commands have it.
func (a *app) sendmailCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sendmail [-t] [-i] [-f SENDER] [RECIPIENT...]",
		Short: "Send a message from standard input, as scripts, cron and PHP do with sendmail",
		Long: "Send a message from standard input. Link /usr/sbin/sendmail to this program,\n" +
			"and what sends mail through sendmail sends it through the box.",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.started = true
			args = a.cutData(args)
			code := appliance.Sendmail(cmd.Context(), appliance.SendmailOptions{
				Args: args, Data: a.data, Drop: os.Getenv("HAUSPOST_SPOOL"),
				In: a.in, Out: a.out, Err: a.err,
				List: func(data string) int { return a.listQueue(cmd.Context(), data) },
			})
			if code != exitOK {
				return exitCode(code)
			}
			return nil
		},
	}
}

// cutData takes --data out of args, wherever it stands before "--".
func (a *app) cutData(args []string) (rest []string) {
	for len(args) > 0 && args[0] != "--" {
		if dir, ok := strings.CutPrefix(args[0], "--data="); ok {
			a.data, args = dir, args[1:]
		} else if args[0] == "--data" && len(args) > 1 {
			a.data, args = args[1], args[2:]
		} else {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	return append(rest, args...)
}

// listQueue is -bp: what `hauspost queue list` says.
func (a *app) listQueue(ctx context.Context, data string) int {
	const unavailable = 69 // of sysexits.h
	if run(ctx, []string{"queue", "list", "--data", data}, a.in, a.out, a.err) != exitOK {
		return unavailable
	}
	return exitOK
}

// arguments gives the arguments of the command line. A program that is called
// sendmail, mailq or newaliases is the command sendmail.
func arguments(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	rest := argv[1:]
	switch filepath.Base(argv[0]) {
	case "sendmail":
		return append([]string{"sendmail"}, rest...)
	case "mailq":
		return append([]string{"sendmail", "-bp"}, rest...)
	case "newaliases":
		return append([]string{"sendmail", "-bi"}, rest...)
	}
	return rest
}
