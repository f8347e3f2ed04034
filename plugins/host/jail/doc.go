// Package jail shuts the process that runs plugins into itself: limits, no
// privileges, no files, no network, no other processes. It is the second wall,
// for the day on which the first, the WebAssembly runtime, has a hole.
//
// It imports golang.org/x/sys, golang.org/x/net/bpf and go-landlock, of which it
// is the fence. It must not import anything of ours: it knows nothing of plugins,
// so that it can be read alone.
//
// # Two steps
//
// Enter comes first, before anything of a plugin is read. Afterwards the
// compile cache can be used and modules can be compiled, and that is all. Seal
// comes before the first guest runs; afterwards nothing can be opened, and what
// works is memory, threads, clocks, and the files and sockets that are open or
// come as descriptors through them.
//
// Neither can be undone. Both are for the whole process with all its threads,
// those that run already too, which without cgo is certain.
//
// # Which walls
//
//	limits             setrlimit: data memory, open files, file size, no core
//	no new privileges  prctl: a set-uid program would gain nothing
//	not dumpable       prctl: no other process of the same user looks into it
//	no capabilities    all five sets are emptied, so root is a user like others
//	Landlock           no files but the cache, then none; no TCP; no signals and
//	                   no abstract sockets to the outside
//	seccomp            a list of system calls that work, all else does not
//
// A kernel without one of them is no reason to fail: Walls says in plain words
// which stand and which are missing. There is no limit on processes:
// RLIMIT_NPROC counts the threads of all processes of the user together, so it
// would hit the mail server; seccomp forbids processes.
//
// # What happens at the wall
//
// A system call that is not on the list fails with EPERM: honest code in a
// library asks for a file or a socket now and then and copes with a no. Those
// that only an intruder has a use for (another program, another process,
// looking into one, mounts, modules, io_uring, BPF, calls of another
// architecture) end the process at once, by the signal SIGSYS: the parent sees
// that in its exit status, where an error would let an intruder try on.
// clone3 fails with ENOSYS, because a filter cannot read its arguments and
// runtimes then fall back to clone, of which threads alone pass.
package jail
