package jail

import "golang.org/x/sys/unix"

// The processor as the kernel names it; it has no second set of numbers.
const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	otherABI  = 0
)

// ours and the others below are what this processor adds to the lists.
var ours = table{allow: []uint32{unix.SYS_MMAP}}

var oursCompiling = table{allow: []uint32{unix.SYS_NEWFSTATAT}}

var (
	fcntls        = []uint32{unix.SYS_FCNTL}
	oursForbidden = []uint32{unix.SYS_KEXEC_FILE_LOAD}
)
