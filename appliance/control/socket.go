package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// maxSocketPath is the longest path that fits a socket address on all systems
// (sun_path is 104 octets on BSD, 108 on Linux), with its closing zero.
const maxSocketPath = 103

// ErrNotRunning: nobody answers at the socket of the data folder.
var ErrNotRunning = errors.New("the box is not running")

// ErrPathTooLong: the path of the data folder does not fit a socket's address.
var ErrPathTooLong = errors.New("the path of the data folder is too long for a socket")

// SocketPath gives the socket of a data folder.
func SocketPath(dir string) string { return filepath.Join(dir, "run", "control.sock") }

// socketAddress gives the spelling of the socket's path that fits a socket
// address: the path, or the one relative to the working folder. ErrPathTooLong.
func socketAddress(dir string) (string, error) {
	path := SocketPath(dir)
	if len(path) <= maxSocketPath {
		return path, nil
	}
	if wd, err := os.Getwd(); err == nil {
		if abs, err := filepath.Abs(path); err == nil {
			if rel, err := filepath.Rel(wd, abs); err == nil && len(rel) <= maxSocketPath {
				return rel, nil
			}
		}
	}
	return "", fmt.Errorf("%w: %s has %d characters, and %d are possible",
		ErrPathTooLong, path, len(path), maxSocketPath)
}

// Listen makes the socket of a data folder, with mode 0600. The caller must
// hold the lock of the data folder: what is left of an earlier run is removed.
func Listen(dir string) (net.Listener, error) {
	address, err := socketAddress(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(address), 0o700); err != nil {
		return nil, fmt.Errorf("making the control socket: %w", err)
	}
	if err := os.Remove(address); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing an old control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("making the control socket: %w", err)
	}
	if err := os.Chmod(address, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("making the control socket: %w", err)
	}
	return l, nil
}

// notListening tells whether a dial failed because no box is there.
func notListening(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}
