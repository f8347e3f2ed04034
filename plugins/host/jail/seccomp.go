package jail

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// check narrows a system call down: it works where argument arg, of which only
// the low 32 bits count, has one of the values in the bits of mask. All such
// arguments here are of the C type int, or flags in the lower half.
type check struct {
	nr     uint32
	arg    uint32
	mask   uint32
	values []uint32
	// otherwise is what the filter returns for other values.
	otherwise uint32
}

// table is what a filter lets through and what it ends the process for.
type table struct {
	allow   []uint32
	checked []check
	kill    []uint32
}

// Offsets in struct seccomp_data; the processors here are all little-endian.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArgs = 16
)

// What a filter returns besides SECCOMP_RET_ALLOW.
const (
	deny    = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	unknown = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// program makes the filter of t. kill is what it returns where the process
// shall end.
func (t table) program(kill uint32) []bpf.Instruction {
	ret := func(v uint32) bpf.Instruction { return bpf.RetConstant{Val: v} }
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		ret(kill),
		bpf.LoadAbsolute{Off: offsetCall, Size: 4},
	}
	if otherABI != 0 {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: otherABI, SkipTrue: 1}, ret(kill))
	}
	each := func(calls []uint32, v uint32) {
		for _, nr := range calls {
			p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: nr, SkipTrue: 1}, ret(v))
		}
	}
	each(t.allow, unix.SECCOMP_RET_ALLOW)
	each(t.kill, kill)
	each([]uint32{unix.SYS_CLONE3}, unknown)
	for _, c := range t.checked {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: c.nr, SkipTrue: uint8(3 + 2*len(c.values))},
			bpf.LoadAbsolute{Off: offsetArgs + 8*c.arg, Size: 4},
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: c.mask})
		for _, v := range c.values {
			p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: v, SkipTrue: 1}, ret(unix.SECCOMP_RET_ALLOW))
		}
		otherwise := c.otherwise
		if otherwise == unix.SECCOMP_RET_KILL_PROCESS {
			otherwise = kill
		}
		p = append(p, ret(otherwise))
	}
	return append(p, ret(deny))
}

// size is how many system calls t lets through.
func (t table) size() int { return len(t.allow) + len(t.checked) }

// ending is what a filter returns where the process shall end. Kernels before
// 4.14 can only end the thread, which hangs a Go program: a no has to do there.
func ending() uint32 {
	kill := uint32(unix.SECCOMP_RET_KILL_PROCESS)
	if seccomp(unix.SECCOMP_GET_ACTION_AVAIL, 0, unsafe.Pointer(&kill)) != nil {
		return deny
	}
	return kill
}

// install puts a filter on all threads.
func install(program []bpf.RawInstruction) error {
	f := make([]unix.SockFilter, len(program))
	for i, r := range program {
		f[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	return seccomp(unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, unsafe.Pointer(&prog))
}

// installTable is install for what the table says.
func installTable(t table) error {
	program, err := bpf.Assemble(t.program(ending()))
	if err != nil {
		return fmt.Errorf("making the filter: %w", err)
	}
	return install(program)
}

// seccomp is the system call.
func seccomp(op, flags uintptr, arg unsafe.Pointer) error {
	r, _, e := unix.Syscall(unix.SYS_SECCOMP, op, flags, uintptr(arg))
	switch {
	case e != 0:
		return e
	case r != 0:
		return fmt.Errorf("thread %d has a filter of its own", r)
	}
	return nil
}

// enterSeccomp leaves what the compile cache needs.
func enterSeccomp(w *Walls, _ Limits) error {
	if auditArch == 0 {
		w.lacks("seccomp: there is no list of system calls for this processor")
		return nil
	}
	pid := uint32(os.Getpid())
	run, setup := running(pid), running(pid).with(compiling)
	if err := installTable(setup); err != nil {
		w.lacks("seccomp: the kernel refuses (%v), so nothing but the other walls keeps the worker from starting programs and opening sockets", err)
		return nil
	}
	state.seccomp = true
	w.stands("seccomp: %d system calls, %d while guests run", setup.size(), run.size())
	return nil
}

// sealSeccomp leaves what guests need.
func sealSeccomp() error {
	if err := installTable(running(uint32(os.Getpid()))); err != nil {
		return fmt.Errorf("narrowing seccomp: %w", err)
	}
	return nil
}
