package control

import "time"

// MaxPackage is the largest archive of a plugin that is taken, in octets.
const MaxPackage = 64 << 20

// BundledFrom is how Plugin.Source begins for plugins that came with this program.
const BundledFrom = "bundled with hauspost "

// PluginTerm is one thing that a plugin can be granted.
type PluginTerm struct {
	// Name is what the owner types: "body", "stop:reject", "dns:example.org".
	Name string `json:"name"`
	// Words say in a sentence what a plugin with it can do.
	Words string `json:"words"`
}

// PluginFacts are what a package says of itself.
type PluginFacts struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Version     string `json:"version"`
	Description string `json:"description"`
	Author      string `json:"author,omitempty"`
	Homepage    string `json:"homepage,omitempty"`
	License     string `json:"license,omitempty"`
	// Signer is the public key of who signed it, empty where nobody did.
	Signer string `json:"signer,omitempty"`
	// SHA256 is that of the module, Digest that of the whole package.
	SHA256 string `json:"sha256"`
	Digest string `json:"digest"`
	// Stages are when it is asked ("on_message"); Asked says the same in
	// sentences.
	Stages []string `json:"stages"`
	Asked  []string `json:"asked"`
	// TimerSeconds is the time between two calls of on_timer.
	TimerSeconds float64 `json:"timer_seconds,omitempty"`
	// Needs is all that it asks for.
	Needs []PluginTerm `json:"needs"`
	// MemoryBytes and TimeMilliseconds are what one call may use.
	MemoryBytes      int64   `json:"memory_bytes"`
	TimeMilliseconds float64 `json:"time_ms"`
	// OnFailure is what its author would do with a message where it fails:
	// "skip" or "tempfail".
	OnFailure string          `json:"on_failure"`
	Settings  []PluginSetting `json:"settings"`
}

// PluginSetting is one setting that a plugin takes from its owner.
type PluginSetting struct {
	Name string `json:"name"`
	// Type is "text", "number", "truth" or "list"; empty where the owner sets
	// what the plugin does not know.
	Type string `json:"type,omitempty"`
	Doc  string `json:"doc,omitempty"`
	// Default is the value where the owner gives none; nil means that the owner
	// has to. A secret is "***".
	Default []string `json:"default"`
	// Value is the owner's, nil where there is none. A secret is "***".
	Value []string `json:"value"`
}

// Plugin is an installed plugin.
type Plugin struct {
	PluginFacts
	Enabled bool `json:"enabled"`
	// Granted is what it may do, Denied what it needs and may not do.
	Granted []PluginTerm `json:"granted"`
	Denied  []PluginTerm `json:"denied"`
	// Source says where it came from.
	Source    string    `json:"source"`
	Installed time.Time `json:"installed"`
	// Before is the version before this one, for going back.
	Before string `json:"before,omitempty"`
	// Weight, MaxPoints and Failing are the owner's settings for it: Failing is
	// what happens where it fails.
	Weight    float64 `json:"weight"`
	MaxPoints float64 `json:"max_points,omitempty"`
	Failing   string  `json:"failing"`
	// Problem says why it is not used, or not as it is meant; empty where all
	// is well.
	Problem string `json:"problem,omitempty"`
	// Run is what a running box knows of it.
	Run *PluginRun `json:"run,omitempty"`
}

// PluginComplaint is one failure of a plugin.
type PluginComplaint struct {
	At time.Time `json:"at"`
	// Message is the ID of the message that it was about, for `hauspost trace`;
	// empty where it was about none.
	Message string `json:"message,omitempty"`
	// Problem is in words, with what the plugin wrote about it.
	Problem string `json:"problem"`
}

// PluginRun are the figures of a plugin since the box was started.
type PluginRun struct {
	Calls int64 `json:"calls"`
	// P50Milliseconds and P99Milliseconds are of the calls of late.
	P50Milliseconds float64 `json:"p50_ms"`
	P99Milliseconds float64 `json:"p99_ms"`
	// MemoryBytes is the most that one call used.
	MemoryBytes int64 `json:"memory_bytes"`
	// Failures counts by kind: "timeout", "trap" and so on.
	Failures map[string]int64 `json:"failures"`
	// Effects are those that counted, Dropped those that were not granted or
	// made no sense.
	Effects int64 `json:"effects"`
	Dropped int64 `json:"dropped"`
	// Breaker is "closed", "open" (it is not asked, because it failed too
	// often), or "probing".
	Breaker string `json:"breaker"`
	// BrokenSince and Retry are for a breaker that is not closed.
	BrokenSince time.Time `json:"broken_since,omitzero"`
	Retry       time.Time `json:"retry,omitzero"`
	// LastFailure is what it failed of the last time; nil where it did not.
	LastFailure *PluginComplaint `json:"last_failure,omitempty"`
	// LoadMilliseconds is how long it took to be loaded.
	LoadMilliseconds float64 `json:"load_ms"`
	// Pooled tells that its instances are used again after a complete reset;
	// otherwise each call gets a new one.
	Pooled bool `json:"pooled"`
}

