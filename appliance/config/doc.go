// Package config is the owner's file hauspost.toml: its structs, defaults,
// validation, loading, saving and migrations.
//
// One table (keys.go) holds every key with its explanation and its rule; the
// parser, the written file and `config show` all come from it, so that no key
// can be without an explanation or a check. Load finds every fault of a file
// with its line, never only the first one.
//
// It may import envelope. It must not import the store and must not open
// sockets: a config is checked without touching the box.
package config
