package submit

import "strings"

// SignIn is an event: somebody tried to sign in.
type SignIn struct {
	Client    string `json:"client"`
	Mechanism string `json:"mechanism"`
	// Account is the address of who signed in, Name the one that was tried
	// where that went wrong; empty where it was no mail address.
	Account string `json:"account,omitempty"`
	Name    string `json:"name,omitempty"`
	// Problem is what the client was told where it went wrong, Cause what was
	// wrong inside.
	Problem string `json:"problem,omitempty"`
	Cause   string `json:"cause,omitempty"`
}

// Step implements maillog.Event.
func (e SignIn) Step() string {
	if e.Problem != "" {
		return "sign-in-failed"
	}
	return "signed-in"
}

// Say implements maillog.Event.
func (e SignIn) Say() string {
	if e.Problem == "" {
		return e.Account + " signed in from " + e.Client + " (" + e.Mechanism + ")"
	}
	var b strings.Builder
	b.WriteString(e.Client + " could not sign in")
	if e.Name != "" {
		b.WriteString(" as " + e.Name)
	}
	b.WriteString(" (" + e.Mechanism + "): " + e.Problem)
	if e.Cause != "" {
		b.WriteString(" (" + e.Cause + ")")
	}
	return b.String()
}
