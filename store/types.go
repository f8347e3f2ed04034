package store

import (
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ID names one message file. It is the binary form of envelope.ID.
type ID [16]byte

var idText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// String gives the 26 characters of envelope.ID.
func (id ID) String() string { return idText.EncodeToString(id[:]) }

// ParseID reads what String printed.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 26 {
		return id, fmt.Errorf("message ID %q: want 26 characters", s)
	}
	if n, err := idText.Decode(id[:], []byte(s)); err != nil || n != len(id) {
		return id, fmt.Errorf("message ID %q is malformed", s)
	}
	return id, nil
}

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotFound: no such document, mailbox or message.
	ErrNotFound = errors.New("not found")
	// ErrExists: a mailbox of that name is there already.
	ErrExists = errors.New("exists already")
	// ErrLocked: another process uses the data folder.
	ErrLocked = errors.New("another hauspost uses this data folder")
	// ErrVersion: the data folder was made by another version.
	ErrVersion = errors.New("the data folder is of another version")
	// ErrTooManyKeywords: a mailbox holds MaxKeywords different keywords already.
	ErrTooManyKeywords = errors.New("too many different keywords in this mailbox")
	// ErrDamaged: a file that the store needs is damaged.
	ErrDamaged = errors.New("damaged")
	// ErrIndexBehind: the index is older than the mail and its logs.
	ErrIndexBehind = errors.New("the index hauspost.db is older than the mail beside it")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("the store is closed")
	// ErrTooLarge: a change is more than one commit takes, some 4 MB beside the
	// content of messages: one message for many thousands of recipients.
	ErrTooLarge = errors.New("too large for one commit")
	// ErrNotAllowed: INBOX and other mailboxes with which that cannot be done.
	ErrNotAllowed = errors.New("not allowed for this mailbox")
)

// Flags are the flags of one message in one mailbox: the system flags below,
// and one bit per keyword of the mailbox from bit 8 on.
type Flags uint64

// System flags (RFC 9051, section 2.3.2).
const (
	Seen Flags = 1 << iota
	Answered
	Flagged
	Deleted
	Draft
)

// MaxKeywords is how many different keywords one mailbox can hold.
const MaxKeywords = 56

// Derived is what the index keeps of a message, made once from its raw bytes.
// The store never looks inside Envelope and Structure.
type Derived struct {
	Envelope  []byte
	Structure []byte
	// Search forms: decoded to UTF-8, lower case, one line each.
	From, To, Cc, Bcc, Subject string
	// MessageID is the Message-ID with its angle brackets, as it stands.
	MessageID string
	// Sent is the Date header in Unix seconds, 0 where there is none.
	Sent int64
}

// Options say how to open a store.
type Options struct {
	// Dir is the data folder. It must exist.
	Dir string
	// Index makes what IMAP lists of a message. It must be a pure function of
	// raw (prefix and content as IMAP serves them), must not keep raw, and must
	// not fail: malformed mail is indexed as well as can be.
	Index func(raw []byte) Derived
	// Logger may be nil.
	Logger *slog.Logger
	// Now may be nil (time.Now).
	Now func() time.Time
}

// Mailbox is one mailbox of one owner, with its counters.
type Mailbox struct {
	ID    int64
	Owner string
	// Name is UTF-8 with "/" between levels; "INBOX" in exactly that case.
	Name        string
	UIDValidity uint32
	UIDNext     uint32
	// HighestModSeq is that of the mailbox (RFC 7162); never 0.
	HighestModSeq uint64
	Subscribed    bool
	// NoSelect tells that only the name is left, with children below it.
	NoSelect bool
	// SpecialUse is one of \Archive \Drafts \Flagged \Junk \Sent \Trash, or empty.
	SpecialUse string
	// Keywords are the mailbox's keywords; the index is the flag bit minus 8.
	Keywords []string
	// Messages, Unseen (not \Seen) and MarkedDeleted (\Deleted) count messages.
	Messages, Unseen, MarkedDeleted uint32
	// Size is the sum of the messages' sizes in octets.
	Size int64
}

