package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var (
	kills    = flag.Int("kills", 20, "how often the box is killed under load")
	seedFlag = flag.Uint64("seed", 0, "seed of the random choices; 0 takes a new one")
)

// binary is the program under test, built once for all tests.
var binary string

// seed is that of all random choices of this run.
var seed uint64

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(build(m))
}

func build(m *testing.M) int {
	seed = *seedFlag
	if seed == 0 {
		seed = rand.Uint64N(1 << 48)
	}
	fmt.Printf("e2e: the random choices of this run can be repeated with: -args -seed %d\n", seed)
	dir, err := os.MkdirTemp("", "hauspost-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "hauspost")
	cmd := exec.Command("go", "build", "-o", binary, "hauspost/cmd/hauspost")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: building the binary: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// chance gives the random choices of one part of a test, the same for the same
// seed.
func chance(part string) *rand.Rand {
	var h uint64 = 14695981039346656037
	for _, c := range []byte(part) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h))
}
