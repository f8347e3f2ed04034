//go:build amd64 || arm64 || 386 || arm

package jail

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// ask runs a filter for one system call, as the kernel would. The machine of
// the library reads big-endian, and one word at a time.
func ask(t *testing.T, table table, arch, nr uint32, args ...uint64) uint32 {
	t.Helper()
	vm, err := bpf.NewVM(table.program(unix.SECCOMP_RET_KILL_PROCESS))
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, offsetArgs+6*8)
	binary.BigEndian.PutUint32(data[offsetCall:], nr)
	binary.BigEndian.PutUint32(data[offsetArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offsetArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[offsetArgs+8*i+4:], uint32(a>>32))
	}
	got, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(got)
}

// Results of a filter.
const (
	allowed = uint32(unix.SECCOMP_RET_ALLOW)
	ends    = uint32(unix.SECCOMP_RET_KILL_PROCESS)
)

// TestFilter: the lists as the kernel reads them.
func TestFilter(t *testing.T) {
	t.Parallel()
	const pid = 4711
	threads := uint64(unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD)
	run, setup := running(pid), running(pid).with(compiling)
	for _, c := range []struct {
		name           string
		nr             uint32
		args           []uint64
		running, setup uint32
	}{
		{"read", unix.SYS_READ, nil, allowed, allowed},
		{"openat", unix.SYS_OPENAT, nil, deny, allowed},
		{"seccomp", unix.SYS_SECCOMP, nil, deny, allowed},
		{"socket", unix.SYS_SOCKET, nil, deny, deny},
		{"sendto", unix.SYS_SENDTO, nil, deny, deny},
		{"linkat", unix.SYS_LINKAT, nil, deny, deny},
		{"ioctl", unix.SYS_IOCTL, nil, deny, deny},
		{"prlimit64", unix.SYS_PRLIMIT64, nil, deny, deny},
		{"a call of tomorrow", 9999, nil, deny, deny},
		{"clone3", unix.SYS_CLONE3, nil, unknown, unknown},
		{"clone, a thread", unix.SYS_CLONE, []uint64{threads}, allowed, allowed},
		{"clone, a process", unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, ends, ends},
		{"clone, vfork", unix.SYS_CLONE, []uint64{unix.CLONE_VM | unix.CLONE_VFORK}, ends, ends},
		{"clone, a thread with users of its own", unix.SYS_CLONE, []uint64{threads | unix.CLONE_NEWUSER}, ends, ends},
		{"tgkill, own", unix.SYS_TGKILL, []uint64{pid, 1, 23}, allowed, allowed},
		{"tgkill, of another", unix.SYS_TGKILL, []uint64{pid + 1, 1, 23}, deny, deny},
		{"kill, own", unix.SYS_KILL, []uint64{pid, 6}, allowed, allowed},
		{"kill, all", unix.SYS_KILL, []uint64{1<<64 - 1, 9}, deny, deny},
		{"kill, the group", unix.SYS_KILL, []uint64{0, 9}, deny, deny},
		{"fcntl, a duplicate", unix.SYS_FCNTL, []uint64{3, unix.F_DUPFD_CLOEXEC}, allowed, allowed},
		{"fcntl, signals to others", unix.SYS_FCNTL, []uint64{3, unix.F_SETOWN}, deny, deny},
		{"prctl, a name", unix.SYS_PRCTL, []uint64{unix.PR_SET_VMA}, allowed, allowed},
		{"prctl, privileges", unix.SYS_PRCTL, []uint64{unix.PR_SET_NO_NEW_PRIVS}, deny, allowed},
		{"prctl, dumpable", unix.SYS_PRCTL, []uint64{unix.PR_SET_DUMPABLE, 1}, deny, deny},
		{"setsockopt, a buffer", unix.SYS_SETSOCKOPT, []uint64{3, unix.SOL_SOCKET, unix.SO_SNDBUF}, deny, allowed},
		{"setsockopt, a filter", unix.SYS_SETSOCKOPT, []uint64{3, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER}, deny, deny},
	} {
		if got := ask(t, run, auditArch, c.nr, c.args...); got != c.running {
			t.Errorf("%s while guests run: %x, want %x", c.name, got, c.running)
		}
		if got := ask(t, setup, auditArch, c.nr, c.args...); got != c.setup {
			t.Errorf("%s before: %x, want %x", c.name, got, c.setup)
		}
	}
	for _, nr := range forbidden {
		if got := ask(t, setup, auditArch, nr); got != ends {
			t.Errorf("forbidden %d: %x", nr, got)
		}
	}
}

// TestFilterOtherWays: no other set of numbers leads into the kernel.
func TestFilterOtherWays(t *testing.T) {
	t.Parallel()
	for _, table := range []table{running(1), running(1).with(compiling)} {
		for _, arch := range []uint32{unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_AARCH64, unix.AUDIT_ARCH_ARM} {
			want := ends
			if arch == auditArch {
				want = allowed
			}
			if got := ask(t, table, arch, unix.SYS_READ); got != want {
				t.Errorf("%x: %x", arch, got)
			}
		}
		if otherABI != 0 {
			if got := ask(t, table, auditArch, unix.SYS_READ|otherABI); got != ends {
				t.Errorf("%x", got)
			}
		}
	}
}

// TestLists: no call is in two lists, so that their order does not matter, and
// narrower tables are narrower.
func TestLists(t *testing.T) {
	t.Parallel()
	setup := running(1).with(compiling)
	all := slices.Concat(setup.allow, setup.kill)
	for _, c := range setup.checked {
		all = append(all, c.nr)
		if len(c.values) > 60 {
			t.Errorf("%d: a jump over its values is too long", c.nr)
		}
	}
	slices.Sort(all)
	for i := 1; i < len(all); i++ {
		if all[i] == all[i-1] {
			t.Errorf("%d is in two lists", all[i])
		}
	}
	if n := len(setup.program(deny)); n > 4096 {
		t.Errorf("%d instructions", n)
	}
}
