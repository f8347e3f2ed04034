// Command bundle builds a plugin from its folder and packs it, for
// `make plugins`: the program itself, which could do the same, carries the
// outcome.
//
// It may import plugins/pack alone.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"hauspost/plugins/pack"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: bundle FOLDER ARCHIVE")
		os.Exit(2)
	}
	if err := bundle(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func bundle(dir, out string) error {
	if err := pack.Compile(context.Background(), dir, os.Stderr); err != nil {
		return err
	}
	// It is in the archive, and would be taken for a source.
	defer os.Remove(filepath.Join(dir, pack.ModuleFile))
	p, err := pack.Build(dir, out, nil)
	if err != nil {
		return err
	}
	if want := p.Manifest.ID + pack.Extension; filepath.Base(out) != want {
		os.Remove(out)
		return fmt.Errorf("the plugin in %s calls itself %s", dir, p.Manifest.ID)
	}
	return nil
}
