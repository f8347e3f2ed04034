package control

import (
	"context"
	"encoding/json"
	"time"
)

// Admin is what can be asked of a box. Client implements it for a box that
// runs, the composition root for a data folder at rest. Errors that people can
// do something about are *Error.
type Admin interface {
	// Status tells how the box is.
	Status(ctx context.Context) (Status, error)

	// Domains lists the domains that the box takes mail for.
	Domains(ctx context.Context) ([]Domain, error)
	// AddDomain adds one; with aliasOf it is another name of that domain.
	// KindExists, KindInvalid, KindNotFound (aliasOf).
	AddDomain(ctx context.Context, name, aliasOf string) (Domain, error)
	// RemoveDomain removes one that no account or alias uses. KindNotFound,
	// KindInvalid.
	RemoveDomain(ctx context.Context, name string) error

	// Accounts lists the people of the box.
	Accounts(ctx context.Context) ([]Account, error)
	// AddAccount adds a person with mailboxes. KindExists, KindInvalid.
	AddAccount(ctx context.Context, address, password string) (Account, error)
	// RemoveAccount removes a person with all mail. KindNotFound.
	RemoveAccount(ctx context.Context, address string) error
	// SetPassword sets a new password. KindNotFound, KindInvalid.
	SetPassword(ctx context.Context, address, password string) error

	// SetDisabled refuses a person's sign-ins, or allows them again.
	// KindNotFound.
	SetDisabled(ctx context.Context, address string, disabled bool) error

	// SetSentCopy has a copy of what a person sends filed in Sent where the
	// mail program does not do so itself, or not. KindNotFound.
	SetSentCopy(ctx context.Context, address string, on bool) error

	// Aliases lists the aliases; "@example.org" is a catch-all.
	Aliases(ctx context.Context) ([]Alias, error)
	// AddAlias adds one; the targets may be of this box or of others.
	// KindExists, KindInvalid.
	AddAlias(ctx context.Context, address string, to []string) (Alias, error)
	// RemoveAlias removes one. KindNotFound.
	RemoveAlias(ctx context.Context, address string) error

	// Queue lists rows of the queue. KindInvalid.
	Queue(ctx context.Context, q QueueQuery) (QueueList, error)
	// QueueShow gives one row by its number, or all rows of a message by its
	// ID. KindNotFound, KindInvalid.
	QueueShow(ctx context.Context, ref string) (QueueItem, error)
	// QueueDo does something with rows of the queue. KindNotFound where a ref
	// of the query is not there, KindInvalid where the deed cannot be.
	QueueDo(ctx context.Context, d QueueDeed) (QueueDone, error)

	// DKIMKeys lists the keys of a domain, or of all where it is empty.
	// KindNotFound.
	DKIMKeys(ctx context.Context, domain string) ([]DKIMKey, error)

	// Plugins lists the installed plugins, in the order in which they are asked.
	Plugins(ctx context.Context) ([]Plugin, error)
	// PluginReview tells what a package is and would be able to do if it were
	// installed, or if it updated what is there; it changes nothing.
	// KindNotFound, KindInvalid.
	PluginReview(ctx context.Context, r PluginRequest) (PluginReview, error)
	// PluginInstall installs a package, at the end of the order and enabled.
	// KindExists, KindNotFound (no bundled one), KindInvalid.
	PluginInstall(ctx context.Context, r PluginRequest) (Plugin, error)
	// PluginUpdate puts a package into the place of what is installed. What was
	// granted stays as far as it is still needed; the choice is about what is
	// needed more. KindNotFound, KindInvalid.
	PluginUpdate(ctx context.Context, r PluginRequest) (Plugin, error)
	// PluginBack goes back to the version before the last update.
	// KindNotFound, KindInvalid.
	PluginBack(ctx context.Context, id string) (Plugin, error)
	// PluginRemove removes one with its files; with forget, also what it has
	// remembered. KindNotFound.
	PluginRemove(ctx context.Context, id string, forget bool) error
	// PluginEnable has one asked, or not. KindNotFound.
	PluginEnable(ctx context.Context, id string, on bool) (Plugin, error)
	// PluginOrder puts these first, in this order. KindNotFound, KindInvalid.
	PluginOrder(ctx context.Context, ids []string) ([]Plugin, error)
	// PluginGrant changes what one may do. KindNotFound, KindInvalid.
	PluginGrant(ctx context.Context, g PluginGrants) (Plugin, error)
	// PluginReplay runs a plugin over stored mail and calls fn for each message,
	// the newest first; it changes nothing. KindNotFound, KindInvalid,
	// KindNotRunning.
	PluginReplay(ctx context.Context, q ReplayQuery, fn func(ReplayRow) error) (ReplayTotals, error)

	// Trace gives the life of one message. KindNotFound.
	Trace(ctx context.Context, id string) (Trace, error)
	// Log calls fn for each recent log entry, oldest first, and with q.Follow
	// for each new one until ctx ends or fn fails. KindNotRunning.
	Log(ctx context.Context, q LogQuery, fn func(LogEntry) error) error
	// Config gives the settings in force.
	Config(ctx context.Context) (Settings, error)
	// Verify compares all mail with the index; it changes nothing.
	Verify(ctx context.Context) (VerifyReport, error)

	// Close ends the use of the interface, not the box.
	Close() error
}