// Entry is one message in one mailbox. Entries are values; a slice of them is
// always in ascending order of UID.
type Entry struct {
	UID    uint32
	Flags  Flags
	ModSeq uint64
	// Msg is the row of the message in the index; ID names its file.
	Msg int64
	ID  ID
	// Size is RFC822.SIZE: prefix and content, in octets.
	Size uint32
	// Internal and Saved are INTERNALDATE and the time at which the message
	// came into this mailbox, in Unix seconds; Zone is INTERNALDATE's offset
	// from UTC in minutes.
	Internal, Saved int64
	Zone            int16
}

// InternalDate gives INTERNALDATE with its zone.
func (e Entry) InternalDate() time.Time {
	return time.Unix(e.Internal, 0).In(time.FixedZone("", int(e.Zone)*60))
}

// Place is one mailbox into which a message is to go.
type Place struct {
	Owner string
	// Mailbox is its name. It is made where it is missing if Create is set;
	// otherwise a missing mailbox is ErrNotFound.
	Mailbox string
	Create  bool
	// Flags are system flags and keywords by name ("\Seen", "$Forwarded").
	Flags []string
	// Internal is INTERNALDATE; the zero Time means now.
	Internal time.Time
}

// Delivery is one message on its way into mailboxes.
type Delivery struct {
	ID ID
	// Prefix are header lines (each ending in CRLF) that IMAP serves before the
	// content: Return-Path, Received, Authentication-Results. At most 64 KB.
	Prefix []byte
	// Annex is kept with the message and given back by Annex: the trace.
	Annex []byte
	// Places may hold several mailboxes of several owners, Queue several
	// recipients elsewhere; all or none get it. Deliver fills in what the store
	// sets of the rows.
	Places []Place
	Queue  []Queued
	// With, if set, is done in the same commit; see Update.
	With func(tx *Tx) error
}

// Placed tells where a message went.
type Placed struct {
	Owner       string
	Mailbox     string
	MailboxID   int64
	UIDValidity uint32
	UID         uint32
	ModSeq      uint64
	// Msg is the row of the message in the index.
	Msg int64
}

// Columns choose what Rows reads.
type Columns uint8

// The columns of the index.
const (
	ColEnvelope  Columns = 1 << iota // Envelope
	ColStructure                     // Structure
	ColSearch                        // From, To, Cc, Bcc, Subject, MessageID, Sent
)

// Row is what the index holds of one message. Its slices are valid only until
// the callback returns.
type Row struct {
	Envelope, Structure                   []byte
	From, To, Cc, Bcc, Subject, MessageID []byte
	Sent                                  int64
}

// FlagOp is what SetFlags does with the given flags.
type FlagOp int

// The three forms of STORE.
const (
	FlagsReplace FlagOp = iota
	FlagsAdd
	FlagsRemove
)

// FlagResult is the outcome of SetFlags.
type FlagResult struct {
	// Changed are the entries after the change, for every UID that was
	// addressed and exists (also where nothing changed), in UID order.
	Changed []Entry
	// Modified are the UIDs left alone because of UNCHANGEDSINCE.
	Modified []uint32
}

// CopyResult pairs the UIDs of COPY and MOVE, for COPYUID.
type CopyResult struct {
	UIDValidity uint32
	Source      []uint32
	Dest        []uint32
}

// Delta is what changed in a mailbox for a session that knows the UIDs it was
// last told of, as of a mod-sequence.
type Delta struct {
	// Gone are the indices into the session's UIDs (ascending) that were
	// expunged.
	Gone []int
	// Changed are entries among the session's UIDs with a newer mod-sequence.
	Changed []Entry
	// New are entries beyond the session's last UID.
	New []Entry
	// ModSeq is what to pass next time.
	ModSeq uint64
}
