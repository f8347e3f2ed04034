package abi

// Module is the import module of version 1, Version its number.
const (
	Module  = "hauspost_v1"
	Version = 1
)

// WASI is the other module that a guest may import.
const WASI = "wasi_snapshot_preview1"

// Stage is a point in the life of a message at which plugins are asked.
type Stage int32

// The stages.
const (
	OnConnect Stage = iota + 1
	OnMail
	OnRcpt
	OnMessage
	OnSubmit
	OnDelivery
	OnFeedback
	OnTimer
)

var stageNames = [...]string{"", "on_connect", "on_mail", "on_rcpt", "on_message", "on_submit", "on_delivery", "on_feedback", "on_timer"}

// Stages lists all stages in the order of a message's life.
func Stages() []Stage {
	return []Stage{OnConnect, OnMail, OnRcpt, OnMessage, OnSubmit, OnDelivery, OnFeedback, OnTimer}
}

// String gives the name of the function that a guest exports for the stage.
func (s Stage) String() string {
	if s < 1 || int(s) >= len(stageNames) {
		return "unknown stage"
	}
	return stageNames[s]
}

// ParseStage finds a stage by its name.
func ParseStage(name string) (Stage, bool) {
	for s := OnConnect; s <= OnTimer; s++ {
		if stageNames[s] == name {
			return s, true
		}
	}
	return 0, false
}

// HasMessage tells whether a message with content belongs to the stage.
func (s Stage) HasMessage() bool {
	return s == OnMessage || s == OnSubmit || s == OnDelivery || s == OnFeedback
}

// The limits, in octets where nothing else is said.
const (
	// MaxEvent is the largest Event, MaxSettings the largest Settings.
	MaxEvent    = 64 << 10
	MaxSettings = 64 << 10
	// MaxHeader is how much of a header guests see.
	MaxHeader = 256 << 10
	// MaxParts is how many parts a message has for guests, MaxDepth how deep
	// they lie in each other; what is beyond is part of the part around it.
	MaxParts = 1000
	MaxDepth = 100
	// MaxRead is the most that one part_read gives.
	MaxRead = 1 << 20
	// MaxDecoded is the most that the decoded or text view of a part gives.
	MaxDecoded = 64 << 20
	// MaxRequest and MaxReply bound the messages of host calls.
	MaxRequest = 64 << 10
	MaxReply   = 96 << 10
	// MaxKey and MaxValue bound one key and its value, MaxKeys the keys of one
	// KeysRequest or KeysChange, MaxChanges the changes of one call.
	MaxKey     = 256
	MaxValue   = 4 << 10
	MaxKeys    = 1000
	MaxChanges = 4000
	// MaxQuestions is how many DNS questions one DNSRequest may have,
	// MaxLookups how many a guest may ask for one event.
	MaxQuestions = 32
	MaxLookups   = 100
	// MaxServices is how many service calls a guest may make for one event.
	MaxServices = 16
	// MaxEffects is how many effects are taken for one event, MaxText how long
	// each text in them may be; longer ones are cut.
	MaxEffects = 100
	MaxText    = 500
	// MaxLog is how much a guest may log for one event.
	MaxLog = 8 << 10
	// MaxCalls is how many host calls a guest may make for one event.
	MaxCalls = 200_000
)

// Errno is a failure of a host call, as the guest sees it: negative.
type Errno int32

// The errors of host calls.
const (
	// ErrInvalid: the arguments or the request make no sense.
	ErrInvalid Errno = -1
	// ErrFault: ptr and len are not within the guest's memory.
	ErrFault Errno = -2
	// ErrDenied: the owner did not grant it.
	ErrDenied Errno = -3
	// ErrNotFound: there is no such part or service, or no reply to give again.
	ErrNotFound Errno = -4
	// ErrTooBig: over one of the Max limits.
	ErrTooBig Errno = -5
	// ErrAgain: it could not be done just now (DNS, a service).
	ErrAgain Errno = -6
	// ErrBudget: the guest has used up what it may ask for one event.
	ErrBudget Errno = -7
	// ErrStage: there is no message at this stage.
	ErrStage Errno = -8
	// ErrIO: the host failed.
	ErrIO Errno = -9
)

var errnoTexts = [...]string{
	"", "the request makes no sense", "the memory of the request is out of range", "not granted by the owner",
	"not found", "too big", "not possible just now", "too many requests for one event", "there is no message at this stage", "the host failed",
}

