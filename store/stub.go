package store

import (
	"context"
	"io"
)

// Store is an open data folder. Its methods are safe for many goroutines.
type Store struct{}

// Open opens (or makes) the store in o.Dir, locks it against other processes,
// recovers what a crash left, and starts the writer.
func Open(ctx context.Context, o Options) (*Store, error) { panic("stub") }

// Close flushes everything and releases the lock.
func (s *Store) Close() error { panic("stub") }

// Staged is message content on its way in: in memory while it is small, in a
// file when it grows. Hashed and compressed as it streams. Not safe for
// concurrent use.
type Staged struct{}

// Stage begins to take content.
func (s *Store) Stage() *Staged { panic("stub") }

func (st *Staged) Write(p []byte) (int, error) { panic("stub") }

// Size is the number of octets written so far.
func (st *Staged) Size() int64 { panic("stub") }

// Head gives the first octets of the content, at most 256 KB.
func (st *Staged) Head() []byte { panic("stub") }

// Discard drops the content; after Deliver it does nothing.
func (st *Staged) Discard() { panic("stub") }

// Deliver makes staged content durable in all places of d or in none. When it
// returns nil the message survives a crash and every session can see it.
func (s *Store) Deliver(ctx context.Context, st *Staged, d Delivery) ([]Placed, error) { panic("stub") }

// Tx is a change to documents and mailboxes, inside Update.
type Tx struct{}

// Update runs fn in a write transaction; all of it or nothing is kept. fn may
// run more than once and must have no other effects. nil means durable.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error { panic("stub") }

// Put writes the document key of the given kind ("account", "alias", "domain" …).
func (tx *Tx) Put(kind, key string, value []byte) error { panic("stub") }

// Delete removes a document; ErrNotFound if there is none.
func (tx *Tx) Delete(kind, key string) error { panic("stub") }

// Get reads a document as the transaction sees it; ErrNotFound if there is none.
func (tx *Tx) Get(kind, key string) ([]byte, error) { panic("stub") }

// List calls fn for every document of a kind in the order of the keys.
func (tx *Tx) List(kind string, fn func(key string, value []byte) error) error { panic("stub") }

// CreateMailbox makes a mailbox; see Store.CreateMailbox.
func (tx *Tx) CreateMailbox(owner, name, specialUse string) (Mailbox, error) { panic("stub") }

// DeleteOwner removes all mailboxes and mail of an owner.
func (tx *Tx) DeleteOwner(owner string) error { panic("stub") }

// Get reads a document; ErrNotFound if there is none.
func (s *Store) Get(ctx context.Context, kind, key string) ([]byte, error) { panic("stub") }

// List calls fn for every document of a kind in the order of the keys.
func (s *Store) List(ctx context.Context, kind string, fn func(key string, value []byte) error) error {
	panic("stub")
}

// Mailboxes lists an owner's mailboxes sorted by name (INBOX first).
func (s *Store) Mailboxes(ctx context.Context, owner string) ([]Mailbox, error) { panic("stub") }

// Mailbox finds one by name; ErrNotFound if there is none.
func (s *Store) Mailbox(ctx context.Context, owner, name string) (Mailbox, error) { panic("stub") }

// CreateMailbox makes a mailbox and its missing parents. ErrExists.
func (s *Store) CreateMailbox(ctx context.Context, owner, name, specialUse string) (Mailbox, error) {
	panic("stub")
}

// RenameMailbox renames a mailbox with its children (RFC 9051, section 6.3.6).
// Renaming INBOX moves its messages into a new mailbox and leaves INBOX empty.
// ErrNotFound, ErrExists, ErrNotAllowed (into its own child).
func (s *Store) RenameMailbox(ctx context.Context, owner, from, to string) error { panic("stub") }

// DeleteMailbox deletes a mailbox; with children it becomes NoSelect.
// ErrNotFound, ErrNotAllowed (INBOX, or NoSelect with children).
func (s *Store) DeleteMailbox(ctx context.Context, owner, name string) error { panic("stub") }

// Subscribe sets the subscription of a name. Unsubscribing a name that does
// not exist is no error.
func (s *Store) Subscribe(ctx context.Context, owner, name string, on bool) error { panic("stub") }

// Live is an open mailbox, shared by all sessions that have it open.
type Live struct{}

// Live opens a mailbox's live view; Close it when done.
func (s *Store) Live(ctx context.Context, mailbox int64) (*Live, error) { panic("stub") }

// Close releases the view.
func (l *Live) Close() {}

// Mailbox gives the mailbox with its counters as of now. The name follows
// renames; ErrNotFound once it was deleted.
func (l *Live) Mailbox() (Mailbox, error) { panic("stub") }

// Recent gives the first UID that no session was shown as \Recent yet, and, if
// claim is set, claims all up to now.
func (l *Live) Recent(claim bool) uint32 { panic("stub") }

