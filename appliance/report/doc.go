// Package report makes the notices that tell people what became of a message:
// delivery status notifications (RFC 3461, 3464, 6522, 6533) with a part that
// a person understands before the part for programs, and the plain words for
// the outcome of an attempt.
//
// It is pure: what it makes depends on nothing but what it is given, and all of
// that may come from strangers. It may import envelope and transfer. It must
// not import queue, relay, store or anything else of ours: a report is a
// function of what happened.
package report
