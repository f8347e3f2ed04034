//go:build faults

package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// needs fails the test where a program is missing: with the build tag nothing
// is left out.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts file systems and traces processes: run it as root")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("this test needs %s: run install-clients.sh", p)
		}
	}
}

// mounted is a file system of a test's own.
type mounted struct {
	t         *testing.T
	image, at string
	up        bool
}

// ext4 makes an ext4 file system on a loop device.
func ext4(t *testing.T, megabytes int64) *mounted {
	t.Helper()
	dir := folder(t)
	m := &mounted{t: t, image: filepath.Join(dir, "image"), at: filepath.Join(dir, "mnt")}
	if err := errors.Join(os.WriteFile(m.image, nil, 0o600), os.Truncate(m.image, megabytes<<20), os.Mkdir(m.at, 0o700)); err != nil {
		t.Fatal(err)
	}
	command(t, "mkfs.ext4", "-q", "-F", m.image)
	t.Cleanup(m.unmount)
	m.mount()
	return m
}

func (m *mounted) mount() {
	m.t.Helper()
	command(m.t, "mount", "-o", "loop", m.image, m.at)
	m.up = true
}

func (m *mounted) unmount() {
	if !m.up {
		return
	}
	if err := unix.Unmount(m.at, 0); err != nil {
		m.t.Errorf("unmounting %s: %v", m.at, err)
		return
	}
	m.up = false
}

// EXT4_IOC_SHUTDOWN and its flag (fs/ext4/ext4.h; the same numbers as XFS's
// goingdown): from that moment on nothing reaches the device, the journal
// neither.
const (
	ext4Shutdown       = 0x8004587d
	shutdownNoLogFlush = 2
)

// cut ends all writing to the device at once, as a power cut does.
func (m *mounted) cut() {
	m.t.Helper()
	f, err := os.Open(m.at)
	if err != nil {
		m.t.Fatal(err)
	}
	defer f.Close()
	how := uint32(shutdownNoLogFlush)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), ext4Shutdown, uintptr(unsafe.Pointer(&how))); errno != 0 {
		m.t.Fatalf("shutting the file system down: %v", errno)
	}
}

// tmpfs makes a small file system in memory.
func tmpfs(t *testing.T, megabytes string) *mounted {
	t.Helper()
	m := &mounted{t: t, at: filepath.Join(folder(t), "mnt"), up: true}
	if err := os.Mkdir(m.at, 0o700); err != nil {
		t.Fatal(err)
	}
	command(t, "mount", "-t", "tmpfs", "-o", "size="+megabytes+"m", "tmpfs", m.at)
	t.Cleanup(m.unmount)
	return m
}

// oneSentence tells whether text is one line from the program, without the
// traces of a crash.
func oneSentence(text string) bool {
	return strings.HasPrefix(text, "hauspost: ") && strings.Count(text, "\n") == 1 && len(text) < 500
}
