package e2e

import (
	"strings"
)

// oneSentence tells whether text is one line from the program, without the
// traces of a crash.
func oneSentence(text string) bool {
	return strings.HasPrefix(text, "hauspost: ") && strings.Count(text, "\n") == 1 && len(text) < 500
}
