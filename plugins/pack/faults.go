package pack

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong in a file that people write: a manifest or
// a test case.
type Fault struct {
	// File is its name within the package.
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

// Faults are all faults of a file, in the order of their lines.
type Faults []Fault

// Error lists the faults, one a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}
