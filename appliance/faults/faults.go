// Package faults has the words for what is wrong in a file that people write: the
// settings of a box, the manifest of a plugin. Each fault names file, line, key,
// value and remedy. It also finds these in TOML.
//
// It must not import anything of ours.
package faults

import (
	"cmp"
	"fmt"
	"slices"
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

// Faults are all faults of a file, in the order of their lines; as an error,
// one a line.
type Faults []Fault

// Error lists the faults, one a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Sorted gives the faults in the order of their lines.
func (fs Faults) Sorted() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	return fs
}
