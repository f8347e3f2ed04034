//go:build faults || clients

package e2e

import (
	"os/exec"
	"testing"
)

// command runs a program that has to succeed.
func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}