// Entries appends all entries to dst.
func (l *Live) Entries(dst []Entry) []Entry { panic("stub") }

// Lookup appends to dst one entry for each of uids (ascending); an entry with
// UID 0 where the message is gone.
func (l *Live) Lookup(dst []Entry, uids []uint32) []Entry { panic("stub") }

// Sync compares what a session knows (its UIDs ascending, its mod-sequence)
// with the mailbox.
func (l *Live) Sync(uids []uint32, since uint64) Delta { panic("stub") }

// Watch has fn called after every change of the mailbox. fn must return at
// once and must not call the store; it may be called from several goroutines.
func (l *Live) Watch(fn func()) (stop func()) { panic("stub") }

// SetFlags changes flags of the messages with the given UIDs (ascending;
// missing ones are ignored). unchangedSince 0 means no condition (RFC 7162).
// Unknown keywords are added to the mailbox. ErrTooManyKeywords.
func (s *Store) SetFlags(ctx context.Context, mailbox int64, uids []uint32, op FlagOp, flags []string, unchangedSince uint64) (FlagResult, error) {
	panic("stub")
}

// Expunge removes messages that are marked \Deleted: among uids, or all if
// uids is nil. It returns the UIDs removed.
func (s *Store) Expunge(ctx context.Context, mailbox int64, uids []uint32) ([]uint32, error) {
	panic("stub")
}

// Copy copies messages with their flags and dates into dest. ErrNotFound if
// dest is not there.
func (s *Store) Copy(ctx context.Context, mailbox int64, uids []uint32, owner, dest string) (CopyResult, error) {
	panic("stub")
}

// Move is Copy and removal in one step (RFC 6851).
func (s *Store) Move(ctx context.Context, mailbox int64, uids []uint32, owner, dest string) (CopyResult, error) {
	panic("stub")
}

// Rows reads the index for entries of one mailbox, in order, calling fn for each.
func (s *Store) Rows(ctx context.Context, mailbox int64, entries []Entry, cols Columns, fn func(e *Entry, r *Row) error) error {
	panic("stub")
}

// ReadMessage appends prefix and content of a message to dst. For messages of
// many megabytes prefer OpenMessage.
func (s *Store) ReadMessage(ctx context.Context, e Entry, dst []byte) ([]byte, error) { panic("stub") }

// OpenMessage streams prefix and content of a message.
func (s *Store) OpenMessage(ctx context.Context, e Entry) (io.ReadCloser, error) { panic("stub") }

// AppendTrace adds a blob to the trace of id soon, without waiting: it is
// written with the next commit or within a second, and may be lost in a crash.
func (s *Store) AppendTrace(id ID, blob []byte) { panic("stub") }

// Trace gives the blobs of a trace in order, the Annex first. ErrNotFound.
func (s *Store) Trace(ctx context.Context, id ID) ([][]byte, error) { panic("stub") }

// Problem is one finding of Verify.
type Problem struct {
	// Kind is stable: "damaged", "missing-file", "stray-file", "counters",
	// "sqlite".
	Kind string `json:"kind"`
	// File is relative to the data folder; Message its ID.
	File    string `json:"file,omitempty"`
	Message string `json:"message,omitempty"`
	// Text says what is wrong; Remedy what to do.
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

// Report is the outcome of Verify.
type Report struct {
	Messages  int       `json:"messages"`
	Mailboxes int       `json:"mailboxes"`
	Bytes     int64     `json:"bytes"`
	Problems  []Problem `json:"problems"`
}

// Verify reads every message file and compares it with the index, and the
// index with itself. It changes nothing.
func (s *Store) Verify(ctx context.Context) (Report, error) { panic("stub") }

// RebuildReport is the outcome of Rebuild.
type RebuildReport struct {
	Messages  int `json:"messages"`
	Mailboxes int `json:"mailboxes"`
	Documents int `json:"documents"`
	// Recovered counts messages that only their files told of.
	Recovered int       `json:"recovered"`
	Problems  []Problem `json:"problems"`
}

// Rebuild makes the index anew from journal and message files. The store must
// not be open. The old index is kept aside as hauspost.db.old.
func Rebuild(ctx context.Context, o Options) (RebuildReport, error) { panic("stub") }

// Stats are figures for status.
type Stats struct {
	Messages  int   `json:"messages"`
	Mailboxes int   `json:"mailboxes"`
	Bytes     int64 `json:"bytes"`
	// Commits and Flushes count since the start.
	Commits uint64 `json:"commits"`
	Flushes uint64 `json:"flushes"`
	// FreeBytes is the free space below the data folder.
	FreeBytes int64 `json:"free_bytes"`
	// Fault is empty, or says why nothing can be written just now.
	Fault string `json:"fault,omitempty"`
}

// Stats gives figures for status.
func (s *Store) Stats(ctx context.Context) (Stats, error) { panic("stub") }
