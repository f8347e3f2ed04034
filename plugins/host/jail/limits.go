package jail

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// limit sets the limits of the process. Each is read back, because there are
// systems, emulators above all, that take a limit and forget it.
func limit(w *Walls, l Limits) error {
	var stand, lack []string
	space, data, err := used()
	if err != nil {
		return err
	}
	for _, r := range []struct {
		which int
		has   int64 // what the limit comes on top of
		want  int64
		none  bool // 0 means none at all, not that it stays as it is
		words string
	}{
		{unix.RLIMIT_DATA, data, l.Data, false, octets(l.Data) + " of memory"},
		{unix.RLIMIT_AS, space, l.Space, false, octets(l.Space) + " of address space"},
		{unix.RLIMIT_NOFILE, 0, l.Files, false, fmt.Sprintf("%d open files", l.Files)},
		{unix.RLIMIT_FSIZE, 0, l.FileSize, false, octets(l.FileSize) + " a file"},
		{unix.RLIMIT_CORE, 0, 0, true, "no core dump"},
		{unix.RLIMIT_MEMLOCK, 0, 0, true, "no locked memory"},
		{unix.RLIMIT_MSGQUEUE, 0, 0, true, "no message queues"},
	} {
		if r.want <= 0 && !r.none {
			continue
		}
		if setLimit(r.which, r.has+r.want) {
			stand = append(stand, r.words)
		} else {
			lack = append(lack, r.words)
		}
	}
	if len(stand) > 0 {
		w.stands("limits: %s", strings.Join(stand, ", "))
	}
	if len(lack) > 0 {
		w.lacks("limits: %s: this system does not keep them", strings.Join(lack, ", "))
	}
	return nil
}

// setLimit lowers one limit for good and tells whether it holds.
func setLimit(which int, want int64) bool {
	var now unix.Rlimit
	if err := unix.Getrlimit(which, &now); err != nil {
		return false
	}
	n := min(uint64(want), now.Max)
	if err := unix.Setrlimit(which, &unix.Rlimit{Cur: n, Max: n}); err != nil {
		return false
	}
	err := unix.Getrlimit(which, &now)
	return err == nil && now.Cur <= n && now.Max <= n
}

// used is how much address space and how much private writable memory the
// process has, in octets: proc_pid_statm(5).
func used() (space, data int64, err error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0, fmt.Errorf("the size of the process: %w", err)
	}
	var n [6]int64
	if _, err := fmt.Sscan(string(b), &n[0], &n[1], &n[2], &n[3], &n[4], &n[5]); err != nil {
		return 0, 0, fmt.Errorf("the size of the process: %q: %w", b, err)
	}
	page := int64(os.Getpagesize())
	return n[0] * page, n[5] * page, nil
}

// octets writes a size for people.
func octets(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KB", n>>10)
	}
	return fmt.Sprintf("%d octets", n)
}
