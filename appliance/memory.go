package appliance

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"hauspost/appliance/config"
)

const (
	leastMemory = 64 << 20
	mostMemory  = 160 << 20
)

// limitMemory sets the soft limit of the Go heap: what the config says, or a
// quarter of the machine's memory within bounds that suit a house. The owner
// of the process may still overrule it with GOMEMLIMIT.
func limitMemory(c *config.Config) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	limit := int64(c.MemoryLimit)
	if limit == 0 {
		limit = min(max(machineMemory()/4, leastMemory), mostMemory)
	}
	debug.SetMemoryLimit(limit)
}

// machineMemory gives the memory of the machine in octets, or 0 where the
// system does not tell.
func machineMemory() int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return kb << 10
		}
	}
	return 0
}
