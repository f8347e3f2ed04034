package config

import (
	"strings"

	"hauspost/appliance/faults"
)

// Fault is one thing that is wrong in a file, Faults are all; Load and Parse
// return them for a bad file.
type (
	Fault  = faults.Fault
	Faults = faults.Faults
)

// nearest gives the known key that the writer of name most likely meant, or "".
func nearest(name string) string {
	best, bestCost := "", len(name)/3+2
	section, last := split(name)
	for _, k := range keys {
		cost := distance(name, k.name)
		s, l := split(k.name)
		switch {
		case l == last:
			cost = min(cost, 1) // right key, wrong section
		case isList(section) && s == section && (strings.HasPrefix(last, l) || strings.HasPrefix(l, last)):
			cost = 0
		}
		if cost < bestCost {
			best, bestCost = k.name, cost
		}
	}
	return best
}

// distance is the number of single-byte edits between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
