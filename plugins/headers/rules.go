package headers

import (
	"net/netip"

	"hauspost/plugins/abi"
)

// The limits of rules.
const (
	// MaxRules is how many rules there may be, MaxTests how many tests in all
	// of them.
	MaxRules = 500
	MaxTests = 2000
	// MaxText is how long a text in quotes may be, in octets, MaxGlob how long
	// the pattern of "matches".
	MaxText = 400
	MaxGlob = 200
	// MaxScore is the most that one score may have, either way.
	MaxScore = 100
	maxDepth = 20
)

// Way tells to which mail rules belong.
type Way int

// The ways of mail.
const (
	// Incoming mail comes from strangers, or from one of the house to another.
	Incoming Way = iota
	// Outgoing mail is submitted by one of the house.
	Outgoing
)

// Rules are what Parse made of the owner's text. They do not change any more.
type Rules struct {
	list  []rule
	tests int
}

// Len is the number of rules.
func (r *Rules) Len() int { return len(r.list) }

// rule does its actions where its condition holds.
type rule struct {
	number, line int
	name         string
	// when nil holds always.
	when *condition
	do   []action
	last bool // the action "stop"
}

// condition is a tree of tests.
type condition struct {
	op   op
	list []*condition
	test *test
}

type op int

const (
	isTest op = iota
	allOf
	anyOf
	noneOf
)

// subject is what a test looks at.
type subject int

const (
	headerField subject = iota
	envelopeSender
	envelopeRecipient
	client
	helo
	messageSize
	fact
)

// part is what a test looks at of a field with addresses.
type part int

const (
	allParts part = iota
	nameOnly
	addressOnly
)

// verb is how a test compares.
type verb int

const (
	contains verb = iota + 1
	equals
	beginsWith
	endsWith
	matches
	exists
	larger
	smaller
)

// test compares a subject with values.
type test struct {
	id     int
	about  subject
	name   string // of the header field or fact, in lower case
	part   part
	verb   verb
	negate bool
	values []string // folded; any of them is enough
	nets   []netip.Prefix
	octets int64
}

// action is an effect, but for its recipient.
type action struct{ abi.Effect }

// limited tells whether the host can do the action for one recipient alone.
func (a action) limited() bool {
	switch a.Kind {
	case abi.Tag, abi.FileInto, abi.Copy, abi.Redirect:
		return true
	case abi.Stop:
		return a.Stop == abi.Quarantine || a.Stop == abi.Discard
	}
	return false
}
