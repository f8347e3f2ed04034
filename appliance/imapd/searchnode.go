package imapd

import (
	"slices"

	"hauspost/store"
)

// verdict on a message: isOpen where more must be read to tell.
type verdict uint8

const (
	isNo verdict = iota
	isYes
	isOpen
)

func verdictOf(yes bool) verdict {
	if yes {
		return isYes
	}
	return isNo
}

// cost is what must be at hand to decide a criterion.
type cost uint8

const (
	costMemory cost = iota // the entry
	costRow                // the row of the index
	costFile               // the message
)

// searched is a message that is looked at, with what is at hand of it.
type searched struct {
	box         *selected
	seq         int
	entry       *store.Entry
	row         *store.Row
	raw, header []byte
}

// searchNode is a criterion.
type searchNode interface {
	// cost is the least that the node needs before it can decide anything.
	cost() cost
	// decide decides with what is at hand at that cost.
	decide(m *searched, at cost) verdict
}

// leaf is a criterion that looks at one thing.
type leaf struct {
	needs cost
	match func(m *searched) bool
}

func (l *leaf) cost() cost { return l.needs }

func (l *leaf) decide(m *searched, at cost) verdict {
	if l.needs > at {
		return isOpen
	}
	return verdictOf(l.match(m))
}

type allOf []searchNode

func newAllOf(nodes []searchNode) searchNode {
	if len(nodes) == 1 {
		return nodes[0]
	}
	cheapestFirst(nodes)
	return allOf(nodes)
}

func cheapestFirst(nodes []searchNode) {
	slices.SortStableFunc(nodes, func(a, b searchNode) int { return int(a.cost()) - int(b.cost()) })
}

func (a allOf) cost() cost {
	if len(a) == 0 {
		return costMemory
	}
	return a[0].cost()
}

func (a allOf) decide(m *searched, at cost) verdict {
	result := isYes
	for _, n := range a {
		if n.cost() > at {
			return isOpen
		}
		switch n.decide(m, at) {
		case isNo:
			return isNo
		case isOpen:
			result = isOpen
		}
	}
	return result
}

type anyOf []searchNode

func (o anyOf) cost() cost { return o[0].cost() }

func (o anyOf) decide(m *searched, at cost) verdict {
	result := isNo
	for _, n := range o {
		if n.cost() > at {
			return isOpen
		}
		switch n.decide(m, at) {
		case isYes:
			return isYes
		case isOpen:
			result = isOpen
		}
	}
	return result
}

type negation struct{ node searchNode }

func (n negation) cost() cost { return n.node.cost() }

func (n negation) decide(m *searched, at cost) verdict {
	switch n.node.decide(m, at) {
	case isNo:
		return isYes
	case isYes:
		return isNo
	}
	return isOpen
}
