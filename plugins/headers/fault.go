package headers

import (
	"strconv"
	"strings"
)

// Fault is one thing that is wrong with the owner's rules.
type Fault struct {
	// Rule counts from 1, 0 where there is no rule yet; Name is its name, if it
	// has one.
	Rule int
	Name string
	// Line and Column count from 1; columns count characters.
	Line, Column int
	// Text says what is wrong and what could be there instead.
	Text string
}

// Error implements error.
func (f Fault) Error() string {
	s := ""
	if f.Rule > 0 {
		s = "rule " + strconv.Itoa(f.Rule)
		if f.Name != "" {
			s += ` "` + f.Name + `"`
		}
		s += ", "
	}
	return s + "line " + strconv.Itoa(f.Line) + ", column " + strconv.Itoa(f.Column) + ": " + f.Text
}

// Faults are all that is wrong, at most one for each rule.
type Faults []Fault

// Error implements error: one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}
