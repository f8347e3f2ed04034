package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/transfer"
	"hauspost/store"
)

// SentDestination is the destination of rows that stand for the copy of a
// submitted message in its author's Sent mailbox. It can be no domain.
const SentDestination = "(sent)"

// State is where a row stands. Its numbers are those of store.Queued.State.
type State uint8

// The states of a row.
const (
	// Waiting: it is tried when it is due.
	Waiting State = iota
	// Held: it is kept until the owner releases it.
	Held
	// Dropped: the owner took it out; it can be brought back for a day.
	Dropped
)

// String gives "waiting", "held" or "dropped".
func (s State) String() string {
	switch s {
	case Waiting:
		return "waiting"
	case Held:
		return "held"
	default:
		return "dropped"
	}
}

// The kinds of an Item: how its message came to be sent.
const (
	// KindSubmission: a person or a program of this box sent it.
	KindSubmission = "submission"
	// KindForward: it came from outside, and an alias leads out again.
	KindForward = "forward"
	// KindReport: the box itself made it.
	KindReport = "report"
	// KindSent: the copy for Sent, not a transfer.
	KindSent = "sent"
)

// Item is the meaning of a row. What has no column of its own is its Value, as
// JSON: fields that a later version adds are left alone.
type Item struct {
	// ID is the row's number, Msg the message's in the store; both 0 before the
	// commit. Size is that of the stored message, in octets.
	ID      int64       `json:"-"`
	Message envelope.ID `json:"-"`
	Msg     int64       `json:"-"`
	Size    int64       `json:"-"`
	// Added is when the message was accepted, Due when it is tried next; for a
	// dropped row Due is when it is removed for good.
	Added time.Time `json:"-"`
	Due   time.Time `json:"-"`
	State State     `json:"-"`
	// Destination is the recipient's domain in A-labels, or SentDestination.
	Destination string `json:"-"`
	// Note is the last fault in words.
	Note string `json:"-"`

	Sender    envelope.Address   `json:"from"`
	Recipient envelope.Recipient `json:"to"`
	// Account is the ID of who submitted it; empty for a forward, the sendmail
	// command or a trusted network.
	Account string `json:"account,omitempty"`
	Kind    string `json:"kind"`
	// EnvID, Ret, Body, SMTPUTF8, RequireTLS and TLSOptional are as in
	// transfer.Message.
	EnvID       string `json:"envid,omitempty"`
	Ret         string `json:"ret,omitempty"`
	Body        string `json:"body,omitempty"`
	SMTPUTF8    bool   `json:"utf8,omitempty"`
	RequireTLS  bool   `json:"requiretls,omitempty"`
	TLSOptional bool   `json:"tlsoptional,omitempty"`
	// Header are lines that go before the content for this recipient alone,
	// each ending in CRLF.
	Header string `json:"header,omitempty"`
	// Via is the owner's own choice of a way (transfer.ParseVia).
	Via string `json:"via,omitempty"`
	// Alias is, of a forward, the address of this box that led out.
	Alias envelope.Address `json:"alias,omitzero"`

	// Attempts counts all attempts, Step those in a row that the other server
	// put off for this recipient: it makes the intervals grow.
	Attempts int   `json:"attempts,omitempty"`
	Step     int   `json:"step,omitempty"`
	Last     *Last `json:"last,omitempty"`
	// Looked is when Waited and Counted were brought up to date, in Unix
	// milliseconds (0: when it was added); Planned the interval that was
	// planned then. Waited is how long the row has been waiting while the box
	// ran, Counted the part of it that was the other side's fault. All in
	// milliseconds.
	Looked  int64 `json:"looked,omitempty"`
	Planned int64 `json:"planned,omitempty"`
	Waited  int64 `json:"waited,omitempty"`
	Counted int64 `json:"counted,omitempty"`
	// Delayed: the sender was told that it takes longer.
	Delayed bool `json:"delayed,omitempty"`

	// MessageID and Bcc are for KindSent: the Message-ID by which a copy that
	// the mail program saved itself is known, and the Bcc lines that were
	// removed.
	MessageID string `json:"messageid,omitempty"`
	Bcc       string `json:"bcc,omitempty"`

	// Undo is what the latest deed of the owner changed.
	Undo *Undo `json:"undo,omitempty"`
}

// Last is the latest attempt.
type Last struct {
	At       time.Time        `json:"at"`
	Outcome  transfer.Outcome `json:"outcome"`
	Host     string           `json:"host,omitempty"`
	Addr     string           `json:"addr,omitempty"`
	Greeting string           `json:"greeting,omitempty"`
	TLS      string           `json:"tls,omitempty"`
	Note     string           `json:"note,omitempty"`
}

// Undo is what a deed changed in a row.
type Undo struct {
	// Deed is the number of the deed, Name what it was.
	Deed int64 `json:"deed"`
	Name Deed  `json:"name"`
	// State, Due (Unix milliseconds), Step and Via are what they were before.
	State State  `json:"state"`
	Due   int64  `json:"due"`
	Step  int    `json:"step,omitempty"`
	Via   string `json:"via,omitempty"`
}

// ErrItem is wrapped by what Row says to an item that cannot be queued.
var ErrItem = errors.New("this cannot be queued")

// Row makes the row of an item. What the store sets itself (ID, Msg, File,
// Size of a new row) is taken over where it is known.
func Row(i *Item) (store.Queued, error) {
	q := store.Queued{
		ID: i.ID, Msg: i.Msg, Size: i.Size, State: uint8(i.State), Due: i.Due.UnixMilli(), Added: i.Added.UnixMilli(),
		Sender: i.Sender.String(), Recipient: i.Recipient.Address.String(), Note: i.Note,
	}
	domain := i.Destination
	if domain == "" {
		domain = i.Recipient.Address.Domain
	}
	if domain == "" {
		return q, fmt.Errorf("%w: recipient <%s> has no domain", ErrItem, q.Recipient)
	}
	if i.Header != "" && !strings.HasSuffix(i.Header, "\r\n") {
		return q, fmt.Errorf("%w: its header lines do not end in CRLF", ErrItem)
	}
	q.Destination = laneName(domain, i.Via)
	if i.Message != "" {
		var err error
		if q.File, err = store.ParseID(string(i.Message)); err != nil {
			return q, fmt.Errorf("%w: %w", ErrItem, err)
		}
	}
	var err error
	if q.Value, err = json.Marshal(i); err != nil {
		return q, fmt.Errorf("%w: %w", ErrItem, err)
	}
	return q, nil
}

// ItemOf reads a row.
func ItemOf(q *store.Queued) (*Item, error) {
	i := new(Item)
	if err := json.Unmarshal(q.Value, i); err != nil {
		return nil, fmt.Errorf("row %d of the queue cannot be read: %w", q.ID, err)
	}
	i.ID, i.Message, i.Msg, i.Size = q.ID, envelope.ID(q.File.String()), q.Msg, q.Size
	i.Added, i.Due, i.State, i.Note = time.UnixMilli(q.Added), time.UnixMilli(q.Due), State(q.State), q.Note
	i.Destination, _ = splitLane(q.Destination)
	return i, nil
}

// laneName is the destination of a row in the store: its domain, and behind a
// space the owner's own way, so that mail on another way does not wait behind
// a destination that fails on the usual one.
func laneName(domain, via string) string {
	if via == "" || domain == SentDestination {
		return domain
	}
	return domain + " " + via
}

func splitLane(name string) (domain, via string) {
	domain, via, _ = strings.Cut(name, " ")
	return domain, via
}
