package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hauspost/appliance"
)

// begun is what `plugin new` prints as JSON.
type begun struct {
	ID     string `json:"id"`
	Folder string `json:"folder"`
}

func (a *app) pluginNew() *cobra.Command {
	var lang, dir string
	languages := appliance.PluginLanguages()
	cmd := &cobra.Command{
		Use:     "new ID",
		Short:   "Begin to write a plugin: a folder with one that works, and its tests",
		Example: "  hauspost plugin new my-filter --lang go",
		Args:    cobra.ExactArgs(1),
		RunE: a.tool(func(_ context.Context, args []string) error {
			if !slices.Contains(languages, lang) {
				return usage{fmt.Sprintf("--lang %s is none: write %s", lang, strings.Join(languages, " or "))}
			}
			made := begun{ID: args[0], Folder: dir}
			if made.Folder == "" {
				made.Folder = args[0]
			}
			if err := appliance.PluginNew(lang, made.ID, made.Folder); err != nil {
				return err
			}
			return a.show(made, func(w io.Writer) {
				fmt.Fprintf(w, "The plugin %s is in %s; read the README.md there.\n", made.ID, filepath.Clean(made.Folder))
				fmt.Fprintf(w, "Build it with `hauspost plugin build %s`, and test it with `hauspost plugin test %s`.\n", made.Folder, made.Folder)
			})
		}),
	}
	cmd.Flags().StringVar(&lang, "lang", "go", "the language: "+strings.Join(languages, " or "))
	cmd.Flags().StringVar(&dir, "dir", "", "the folder, which must be new or empty; without it, one with the name of the plugin")
	return cmd
}
