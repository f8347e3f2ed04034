package worker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"hauspost/plugins/abi"
)

// checkImports tells which import of a module cannot be: granted are the
// functions of abi.Module that it may import.
func checkImports(imports []imported, granted []string) error {
	for _, i := range imports {
		if i.module == abi.WASI {
			if f, ok := wasiFunctions[i.name]; ok && f.typ != i.typ {
				return wrongType(i, f.typ)
			}
			continue
		}
		if i.module != abi.Module {
			return unknownModule(i)
		}
		f, ok := hostFunctions[i.name]
		switch {
		case !ok:
			return moduleError("the module imports %s of %s, which this box does not have; it may be made for a newer one", plain(i.name), i.module)
		case f.typ != i.typ:
			return wrongType(i, f.typ)
		case !slices.Contains(granted, i.name):
			return moduleError("the module imports %s of %s, for which there is no grant: it needs %q", i.name, i.module, f.grant)
		}
	}
	return nil
}

func unknownModule(i imported) error {
	version, ok := strings.CutPrefix(i.module, "hauspost_v")
	if _, err := strconv.ParseUint(version, 10, 32); ok && err == nil {
		return moduleError("the module imports %s of %s: this box has version %d of the plugin interface", plain(i.name), plain(i.module), abi.Version)
	}
	return moduleError("the module imports %s of %s; there is only %s and %s", plain(i.name), plain(i.module), abi.Module, abi.WASI)
}

func wrongType(i imported, want signature) error {
	return moduleError("the module imports %s of %s with the type %s; it is %s", i.name, i.module, i.typ, want)
}

// provide makes host modules of just what is imported.
func provide(ctx context.Context, r wazero.Runtime, imports []imported) error {
	builders := map[string]wazero.HostModuleBuilder{}
	done := map[imported]bool{}
	for _, i := range imports {
		b := builders[i.module]
		if b == nil {
			b = r.NewHostModuleBuilder(i.module)
			builders[i.module] = b
		}
		if first := (imported{module: i.module, name: i.name}); done[first] {
			continue
		} else {
			done[first] = true
		}
		serve := wasi(i)
		if i.module == abi.Module {
			serve = hostFunctions[i.name].serve()
		}
		b.NewFunctionBuilder().WithGoModuleFunction(serve, valueTypes(i.typ.params), valueTypes(i.typ.results)).Export(i.name)
	}
	for name, b := range builders {
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("making the module %s for a guest: %w", name, err)
		}
	}
	return nil
}

func valueTypes(types string) []api.ValueType { return []api.ValueType(types) }