// Status tells how a box is.
type Status struct {
	// Running is false where the data folder was read at rest; the fields of
	// the process are empty then.
	Running  bool   `json:"running"`
	Version  string `json:"version"`
	Hostname string `json:"hostname"`
	Data     string `json:"data"`
	PID      int    `json:"pid,omitempty"`
	// Since is the time of the start.
	Since     time.Time    `json:"since,omitzero"`
	Listeners []Listener   `json:"listeners"`
	TLS       TLSStatus    `json:"tls"`
	Domains   int          `json:"domains"`
	Accounts  int          `json:"accounts"`
	Aliases   int          `json:"aliases"`
	Store     StoreStats   `json:"store"`
	Queue     QueueStatus  `json:"queue"`
	Filters   FilterStatus `json:"filters"`
	// SMTP, Submission, Relay and IMAP count since the start.
	SMTP       map[string]int64 `json:"smtp"`
	Submission map[string]int64 `json:"submission"`
	Relay      map[string]int64 `json:"relay"`
	IMAP       map[string]int64 `json:"imap"`
	Process    ProcessStats     `json:"process"`
}

// Listener is one service at one address.
type Listener struct {
	// Service is "smtp", "submission", "submissions", "imap" or "imaps".
	Service string `json:"service"`
	Address string `json:"address"`
}

// TLSStatus tells of the certificate.
type TLSStatus struct {
	// Mode is tls.mode of the config.
	Mode string `json:"mode"`
	// NotAfter is the end of the certificate, where it is known.
	NotAfter time.Time `json:"not_after,omitzero"`
	// Fingerprint is the SHA-256 of the certificate, lower-case hexadecimal.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Problem is empty, or says what is wrong with it and what to do.
	Problem string `json:"problem,omitempty"`
}

// StoreStats are the store's figures.
type StoreStats struct {
	Messages  int   `json:"messages"`
	Mailboxes int   `json:"mailboxes"`
	Bytes     int64 `json:"bytes"`
	// Commits and Flushes count since the start.
	Commits uint64 `json:"commits"`
	Flushes uint64 `json:"flushes"`
	// FreeBytes is the free space of the data folder's disk.
	FreeBytes int64 `json:"free_bytes"`
	// Fault says why nothing can be written just now, or is empty.
	Fault string `json:"fault,omitempty"`
}

// ProcessStats are the figures of the process.
type ProcessStats struct {
	HeapBytes  uint64 `json:"heap_bytes"`
	TotalBytes uint64 `json:"total_bytes"`
	Goroutines int    `json:"goroutines"`
}

// Domain is a domain of the box.
type Domain struct {
	// Name is in lower-case A-labels.
	Name string `json:"name"`
	// AliasOf is the domain whose people this one shares, or empty.
	AliasOf string    `json:"alias_of,omitempty"`
	Created time.Time `json:"created"`
}

// Account is a person of the box.
type Account struct {
	ID       string    `json:"id"`
	Address  string    `json:"address"`
	Created  time.Time `json:"created"`
	Disabled bool      `json:"disabled"`
	// SentCopy tells that a copy of what the person sends is filed in Sent
	// where the mail program did not do so itself.
	SentCopy bool `json:"sent_copy"`
}

// Alias leads mail for one address to others.
type Alias struct {
	Address string    `json:"address"`
	To      []string  `json:"to"`
	Created time.Time `json:"created"`
}

// Trace is the life of one message.
type Trace struct {
	ID      string      `json:"id"`
	Entries []TraceStep `json:"entries"`
}

// TraceStep is one event in the life of a message.
type TraceStep struct {
	At time.Time `json:"at"`
	// Step is the stable name of the event, Say its sentence for people.
	Step string `json:"step"`
	Say  string `json:"say"`
	// Event has the event's own fields.
	Event json.RawMessage `json:"event"`
}

// LogQuery chooses log entries.
type LogQuery struct {
	// ID limits to one message; empty means all.
	ID string `json:"id,omitempty"`
	// Level is the least level: debug, info, warn, error; empty means debug.
	Level string `json:"level,omitempty"`
	// Lines is how many of the recent entries at most; 0 means all there are.
	Lines int `json:"lines,omitempty"`
	// Follow goes on with new entries.
	Follow bool `json:"follow,omitempty"`
}

// LogEntry is one entry of the log.
type LogEntry struct {
	At    time.Time `json:"at"`
	Level string    `json:"level"`
	Text  string    `json:"text"`
	// ID is the message that the entry belongs to, or empty.
	ID string `json:"id,omitempty"`
	// Fields are the entry's other fields.
	Fields map[string]any `json:"fields,omitempty"`
}

// Settings are the settings in force.
type Settings struct {
	// Running tells that a running box uses them; otherwise they are those of
	// the file.
	Running bool   `json:"running"`
	File    string `json:"file"`
	// Keys are all keys as in the file; Text is the file itself.
	Keys map[string]any `json:"keys"`
	Text string         `json:"-"`
}

// Problem is one finding of Verify or of a rebuild.
type Problem struct {
	// Kind is stable and made for programs.
	Kind    string `json:"kind"`
	File    string `json:"file,omitempty"`
	Message string `json:"message,omitempty"`
	// Text says what is wrong, Remedy what to do.
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

// VerifyReport is the outcome of Verify.
type VerifyReport struct {
	Messages  int       `json:"messages"`
	Mailboxes int       `json:"mailboxes"`
	Bytes     int64     `json:"bytes"`
	Problems  []Problem `json:"problems"`
}

// RebuildReport is the outcome of a rebuild of the index.
type RebuildReport struct {
	Messages  int       `json:"messages"`
	Mailboxes int       `json:"mailboxes"`
	Documents int       `json:"documents"`
	Problems  []Problem `json:"problems"`
}
