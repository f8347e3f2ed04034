//go:build amd64 || arm64 || 386 || arm

package jail

import (
	"slices"

	"golang.org/x/sys/unix"
)

// anyBits compares a whole argument.
const anyBits = 0xffffffff

// notThreads are the flags of clone that make a process or a namespace:
// of these CLONE_THREAD alone has to be set.
const notThreads = unix.CLONE_THREAD | unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_IO | unix.CLONE_PTRACE | unix.CLONE_PIDFD

// running is the list of what works while guests run, in the process pid:
// memory, threads, clocks, and what is open already.
func running(pid uint32) table {
	t := table{
		allow: []uint32{
			// What is open: files, the socket to the parent.
			unix.SYS_READ, unix.SYS_READV, unix.SYS_PREAD64, unix.SYS_WRITE, unix.SYS_WRITEV, unix.SYS_PWRITE64,
			unix.SYS_CLOSE, unix.SYS_LSEEK, unix.SYS_FSTAT, unix.SYS_FTRUNCATE, unix.SYS_DUP,
			unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_RECVFROM, unix.SYS_SHUTDOWN,
			unix.SYS_GETSOCKOPT, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME,
			unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2,
			// Memory, with files that have no name.
			unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_BRK, unix.SYS_MEMFD_CREATE,
			// Threads and their signals.
			unix.SYS_FUTEX, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
			unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
			unix.SYS_RESTART_SYSCALL, unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ,
			// Time.
			unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_GETRES, unix.SYS_GETTIMEOFDAY,
			// Who am I, and chance.
			unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_GETPPID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID,
			unix.SYS_UNAME, unix.SYS_GETRUSAGE, unix.SYS_GETRANDOM,
		},
		checked: []check{
			{unix.SYS_CLONE, 0, notThreads, []uint32{unix.CLONE_THREAD}, unix.SECCOMP_RET_KILL_PROCESS},
			// The runtime interrupts its own threads; a crash is a signal to itself.
			{unix.SYS_TGKILL, 0, anyBits, []uint32{pid}, deny},
			{unix.SYS_KILL, 0, anyBits, []uint32{pid}, deny},
			// Names of mappings, which the runtime gives.
			{unix.SYS_PRCTL, 0, anyBits, []uint32{unix.PR_SET_VMA}, deny},
		},
		kill: forbidden,
	}
	for _, nr := range fcntls {
		t.checked = append(t.checked, check{nr, 1, anyBits, []uint32{
			unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL,
			unix.F_ADD_SEALS, unix.F_GET_SEALS,
		}, deny})
	}
	return t.with(ours)
}

// compiling is what works between Enter and Seal besides: the files of the
// compile cache, which Landlock tells from others, and what Seal needs.
var compiling = table{
	allow: []uint32{
		unix.SYS_OPENAT, unix.SYS_STATX, unix.SYS_GETDENTS64, unix.SYS_READLINKAT, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2,
		unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_FCHMOD, unix.SYS_FCHMODAT,
		unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_FLOCK, unix.SYS_GETCWD,
		unix.SYS_LANDLOCK_CREATE_RULESET, unix.SYS_LANDLOCK_ADD_RULE, unix.SYS_LANDLOCK_RESTRICT_SELF, unix.SYS_SECCOMP,
	},
	checked: []check{
		{unix.SYS_SETSOCKOPT, 2, anyBits, []uint32{unix.SO_SNDBUF, unix.SO_RCVBUF}, deny},
		{unix.SYS_PRCTL, 0, anyBits, []uint32{unix.PR_SET_NO_NEW_PRIVS, unix.PR_GET_NO_NEW_PRIVS}, deny},
	},
}.with(oursCompiling)

// forbidden are system calls that no honest code here makes, not even by
// accident: see the package comment.
var forbidden = append([]uint32{
	// Other programs and processes.
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
	unix.SYS_PROCESS_MADVISE, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO,
	// Views of the system.
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE,
	unix.SYS_OPEN_TREE_ATTR, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_PERSONALITY, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT,
	// Large doors into the kernel.
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER,
	unix.SYS_IO_URING_REGISTER, unix.SYS_IO_SETUP, unix.SYS_REMAP_FILE_PAGES, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_FANOTIFY_INIT,
	// The machine.
	unix.SYS_KEXEC_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_REBOOT,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_SYSLOG,
}, oursForbidden...)

// with is both tables together. A call that both check works where one of them
// lets it.
func (t table) with(more table) table {
	out := table{
		allow:   slices.Concat(t.allow, more.allow),
		checked: slices.Clone(t.checked),
		kill:    slices.Concat(t.kill, more.kill),
	}
	for _, c := range more.checked {
		i := slices.IndexFunc(out.checked, func(have check) bool { return have.nr == c.nr })
		if i < 0 {
			out.checked = append(out.checked, c)
			continue
		}
		out.checked[i].values = slices.Concat(out.checked[i].values, c.values)
	}
	return out
}
