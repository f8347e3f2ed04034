package pack

import (
	"regexp"
	"time"

	"hauspost/appliance/faults"
	"hauspost/plugins/abi"
)

// Fault is one thing that is wrong in a file that people write, a manifest or a
// test case; Faults are all of a file.
type (
	Fault  = faults.Fault
	Faults = faults.Faults
)

// The forms of names.
var (
	idForm      = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}$`)
	nameForm    = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)
	settingForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}(\.[a-z][a-z0-9_]{0,63}){0,3}$`)
	labelForm   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)
	fieldForm   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,99}$`)
	versionForm = regexp.MustCompile(`^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)
)

// IsID tells whether a text can be the ID of a plugin: see Manifest.
func IsID(id string) bool { return idForm.MatchString(id) }

// The defaults and bounds of Limits.
const (
	DefaultMemory = 32 << 20
	MinMemory     = 64 << 10
	MaxMemory     = 512 << 20

	DefaultTime = 2 * time.Second
	MinTime     = time.Millisecond
	MaxTime     = time.Minute
)

// Limits bound one call of a plugin.
type Limits struct {
	// Memory is that of one instance in octets: whole pages of 64 KiB, from
	// MinMemory to MaxMemory.
	Memory int64
	// Time is the wall time of one call, without waiting for host calls: from
	// MinTime to MaxTime.
	Time time.Duration
}

// What happens to a message where a plugin fails.
const (
	// Skip goes on without the plugin.
	Skip = "skip"
	// Tempfail asks the sender to come again later.
	Tempfail = "tempfail"
)

// The types of a setting.
const (
	Text   = "text"
	Number = "number"
	Truth  = "truth"
	List   = "list"
)

// SettingSpec is one setting that a plugin takes from its owner.
type SettingSpec struct {
	// Name is in lower case, "limits.size" for one in a table.
	Name string `json:"name"`
	// Type is Text, Number, Truth or List (of texts).
	Type string `json:"type"`
	// Default is a string, int64 or float64, bool or []string, as Type says. Nil
	// means that the owner has to give a value.
	Default any `json:"default,omitempty"`
	// Doc says to the owner what it does.
	Doc string `json:"doc,omitempty"`
	// Secret is for passwords: they are not shown.
	Secret bool `json:"secret,omitempty"`
}

// Manifest is what plugin.toml says.
type Manifest struct {
	// ID names the plugin on a box: 2 to 32 lower-case letters, digits and
	// hyphens, the first one a letter.
	ID string
	// Name is for people; Version as in semver.org, version 2.
	Name, Version string
	// Description says in a sentence what it does. Author, Homepage and License
	// may be empty.
	Description, Author, Homepage, License string
	// ABI is the version of the plugin interface: abi.Version.
	ABI int
	// Stages are those that it serves, at least one.
	Stages []abi.Stage
	// Timer is the time between two calls of abi.OnTimer, 0 without that stage.
	Timer time.Duration
	// OnFailure is Skip or Tempfail: what its author would do with a message
	// where the plugin fails.
	OnFailure string
	Needs     Grants
	Limits    Limits
	Settings  []SettingSpec
	// Build is the command that makes plugin.wasm, run in the package's folder;
	// empty where there are no sources.
	Build []string
}

// stageWords say when a plugin is asked, and what it sees without any grant.
var stageWords = map[abi.Stage]string{
	abi.OnConnect:  "It is asked about every server that connects to bring mail, and sees its address.",
	abi.OnMail:     "It is asked about every sender who wants to bring mail, and sees the sender's address.",
	abi.OnRcpt:     "It is asked about every address of yours that mail is for, and sees it and the sender's.",
	abi.OnMessage:  "It is asked about every message that arrives, and sees from whom and for whom it is.",
	abi.OnSubmit:   "It is asked about every message that you send, and sees from whom and for whom it is.",
	abi.OnDelivery: "It is told of every message that was put into a mailbox, and into which one.",
	abi.OnFeedback: "It is told when you move a message to the junk mailbox, or out of it.",
	abi.OnTimer:    "It runs by itself from time to time.",
}

// Words say in sentences when the plugin is asked, which no grant changes.
func (m *Manifest) Words() []string {
	words := make([]string, 0, len(m.Stages))
	for _, s := range m.Stages {
		words = append(words, stageWords[s])
	}
	return words
}

// FileName is the usual name of the package as an archive.
func (m *Manifest) FileName() string { return m.ID + "-" + m.Version + Extension }
