// Package control is the admin API of a box: the Admin interface, its typed
// requests and answers, a server and a client for it over a Unix socket in the
// data folder, and the recent log in memory.
//
// It is all that the command line and the terminal UI see of a running box. It
// may import config and envelope. It must not import the store, SQLite or
// protocol libraries: what those know reaches it through Admin, which the
// composition root implements.
package control
