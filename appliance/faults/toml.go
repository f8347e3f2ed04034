package faults

import (
	"errors"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// OfForm turns the error of a file that is not TOML into a fault.
func OfForm(file string, err error) Fault {
	f := Fault{File: file, Problem: err.Error(), Remedy: "mend this line; a text needs double quotes, a list square brackets"}
	var de *toml.DecodeError
	if errors.As(err, &de) {
		f.Line, _ = de.Position()
		f.Key = strings.Join(de.Key(), ".")
		f.Problem = "this is not TOML: " + strings.TrimPrefix(de.Error(), "toml: ")
		if strings.HasSuffix(f.Problem, "already defined") {
			f.Remedy = "remove one of the two lines"
		}
	}
	return f
}

// Key gives the parts of the key of a table or key-value, and its line.
func Key(u *unstable.Parser, n *unstable.Node) (parts []string, line int) {
	for it := n.Key(); it.Next(); {
		if line == 0 {
			line = u.Shape(it.Node().Raw).Start.Line
		}
		parts = append(parts, string(it.Node().Data))
	}
	return parts, line
}

// maxValue is how much of a value a fault shows, in characters.
const maxValue = 60

// Value gives a value as it stands in the file, for a fault; lines are those of
// the file, and line is that of the key.
func Value(u *unstable.Parser, value *unstable.Node, lines [][]byte, line int) string {
	if value.Raw.Length > 0 && value.Raw.Length <= maxValue {
		return string(u.Raw(value.Raw))
	}
	if line < 1 || line > len(lines) {
		return ""
	}
	_, after, _ := strings.Cut(string(lines[line-1]), "=")
	after = strings.TrimSpace(after)
	if i := strings.Index(after, " #"); i >= 0 && strings.Count(after[:i], `"`)%2 == 0 {
		after = strings.TrimSpace(after[:i])
	}
	if r := []rune(after); len(r) > maxValue {
		after = string(r[:maxValue]) + "…"
	}
	return after
}
