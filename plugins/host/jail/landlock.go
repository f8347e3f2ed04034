package jail

import (
	"fmt"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// best is the newest version of Landlock that the library knows; on older
// kernels it does what they can.
var best = landlock.V11.BestEffort()

// cacheAccess is what the compile cache needs in its folder: no execution, no
// links, no devices and sockets.
const cacheAccess = landlock.AccessFSSet(ll.AccessFSReadFile | ll.AccessFSReadDir | ll.AccessFSWriteFile |
	ll.AccessFSTruncate | ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSRemoveFile | ll.AccessFSRemoveDir)

// enterLandlock takes away all files but those of the cache.
func enterLandlock(w *Walls, l Limits) error {
	version, err := ll.LandlockGetABIVersion()
	if err != nil || version < 1 {
		w.lacks("Landlock: this kernel does not have it (%v); version 6.12 and later do, if it is in the list of the boot parameter \"lsm\"", err)
		return nil
	}
	var rules []landlock.Rule
	files := "no files"
	if l.Cache != "" {
		rules = append(rules, landlock.PathAccess(cacheAccess, l.Cache))
		files = "no files but the compile cache, and none while guests run"
	}
	if err := best.Restrict(rules...); err != nil {
		return fmt.Errorf("putting up Landlock: %w", err)
	}
	state.landlock = true
	// A fault in the first kernels with version 6 has signals between threads
	// denied; the library leaves the scopes out there.
	if errata, err := ll.LandlockGetErrata(); version >= 6 && (err != nil || errata&2 == 0) {
		version = 5
	}
	words := files
	if version >= 4 {
		words += ", no network by TCP"
	}
	if version >= 6 {
		words += ", no signals and abstract sockets to the outside"
	}
	w.stands("Landlock (version %d): %s", version, words)
	return nil
}

// sealLandlock takes away the cache as well.
func sealLandlock() error {
	if err := best.Restrict(); err != nil {
		return fmt.Errorf("closing the cache by Landlock: %w", err)
	}
	return nil
}
