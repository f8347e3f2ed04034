package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong in a file.
type Fault struct {
	// File is the path as it was given.
	File string `json:"file"`
	// Line counts from 1; 0 where the fault is that something is missing.
	Line int `json:"line"`
	// Key is the full dotted key, empty for faults of the file's form.
	Key string `json:"key,omitempty"`
	// Value is as it stands in the file.
	Value string `json:"value,omitempty"`
	// Problem says what is wrong and what is allowed; Remedy what to write.
	Problem string `json:"problem"`
	Remedy  string `json:"remedy"`
}

// String puts the fault into one line.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Key != "" {
		b.WriteString(f.Key)
		if f.Value != "" {
			b.WriteString(" = " + f.Value)
		}
		b.WriteString(": ")
	}
	b.WriteString(f.Problem)
	if f.Remedy != "" {
		b.WriteString("; " + f.Remedy)
	}
	return b.String()
}

// Faults are all faults of a file, in the order of their lines. It is the
// error that Load and Parse return for a bad file.
type Faults []Fault

// Error lists the faults, one a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

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
