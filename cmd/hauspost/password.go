package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxPassword is how many octets of a password are read at most.
const maxPassword = 1024

// readPassword gets a new password for address: one line of standard input, or
// asked for twice on the terminal. It never comes from the arguments, where
// other users of the machine could see it.
func (a *app) readPassword(address string, stdin bool) (string, error) {
	if stdin {
		line, err := a.readLine()
		if err != nil {
			return "", fmt.Errorf("no password came on standard input")
		}
		return line, nil
	}
	fd, ok := a.terminal()
	if !ok {
		return "", usage{"there is no terminal to ask for the password: use --password-stdin"}
	}
	var words [2]string
	for i, prompt := range []string{"New password for " + address + ": ", "Once more: "} {
		fmt.Fprint(a.err, prompt)
		b, err := term.ReadPassword(fd)
		fmt.Fprintln(a.err)
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		words[i] = string(b)
	}
	if words[0] != words[1] {
		return "", errors.New("the two passwords differ; nothing was changed")
	}
	return words[0], nil
}

// confirm asks on a terminal and fails unless want is typed. Without a terminal
// nobody is asked: a program knows what it does.
func (a *app) confirm(question, want string) error {
	if _, ok := a.terminal(); !ok {
		return nil
	}
	fmt.Fprint(a.err, question)
	line, err := a.readLine()
	if err != nil || line != want {
		return errors.New("nothing was changed")
	}
	return nil
}

func (a *app) readLine() (string, error) {
	line, err := bufio.NewReader(io.LimitReader(a.in, maxPassword+2)).ReadString('\n')
	if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func (a *app) terminal() (fd int, ok bool) {
	f, isFile := a.in.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}
