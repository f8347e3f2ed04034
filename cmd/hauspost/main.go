// Command hauspost is the mail appliance and its command line: one file per
// subcommand, text for people or --json for programs.
//
// It may import appliance, appliance/config and appliance/control. It must not
// import the store, SQLite or protocol libraries: what it knows of a box it
// knows through control.Admin.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"hauspost/appliance"
	"hauspost/appliance/control"
)

// version is stamped by the linker: -ldflags "-X main.version=v1.2.3".
var version = "development"

func main() {
	// Before all else: a worker must be small, and there quickly.
	if len(os.Args) == 2 && os.Args[1] == appliance.WorkerCommand {
		os.Exit(appliance.PluginWorker())
	}
	syscall.Umask(0o077) // nothing that a box writes is for others
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, arguments(os.Args), os.Stdin, os.Stdout, os.Stderr))
}

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// app is one run of the command line.
type app struct {
	in       io.Reader
	out, err io.Writer
	data     string
	json     bool
	// started tells that the arguments were understood: errors from then on
	// are failures, not wrong usage.
	started bool
}

// usage is an error of somebody who typed the command.
type usage struct{ text string }

func (u usage) Error() string { return u.text }

func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	a := &app{in: in, out: out, err: errs}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var own exitCode
	if errors.As(err, &own) {
		return int(own)
	}
	fmt.Fprintln(errs, "hauspost:", err)
	var u usage
	if a.started && !errors.As(err, &u) {
		return exitFailure
	}
	fmt.Fprintf(errs, "Try: %s --help\n", cmd.CommandPath())
	return exitUsage
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "hauspost",
		Short:         "The post office of one house: receives, keeps, serves and sends mail",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          a.group,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(&a.data, "data", os.Getenv("HAUSPOST_DATA"), "the data folder (or set HAUSPOST_DATA)")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON for programs")
	root.AddCommand(a.initCommand(), a.serveCommand(), a.demoCommand(), a.domainCommand(), a.accountCommand(),
		a.aliasCommand(), a.queueCommand(), a.dkimCommand(), a.pluginCommand(), a.traceCommand(), a.logCommand(), a.statusCommand(), a.configCommand(),
		a.sendmailCommand(), a.storeCommand(), a.versionCommand())
	return root
}

// group answers a command that only has subcommands.
func (a *app) group(cmd *cobra.Command, _ []string) error {
	text := "say what to do: one of"
	for i, c := range cmd.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		if i > 0 {
			text += ","
		}
		text += " " + c.Name()
	}
	return usage{text}
}

// on makes a RunE that knows that the arguments were understood and checks
// that there is a data folder to work on.
func (a *app) on(fn func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if a.data == "" {
			return usage{"say which data folder: --data DIR, or set HAUSPOST_DATA"}
		}
		a.started = true
		return fn(cmd.Context(), args)
	}
}

// ask makes a RunE that works on the box, running or at rest.
func (a *app) ask(fn func(ctx context.Context, box control.Admin, args []string) error) func(*cobra.Command, []string) error {
	return a.on(func(ctx context.Context, args []string) (err error) {
		box, err := appliance.Connect(ctx, a.data, version)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, box.Close()) }()
		return fn(ctx, box, args)
	})
}

// show prints value as JSON, or has text print it for people.
func (a *app) show(value any, text func(w io.Writer)) error {
	if !a.json {
		text(a.out)
		return nil
	}
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}
