package sendmail

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// watcher tells when a file comes into a folder (inotify).
type watcher struct {
	// Changed gets a value when something came; several at once are one.
	Changed chan struct{}
	file    *os.File
	fd      int
}

func newWatcher() (*watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watching the spool: %w", err)
	}
	w := &watcher{Changed: make(chan struct{}, 1), file: os.NewFile(uintptr(fd), "inotify"), fd: fd}
	go w.run()
	return w, nil
}

// Add watches a folder; a second time changes nothing. A folder that is not
// there is found by the next regular look.
func (w *watcher) Add(path string) {
	again(func() error {
		_, err := unix.InotifyAddWatch(w.fd, path, unix.IN_MOVED_TO|unix.IN_ONLYDIR|unix.IN_DONT_FOLLOW)
		return err
	})
}

func (w *watcher) run() {
	buf := make([]byte, 64<<10)
	for {
		if _, err := w.file.Read(buf); err != nil {
			return // closed
		}
		select {
		case w.Changed <- struct{}{}:
		default:
		}
	}
}

// Close ends it.
func (w *watcher) Close() error { return w.file.Close() }
