package control

import "time"

// The states of a QueueEntry.
const (
	// QueueWaiting: it is tried again at Next.
	QueueWaiting = "waiting"
	// QueueActive: an attempt goes on.
	QueueActive = "active"
	// QueueHeld: it stays until it is released.
	QueueHeld = "held"
	// QueueDropped: it was taken out and can be brought back until Expires.
	QueueDropped = "dropped"
)

// The deeds of QueueDo.
const (
	// QueueRetry tries now, whatever the schedule says.
	QueueRetry = "retry"
	// QueueHold keeps back until QueueRelease.
	QueueHold = "hold"
	// QueueRelease lets go on what was held.
	QueueRelease = "release"
	// QueueReroute sends by another way (QueueDeed.Via) and tries now.
	QueueReroute = "reroute"
	// QueueDrop takes out without telling the sender.
	QueueDrop = "drop"
	// QueueUndo takes back the last deed, drops included, or, with a query, the
	// last one of each row that it chooses.
	QueueUndo = "undo"
)

// QueueQuery chooses rows of the queue; all that is given must hold. The zero
// QueueQuery chooses everything.
type QueueQuery struct {
	// Refs are numbers of rows or IDs of messages; one of them must fit.
	Refs []string `json:"refs,omitempty"`
	// Destination is a domain. Sender and Recipient are parts of addresses: case
	// does not count.
	Destination string `json:"destination,omitempty"`
	Sender      string `json:"sender,omitempty"`
	Recipient   string `json:"recipient,omitempty"`
	// Error is a part of the last error in words.
	Error string `json:"error,omitempty"`
	// State is one of the Queue states; empty means all but QueueDropped, and
	// for QueueUndo all.
	State string `json:"state,omitempty"`
	// OlderThan is the least time since the message was accepted, in
	// nanoseconds.
	OlderThan time.Duration `json:"older_than,omitempty"`
	// Limit is how many rows at most; 0 means all.
	Limit int `json:"limit,omitempty"`
}

// Everything tells whether q chooses all rows.
func (q *QueueQuery) Everything() bool {
	return len(q.Refs) == 0 && q.Destination == "" && q.Sender == "" && q.Recipient == "" &&
		q.Error == "" && q.State == "" && q.OlderThan == 0
}

// QueueEntry is one row of the queue: one recipient of one message.
type QueueEntry struct {
	Number int64 `json:"number"`
	// Message is the ID of the message, for `hauspost trace`.
	Message string `json:"message"`
	// Sender is the reverse-path, empty for "<>".
	Sender      string `json:"sender"`
	Recipient   string `json:"recipient"`
	Destination string `json:"destination"`
	// Via is another way than that of the settings: "direct", "smarthost" or
	// "host:port".
	Via string `json:"via,omitempty"`
	// Kind is "submission", "forward", "report", or "sent" for the copy in Sent.
	Kind string `json:"kind"`
	// Alias is, of a forward, the address of this box that led out.
	Alias string `json:"alias,omitempty"`
	// State is one of the Queue states.
	State string `json:"state"`
	// Size in octets.
	Size  int64     `json:"size"`
	Added time.Time `json:"added"`
	// Next is the next attempt, LastTry the last one, where there is one.
	Next    time.Time `json:"next,omitzero"`
	LastTry time.Time `json:"last_try,omitzero"`
	// Expires is when it is given up, as far as QueueShow can tell, or, if
	// dropped, gone for good.
	Expires  time.Time `json:"expires,omitzero"`
	Attempts int       `json:"attempts"`
	// Delayed tells that the sender was told that it takes longer.
	Delayed bool `json:"delayed,omitempty"`
	// Host, TLS and Answer are those of the last attempt; Reading says in plain
	// words what the answer means, Advice what can be done about it, What what
	// happens next.
	Host    string `json:"host,omitempty"`
	TLS     string `json:"tls,omitempty"`
	Answer  string `json:"answer,omitempty"`
	Reading string `json:"reading,omitempty"`
	Advice  string `json:"advice,omitempty"`
	What    string `json:"what,omitempty"`
}

// QueueList is what is in the queue.
type QueueList struct {
	// Rows are in the order in which they came.
	Rows []QueueEntry `json:"rows"`
	// Total is how many rows there are without the limit of the query.
	Total int `json:"total"`
	// Failing are the destinations of which nothing can be reached.
	Failing []QueueDestination `json:"failing"`
}

// QueueItem is one message in the queue.
type QueueItem struct {
	// Rows are the recipients that were asked for.
	Rows []QueueEntry `json:"rows"`
	// Trace is the life of the message so far.
	Trace []TraceStep `json:"trace"`
}

// QueueDeed is something that the owner does with rows of the queue.
type QueueDeed struct {
	// Deed is one of the deeds above.
	Deed  string     `json:"deed"`
	Query QueueQuery `json:"query"`
	// All says that a query that chooses everything is meant so.
	All bool `json:"all,omitempty"`
	// Via is the new way, for QueueReroute: "direct", "smarthost", "host:port",
	// or "settings" for the usual one.
	Via string `json:"via,omitempty"`
}

// QueueDone is the outcome of a QueueDeed.
type QueueDone struct {
	// Changed is how many rows were changed.
	Changed int `json:"changed"`
	// Undone is, for QueueUndo of everything, the deed that was taken back.
	Undone string `json:"undone,omitempty"`
}

// QueueStatus is the queue in figures.
type QueueStatus struct {
	Waiting int `json:"waiting"`
	Active  int `json:"active"`
	Held    int `json:"held"`
	Dropped int `json:"dropped"`
	// Oldest is when the oldest one that waits was accepted, Next when a
	// running box makes the next attempt.
	Oldest time.Time `json:"oldest,omitzero"`
	Next   time.Time `json:"next,omitzero"`
	// Failing are the destinations of which nothing can be reached.
	Failing []QueueDestination `json:"failing"`
	// Local is set while this box itself reaches nobody; it has no Destination.
	Local *QueueDestination `json:"local,omitempty"`
}

// QueueDestination is a destination of which nothing can be reached.
type QueueDestination struct {
	Destination string `json:"destination"`
	// Via is as in QueueEntry.
	Via string `json:"via,omitempty"`
	// Since is the first failure, Next the next attempt.
	Since time.Time `json:"since,omitzero"`
	Next  time.Time `json:"next,omitzero"`
	// Reading says in plain words what is wrong.
	Reading string `json:"reading,omitempty"`
	Waiting int    `json:"waiting"`
}