// PluginSource says which package is meant: the content of an archive, or a
// bundled or an installed plugin by its ID.
type PluginSource struct {
	// ID is that of a bundled plugin; for replay also of an installed one.
	ID string `json:"id,omitempty"`
	// Package is the content of an archive, at most MaxPackage octets.
	Package []byte `json:"-"`
	// From says to people where the package came from.
	From string `json:"from,omitempty"`
}

// PluginChoice says what is granted of what a plugin needs. The zero value
// grants all of it.
type PluginChoice struct {
	// Only are the names of terms that are granted, and nothing else; empty
	// means all. "dns" and the like stand for all of a kind.
	Only []string `json:"only,omitempty"`
	// Deny are the names of terms that are not granted.
	Deny []string `json:"deny,omitempty"`
}

// PluginReview is what an owner sees before a package is installed or updates
// what is there.
type PluginReview struct {
	PluginFacts
	// Bundled tells that it comes with this program.
	Bundled bool `json:"bundled,omitempty"`
	// Granted is what it would be granted.
	Granted []PluginTerm `json:"granted"`
	// Installed is the version that is there, empty where there is none. Then
	// More is what is needed beyond what that version needs, of what would be
	// granted.
	Installed string       `json:"installed,omitempty"`
	More      []PluginTerm `json:"more"`
	// Problem says why it cannot be installed, or is empty.
	Problem string `json:"problem,omitempty"`
}

// PluginRequest installs a package, updates by one, or reviews it.
type PluginRequest struct {
	PluginSource
	PluginChoice
}

// PluginGrants changes what an installed plugin may do. What is neither in
// Allow nor in Deny stays.
type PluginGrants struct {
	ID    string   `json:"id"`
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
	// All grants all that it needs, before Deny.
	All bool `json:"all,omitempty"`
}

// ReplayQuery chooses stored mail and what is run over it.
type ReplayQuery struct {
	PluginSource
	// Settings are used instead of the owner's where Override is true: in TOML,
	// as they would stand below [plugin.settings].
	Override bool   `json:"override,omitempty"`
	Settings string `json:"settings,omitempty"`
	// Account is an address, Mailbox a name; empty means all.
	Account string `json:"account,omitempty"`
	Mailbox string `json:"mailbox,omitempty"`
	// Limit is how many of the newest messages at most; 0 means all.
	Limit int `json:"limit,omitempty"`
}

// ReplayRow is one message of a replay.
type ReplayRow struct {
	// ID is that of the message, for `hauspost trace`.
	ID     string    `json:"id"`
	Date   time.Time `json:"date"`
	Sender string    `json:"sender"`
	// Before is what was decided when the message came, After what would be.
	Before ReplayVerdict `json:"before"`
	After  ReplayVerdict `json:"after"`
	// Changed tells that the two are different for the owner: another action,
	// mailbox or score.
	Changed bool `json:"changed"`
	// Differences say in words what else the plugin would do.
	Differences []string `json:"differences"`
	// Failure says why the plugin could not be run over this message.
	Failure string `json:"failure,omitempty"`
	// Unrecorded tells that the plugin asked what it was not told when the
	// message came, so that no answer was there.
	Unrecorded bool `json:"unrecorded,omitempty"`
}

// ReplayVerdict is a decision of then or now.
type ReplayVerdict struct {
	// Action is "keep", "reject", "tempfail", "quarantine" or "discard"; empty
	// where it is not known.
	Action  string  `json:"action"`
	Score   float64 `json:"score"`
	Mailbox string  `json:"mailbox,omitempty"`
}

// ReplayTotals sum up a replay.
type ReplayTotals struct {
	Messages int `json:"messages"`
	// Changed, Failed and Unrecorded count rows that are so.
	Changed    int `json:"changed"`
	Failed     int `json:"failed"`
	Unrecorded int `json:"unrecorded"`
	// Actions count changes of the action, as in "keep → reject".
	Actions map[string]int `json:"actions"`
	// Milliseconds is how long it took.
	Milliseconds float64 `json:"ms"`
}

// FilterStatus tells how the plugins are.
type FilterStatus struct {
	// Installed are all, Enabled those that are asked.
	Installed int `json:"installed"`
	Enabled   int `json:"enabled"`
	// Problems are those with one.
	Problems []PluginProblem `json:"problems"`
	// Workers are the processes in which the plugins run.
	Workers []PluginWorker `json:"workers"`
	// Restarts counts workers that ended since the start: new ones begin when
	// something changes about plugins as well.
	Restarts int64 `json:"restarts"`
}

// PluginProblem is what is wrong with one plugin.
type PluginProblem struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// PluginWorker is a process in which plugins run.
type PluginWorker struct {
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
	Bytes int64     `json:"bytes"`
	// Walls are what keeps it in, Missing what this system lacks, both in words.
	Walls   []string `json:"walls"`
	Missing []string `json:"missing"`
	// Interpreter tells that plugins are not compiled on this machine, and so
	// are slow.
	Interpreter bool `json:"interpreter,omitempty"`
}