// Error implements error.
func (e Errno) Error() string {
	if e < 0 && int(-e) < len(errnoTexts) {
		return errnoTexts[-e]
	}
	return "unknown error of the host"
}

// View is a form in which a part can be read.
type View int32

// The views of a part.
const (
	// Raw: the body of the part as it came.
	Raw View = iota
	// Decoded: without base64 or quoted-printable.
	Decoded
	// Text: for text parts, decoded and in UTF-8; of HTML what a person would
	// read. ErrInvalid for others.
	Text
	// PartHeader: the header of the part as it came.
	PartHeader
)

// Event is what a call is about. Which fields are set depends on the stage; a
// field that the plugin has no use for costs nothing.
type Event struct {
	Stage Stage
	// ID names the message in the trace; empty before there is one.
	ID string
	// Time is in nanoseconds since 1970.
	Time int64
	// Hostname is that of the box.
	Hostname string
	Client   Client
	// Sender is the reverse-path, empty for "<>".
	Sender string
	// Recipients are the accepted ones; at OnRcpt the last one is asked about.
	Recipients []string
	// Size is that of the message in octets, as far as it is known.
	Size int64
	// Account is the address of the person who submits (OnSubmit), whose
	// mailbox it is (OnDelivery) or who moved the message (OnFeedback).
	Account string
	// Facts are what the box found out about the sender.
	Facts []Fact
	// Findings are the effects of the plugins before this one.
	Findings []Finding
	// Mailbox is where the message was stored (OnDelivery) or moved to
	// (OnFeedback), From where it was before.
	Mailbox, From string
	// Junk tells at OnFeedback whether the person says that it is junk; at
	// OnDelivery whether it went to the junk mailbox.
	Junk bool
	// Action and Score are the verdict (OnDelivery).
	Action string
	Score  float64
}

// Client is the peer of an SMTP session.
type Client struct {
	// Address is its IP address, Port its port.
	Address string
	Port    int32
	// HELO is what it calls itself, Hostname its confirmed reverse name or empty.
	HELO, Hostname string
	// Protocol is the keyword of RFC 3848; TLS version and cipher or empty.
	Protocol, TLS string
}

// Fact is one finding of the box.
type Fact struct{ Name, Value, Detail string }

// Finding is an effect of another plugin.
type Finding struct {
	// By is the other plugin's ID.
	By     string
	Kind   Kind
	Symbol string
	Points float64
}

// Settings are the owner's settings for the plugin.
type Settings struct{ List []Setting }

// Setting is one setting. A list has several values, tables are flattened with
// dots ("limits.size"); numbers and truth values are written as in TOML.
type Setting struct {
	Name   string
	Values []string
}

// Parts is the MIME structure, in the order of the message. The first one is
// the message itself.
type Parts struct{ List []Part }

// Part is one MIME entity (RFC 2045).
type Part struct {
	// Index names the part in part_read; Parent is the index of the one around
	// it, -1 for the message itself.
	Index, Parent int32
	// Type is "text/plain" and so on, in lower case; Charset and Encoding
	// (Content-Transfer-Encoding) likewise.
	Type, Charset, Encoding string
	// Disposition is "attachment", "inline" or empty; Filename is decoded.
	Disposition, Filename string
	// ContentID is without its angle brackets.
	ContentID string
	// Size is that of the raw body in octets.
	Size int64
}

// KeysRequest asks for keys.
type KeysRequest struct{ Keys [][]byte }

// KeysReply has one Value for each key of the request, in its order.
type KeysReply struct{ Values []Value }

// Value is what is kept under a key.
type Value struct {
	Found bool
	// Bytes were set; Number was counted.
	Bytes  []byte
	Number int64
	// Expires is in seconds since 1970, 0 for never.
	Expires int64
}

// KeysChange changes keys.
type KeysChange struct{ Changes []Change }

// Op is what a Change does.
type Op int32

// The changes of a key.
const (
	// OpSet sets Bytes; Number begins again at 0.
	OpSet Op = iota + 1
	// OpAdd adds Delta to Number, without wrapping round, and leaves Bytes.
	OpAdd
	// OpDelete removes the key.
	OpDelete
)

