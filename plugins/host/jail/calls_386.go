package jail

import "golang.org/x/sys/unix"

// The processor as the kernel names it; it has no second set of numbers.
const (
	auditArch = unix.AUDIT_ARCH_I386
	otherABI  = 0
)

// Calls of linux/net.h, which socketcall makes; Go has no other way to sockets
// here.
const (
	netGetSockName = 6
	netGetPeerName = 7
	netRecvFrom    = 12
	netShutdown    = 13
	netSetSockOpt  = 14
	netGetSockOpt  = 15
	netSendMsg     = 16
	netRecvMsg     = 17
)

// ours and the others below are what this processor adds to the lists.
var ours = table{
	allow: []uint32{unix.SYS_MMAP2, unix.SYS_FSTAT64, unix.SYS_FTRUNCATE64, unix.SYS__LLSEEK, unix.SYS_SIGRETURN,
		unix.SYS_FUTEX_TIME64, unix.SYS_CLOCK_GETTIME64, unix.SYS_CLOCK_NANOSLEEP_TIME64, unix.SYS_CLOCK_GETRES_TIME64,
		unix.SYS_GETUID32, unix.SYS_GETEUID32, unix.SYS_GETGID32, unix.SYS_GETEGID32, unix.SYS_SET_THREAD_AREA},
	checked: []check{{unix.SYS_SOCKETCALL, 0, anyBits, []uint32{netGetSockName, netGetPeerName, netRecvFrom,
		netShutdown, netGetSockOpt, netSendMsg, netRecvMsg}, deny}},
}

// The options that netSetSockOpt sets lie in memory, where a filter does not see
// them.
var oursCompiling = table{
	allow:   []uint32{unix.SYS_FSTATAT64},
	checked: []check{{unix.SYS_SOCKETCALL, 0, anyBits, []uint32{netSetSockOpt}, deny}},
}

var (
	fcntls        = []uint32{unix.SYS_FCNTL, unix.SYS_FCNTL64}
	oursForbidden = []uint32{unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT,
		unix.SYS_VM86, unix.SYS_VM86OLD, unix.SYS_USELIB}
)
