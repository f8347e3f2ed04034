package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hauspost/appliance"
)

func (a *app) pluginBuild() *cobra.Command {
	var key, out string
	cmd := &cobra.Command{
		Use:   "build [DIR]",
		Short: "Compile a plugin, and put it with its tests into one file",
		Args:  cobra.MaximumNArgs(1),
		RunE: a.tool(func(ctx context.Context, args []string) error {
			made, err := appliance.PluginBuild(ctx, folder(args), out, key, a.err)
			if err != nil {
				return err
			}
			return a.show(made, func(w io.Writer) {
				fmt.Fprintf(w, "Built %s: %s %s, %s.\n", made.File, made.ID, made.Version, about(made.Bytes))
				if made.Signer == "" {
					fmt.Fprintln(w, "It is not signed; --key FILE signs it, and `hauspost plugin key FILE` makes a key.")
				} else {
					fmt.Fprintf(w, "It is signed with the key %s.\n", made.Signer)
				}
			})
		}),
	}
	cmd.Flags().StringVar(&key, "key", "", "sign with the private key in this file")
	cmd.Flags().StringVar(&out, "out", "", "the file to write; without it, ID-VERSION.hauspost in the folder")
	return cmd
}