// Change changes one key.
type Change struct {
	Op    Op
	Key   []byte
	Bytes []byte
	Delta int64
	// TTL is the time to live in seconds from the event's time on, 0 for ever.
	// Each change of a key sets it anew.
	TTL int64
}

// DNSRequest asks several questions at once.
type DNSRequest struct{ Questions []Question }

// Question is one question to the DNS.
type Question struct {
	// Name is a domain name, Type one of A, AAAA, MX, NS, PTR, TXT, CNAME.
	Name, Type string
}

// DNSReply has one Answer for each question of the request, in its order.
type DNSReply struct{ Answers []Answer }

// Answer is what the DNS said.
type Answer struct {
	// Status is 0 for records, 1 for none (the name or the type is not there);
	// otherwise it is an Errno: ErrDenied, ErrAgain, ErrInvalid, ErrBudget.
	Status int32
	// Records are in presentation form without quotes: "127.0.0.2",
	// "10 mail.example.org", the joined strings of a TXT record.
	Records []string
	// Secure tells of a validated answer (DNSSEC).
	Secure bool
}

// The states of an Answer that are no errors.
const (
	DNSFound = 0
	DNSNone  = 1
)

// ServiceRequest asks a named service of the owner's settings, such as a virus
// scanner.
type ServiceRequest struct {
	Name string
	// Request is sent as it is, where the kind of the service takes one.
	Request []byte
	// With tells that the host streams a part to the service, in a view.
	With bool
	Part int32
	View View
}

// ServiceReply is what the service answered, at most MaxReply octets.
type ServiceReply struct{ Reply []byte }

// Kind is what an Effect proposes.
type Kind int32

// The effects.
const (
	// Score adds Points under Symbol.
	Score Kind = iota + 1
	// Stop keeps the message from its normal way, as Stop says.
	Stop
	// Tag sets the IMAP keyword Argument.
	Tag
	// AddHeader adds the header field Name with the value Argument.
	AddHeader
	// FileInto files into the mailbox Argument.
	FileInto
	// Copy sends a copy to the address Argument, Redirect the message itself.
	Copy
	Redirect
	// RequireTLS sends it encrypted or not at all (OnSubmit).
	RequireTLS
	// Exempt takes the message out of scores and stops, but not of those for
	// malware.
	Exempt
)

var kindNames = [...]string{"", "score", "stop", "tag", "addheader", "fileinto", "copy", "redirect", "requiretls", "exempt"}

// String gives the kind's name, as in manifests.
func (k Kind) String() string {
	if k < 1 || int(k) >= len(kindNames) {
		return "unknown effect"
	}
	return kindNames[k]
}

// ParseKind finds a kind by its name.
func ParseKind(name string) (Kind, bool) {
	for k := Score; k <= Exempt; k++ {
		if kindNames[k] == name {
			return k, true
		}
	}
	return 0, false
}

// Action is how a Stop stops.
type Action int32

// The stops, from the weakest to the strongest.
const (
	// Discard takes the message and throws it away.
	Discard Action = iota + 1
	// Quarantine keeps it away until its owner releases it.
	Quarantine
	// Tempfail asks the peer to come again later.
	Tempfail
	// Reject refuses it in the session.
	Reject
)

var actionNames = [...]string{"", "discard", "quarantine", "tempfail", "reject"}

// String gives the action's name, as in manifests.
func (a Action) String() string {
	if a < 1 || int(a) >= len(actionNames) {
		return "unknown stop"
	}
	return actionNames[a]
}

// ParseAction finds an action by its name.
func ParseAction(name string) (Action, bool) {
	for a := Discard; a <= Reject; a++ {
		if actionNames[a] == name {
			return a, true
		}
	}
	return 0, false
}

// Effects is a list of proposals.
type Effects struct{ List []Effect }

// Effect is one proposal.
type Effect struct {
	Kind Kind
	// Symbol names the finding for programs, in capitals: "DATE_IN_FUTURE".
	Symbol string
	Points float64
	// Detail is the reason in words for people.
	Detail string
	// Argument and Name are what Kind needs.
	Argument, Name string
	// Stop is the action of a Stop, Malware its being a stop for malware.
	Stop    Action
	Malware bool
	// Recipient limits Tag, FileInto, Copy, Redirect and the stops quarantine
	// and discard to one recipient of the event; empty means all.
	Recipient string
}
