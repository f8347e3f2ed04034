package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"hauspost/appliance"
	"hauspost/appliance/control"
)

func (a *app) pluginCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "plugin",
		Short: "Programs that look at mail: filters and helpers",
		Long: "Programs that look at mail. Each runs behind two walls, can do what you grant it\n" +
			"and nothing else, and only proposes: your settings decide.",
		Args: cobra.NoArgs, RunE: a.group,
	}
	group.AddCommand(a.pluginNew(), a.pluginBuild(), a.pluginKey(), a.pluginInstall(), a.pluginList(), a.pluginShow(), a.pluginGrant(),
		a.pluginEnabled("enable", "Have a plugin asked about mail again", true), a.pluginEnabled("disable", "Have a plugin asked about no more mail", false),
		a.pluginOrder(), a.pluginRemove(), a.pluginUpdate(), a.pluginTest(), a.pluginReplay(), a.pluginBench())
	return group
}

// tool makes a RunE of a command that needs no box.
func (a *app) tool(fn func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started = true
		return fn(cmd.Context(), args)
	}
}

// folder is the folder that a command of authors works on: its argument, or the
// one in which it was started.
func folder(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return "."
}

// pluginSource finds what an argument means: an archive or a folder, or, where
// there is neither, a plugin by its ID.
func pluginSource(arg string) (control.PluginSource, error) {
	_, err := os.Stat(arg)
	if err != nil && !strings.ContainsAny(arg, "/.") {
		return control.PluginSource{ID: arg}, nil
	}
	data, err := appliance.PluginPackage(arg)
	return control.PluginSource{Package: data, From: arg}, err
}

// errUnasked is told where a question was answered by anything but yes.
var errUnasked = errors.New("nothing was changed")

// agree asks a question and fails unless the answer is yes. Where nobody can be
// asked, instead says what to type.
func (a *app) agree(question, instead string) error {
	if _, ok := a.terminal(); !ok {
		return usage{"there is no terminal to ask: " + instead}
	}
	fmt.Fprint(a.err, question+" [y/N] ")
	line, err := a.readLine()
	if word := strings.ToLower(strings.TrimSpace(line)); err != nil || word != "y" && word != "yes" {
		return errUnasked
	}
	return nil
}

// reviewed is where a review goes that somebody must read before answering.
func (a *app) reviewed() io.Writer {
	if a.json {
		return a.err
	}
	return a.out
}

// printPluginFacts tells what a package is.
func printPluginFacts(w io.Writer, f control.PluginFacts, bundled bool) {
	fmt.Fprintf(w, "%s %s (%s): %s\n", f.Name, f.Version, f.ID, f.Description)
	for _, line := range []struct{ name, value string }{{"By", f.Author}, {"See", f.Homepage}, {"License", f.License}} {
		if line.value != "" {
			fmt.Fprintf(w, "%s: %s\n", line.name, line.value)
		}
	}
	switch {
	case bundled:
		fmt.Fprintln(w, "It comes with this hauspost.")
	case f.Signer == "":
		fmt.Fprintln(w, "It is NOT SIGNED: nobody vouches for where it comes from.")
	default:
		fmt.Fprintf(w, "It is signed with the key %s.\n", f.Signer)
	}
}

// printTerms prints what can be granted, each with its name for --deny.
func printTerms(w io.Writer, head string, terms []control.PluginTerm) {
	if len(terms) == 0 {
		return
	}
	fmt.Fprintln(w, head)
	for _, t := range terms {
		fmt.Fprintf(w, "  - %s  [%s]\n", t.Words, t.Name)
	}
}

func printLines(w io.Writer, head string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(w, head)
	for _, l := range lines {
		fmt.Fprintf(w, "  - %s\n", l)
	}
}

// without gives the terms that are in all and not in some.
func without(all, some []control.PluginTerm) []control.PluginTerm {
	var left []control.PluginTerm
	for _, t := range all {
		has := false
		for _, s := range some {
			has = has || s == t
		}
		if !has {
			left = append(left, t)
		}
	}
	return left
}

// tidy has empty lists print as [].
func tidy(p control.Plugin) control.Plugin {
	tidyFacts(&p.PluginFacts)
	p.Granted, p.Denied = notNil(p.Granted), notNil(p.Denied)
	return p
}

func tidyFacts(f *control.PluginFacts) {
	f.Stages, f.Asked, f.Needs, f.Settings = notNil(f.Stages), notNil(f.Asked), notNil(f.Needs), notNil(f.Settings)
}
