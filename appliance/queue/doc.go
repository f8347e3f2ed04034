// Package queue is the durable schedule of mail that leaves the box: one row of
// the store for each recipient, one file for each message. It decides when a
// row is tried and by whom it may be overtaken, what an outcome means for it,
// when it has waited too long, who is told, and what the owner may do about it.
//
// A row comes with the commit that makes its message durable, and goes with
// the commit that makes its end durable, together with the report of that end.
// Between the two a message that another server took is never offered again
// while the process lives; after a crash that hit between the other server's
// 250 and our commit it is, because SMTP cannot tell.
//
// How the parts fit: dispatch.go chooses what to try next and owns the lanes
// (one for each destination, lane.go); attempt.go makes one attempt; judge.go
// is the arithmetic of retry and expiry, pure; record.go makes an outcome
// durable; notify.go decides whom to tell; sweep.go looks after rows that wait
// behind a destination that fails; tend.go empties the bin; list.go, show.go,
// deeds.go and undo.go are the owner's.
//
// It may import store, envelope, transfer, report, maillog and reply. It must
// not import relay (the schedule does not know how an attempt is made), nor
// deliver (nor how a report reaches people).
package queue
