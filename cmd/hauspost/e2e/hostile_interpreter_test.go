//go:build clients

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInterpreter runs a box that was built for 32-bit ARM under qemu-user:
// there is no compiler for plugins there, so they are interpreted, and status
// says that this is slow.
func TestInterpreter(t *testing.T) {
	emulate(t)
	arm := filepath.Join(folder(t), "hauspost-arm")
	build := exec.Command("go", "build", "-o", arm, "hauspost/cmd/hauspost")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=arm", "GOARM=7")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building for ARM: %v\n%s", err, out)
	}
	hello := filepath.Join(folder(t), "hello.hauspost")
	b := newBox(t, nil, "anna")
	source := filepath.Join("..", "..", "..", "plugins", "hello")
	b.must("plugin", "build", source, "--out", hello)
	os.Remove(filepath.Join(source, "plugin.wasm")) // it is in the archive
	// The commands are those of this machine's program, the box is the other.
	b.under = []string{"sh", "-c", `exec "` + arm + `" "$@"`}
	b.start()
	b.must("plugin", "install", hello, "--yes")
	b.install(guest{id: "evil", time: "2s"})
	tr := b.take("stranger")
	if r := tr.run("hello"); r.Failure != "" || len(r.Effects) == 0 {
		t.Errorf("hello has %q %q and the effects %+v", r.Failure, r.Problem, r.Effects)
	}
	tr.did("evil", "SEEN")
	b.take("loop", "X-Do: loop").failed("evil", "timeout", "it took longer than 2s")
	b.take("bomb", "X-Do: bomb").failed("evil", "memory", "it wanted more memory")
	b.take("after").did("evil", "SEEN")
	s := b.filters()
	if len(s.Workers) == 0 || !s.Workers[0].Interpreter || len(s.Problems) > 0 {
		t.Errorf("status: %+v", s)
	}
	if out := b.must("status"); !strings.Contains(out, "SLOW: plugins are not compiled on this machine") {
		t.Errorf("status does not tell that plugins are slow:\n%s", out)
	}
	if mail := b.show("anna", "INBOX"); len(mail) != 4 || !strings.Contains(mail[0].raw, "\r\nX-Hello: ") {
		t.Errorf("the mailbox has %d messages: %+v", len(mail), mail)
	}
	b.once("stranger", "loop", "bomb", "after")
	b.stop()
}

// emulate has the kernel run programs for 32-bit ARM by qemu (binfmt_misc). To
// start the box by qemu-arm-static itself is not enough: the box starts its
// workers by /proc/self/exe, which only the kernel can follow, to the ARM program
// and from there to qemu. The flag F keeps qemu open from the start on, P leaves
// argv[0] as it is.
func emulate(t *testing.T) {
	t.Helper()
	const dir, name = "/proc/sys/fs/binfmt_misc", "hauspost-test-arm"
	qemu, err := exec.LookPath("qemu-arm-static")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "register")); err != nil {
		command(t, "mount", "-t", "binfmt_misc", "binfmt_misc", dir)
	}
	off := func() error { return os.WriteFile(filepath.Join(dir, name), []byte("-1"), 0) }
	_ = off() // what a run that was killed has left
	// The head of an ELF program for a 32-bit little-endian ARM, whatever its
	// system.
	const magic = `\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00`
	const mask = `\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`
	rule := ":" + name + ":M::" + magic + ":" + mask + ":" + qemu + ":FP"
	if err := os.WriteFile(filepath.Join(dir, "register"), []byte(rule), 0); err != nil {
		t.Fatalf("having the kernel run programs for ARM: %v", err)
	}
	t.Cleanup(func() {
		if err := off(); err != nil {
			t.Error(err)
		}
	})
}
