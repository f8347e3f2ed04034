package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"hauspost/appliance"
)

// keyMade is what `plugin key` prints as JSON.
type keyMade struct {
	File   string `json:"file"`
	Public string `json:"public"`
}

func (a *app) pluginKey() *cobra.Command {
	return &cobra.Command{
		Use:   "key FILE",
		Short: "Make a key with which plugins are signed",
		Args:  cobra.ExactArgs(1),
		RunE: a.tool(func(_ context.Context, args []string) error {
			public, err := appliance.PluginKey(args[0])
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("there is a file %s already, and a key is never overwritten: choose another name", args[0])
			}
			if err != nil {
				return err
			}
			return a.show(keyMade{args[0], public}, func(w io.Writer) {
				fmt.Fprintf(w, "The private key is in %s: keep it to yourself, and keep a copy.\n", args[0])
				fmt.Fprintf(w, "Tell people the public one, by which they know your plugins: %s\n", public)
			})
		}),
	}
}
