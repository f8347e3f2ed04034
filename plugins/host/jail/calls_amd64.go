package jail

import "golang.org/x/sys/unix"

// The processor as the kernel names it, and the bit of system calls of x32,
// the other way into the same kernel.
const (
	auditArch = unix.AUDIT_ARCH_X86_64
	otherABI  = 0x40000000
)

// archSetFS is ARCH_SET_FS of asm/prctl.h: a new thread's own storage.
const archSetFS = 0x1002

// ours and the others below are what this processor adds to the lists.
var ours = table{
	allow:   []uint32{unix.SYS_MMAP},
	checked: []check{{unix.SYS_ARCH_PRCTL, 0, anyBits, []uint32{archSetFS}, deny}},
}

var oursCompiling = table{allow: []uint32{unix.SYS_NEWFSTATAT}}

var (
	fcntls        = []uint32{unix.SYS_FCNTL}
	oursForbidden = []uint32{unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_IOPL, unix.SYS_IOPERM,
		unix.SYS_MODIFY_LDT, unix.SYS_USELIB}
)
