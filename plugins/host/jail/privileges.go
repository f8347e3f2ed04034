package jail

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// unprivilege forbids new privileges to every thread, and other processes of
// the same user to look into this one.
func unprivilege(w *Walls, _ Limits) error {
	err := allThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
	if v, e := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil && (e != nil || v != 1) {
		err = unix.ENOSYS
	}
	if err != nil {
		w.lacks("no new privileges: the kernel refuses (%v)", err)
	} else {
		w.stands("no new privileges")
	}
	err = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	if v, e := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err == nil && (e != nil || v != 0) {
		err = unix.ENOSYS
	}
	if err != nil {
		w.lacks("not to be looked into: the kernel refuses (%v)", err)
	} else {
		w.stands("not to be looked into")
	}
	return nil
}

// uncap gives up all capabilities for good, those that a program started later
// could get included.
func uncap(w *Walls, _ Limits) error {
	_, permitted, err := capabilities()
	if err == nil && permitted != 0 {
		err = dropAll()
	}
	left := uint64(0)
	if err == nil {
		left, permitted, err = capabilities()
	}
	switch {
	case err != nil:
		w.lacks("no capabilities: the kernel refuses (%v)", err)
	case left|permitted != 0:
		w.lacks("no capabilities: %x are left", left|permitted)
	default:
		w.stands("no capabilities")
	}
	return nil
}

// capabilities returns the effective and the permitted ones of this thread;
// the others have the same.
func capabilities() (effective, permitted uint64, err error) {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if err := unix.Capget(&h, &d[0]); err != nil {
		return 0, 0, fmt.Errorf("capget: %w", err)
	}
	return uint64(d[1].Effective)<<32 | uint64(d[0].Effective),
		uint64(d[1].Permitted)<<32 | uint64(d[0].Permitted), nil
}

// dropAll empties the bounding set first, which needs a capability that then
// goes with the others.
func dropAll() error {
	for n := 0; ; n++ {
		v, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0)
		if err != nil {
			break // the kernel knows no more
		}
		if v == 0 {
			continue
		}
		// Without CAP_SETPCAP it stays; then no_new_privs has to do.
		if err := allThreads(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(n), 0); err != nil {
			break
		}
	}
	// Kernels before 4.3 have no ambient set to be cleared.
	_ = allThreads(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0)
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	_, _, e := psx.Syscall3(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&h)), uintptr(unsafe.Pointer(&d[0])), 0)
	if e != 0 {
		return fmt.Errorf("capset: %w", e)
	}
	return nil
}

// allThreads makes a system call on every thread of the process, in programs
// with cgo (a race detector) too.
func allThreads(call, a, b, c uintptr) error {
	if _, _, e := psx.Syscall6(call, a, b, c, 0, 0, 0); e != 0 {
		return e
	}
	return nil
}
