package jail

import "golang.org/x/sys/unix"

// The processor as the kernel names it; it has no second set of numbers.
const (
	auditArch = unix.AUDIT_ARCH_ARM
	otherABI  = 0
)

// Private calls of this processor, of asm/unistd.h: fresh code becomes visible,
// a thread's own storage.
const (
	armCacheFlush = 0x0f0002
	armSetTLS     = 0x0f0005
)

// ours and the others below are what this processor adds to the lists.
var ours = table{
	allow: []uint32{unix.SYS_MMAP2, unix.SYS_FSTAT64, unix.SYS_FTRUNCATE64, unix.SYS__LLSEEK, unix.SYS_SIGRETURN,
		unix.SYS_FUTEX_TIME64, unix.SYS_CLOCK_GETTIME64, unix.SYS_CLOCK_NANOSLEEP_TIME64, unix.SYS_CLOCK_GETRES_TIME64,
		unix.SYS_GETUID32, unix.SYS_GETEUID32, unix.SYS_GETGID32, unix.SYS_GETEGID32, armCacheFlush, armSetTLS},
}

var oursCompiling = table{allow: []uint32{unix.SYS_FSTATAT64}}

var (
	fcntls        = []uint32{unix.SYS_FCNTL, unix.SYS_FCNTL64}
	oursForbidden = []uint32{unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_USELIB}
)
