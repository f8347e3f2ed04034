// Package link carries frames between the mail process (the parent) and a
// plugin worker (its child) over a socket pair of SOCK_SEQPACKET: one packet is
// one frame, and files travel with it by SCM_RIGHTS. It knows nothing of what
// the frames are for beyond their shape.
//
// The worker is the hostile end: what comes from it is decoded strictly, a
// frame that is not exactly as it should be is an error, and Receive hands over
// every file that came so that the caller closes those that it did not expect.
//
// It may import plugins/abi, golang.org/x/sys and the standard library.
//
// # The talk
//
//	parent                             worker
//	Configure
//	Load, once for each plugin (+file)
//	                                   Loading, before each plugin is compiled,
//	                                   and again before it is started
//	                                   Ready, once
//	Run (+file if HasFile)
//	                                   Ask (+file), any number of them
//	Answer, one for each Ask
//	                                   More, any number of them
//	                                   Result, one for each step of the chain, in its order; the last has Last
//	Cancel, at any time                … Last comes all the same, and soon
//
// At most Configure.Parallel runs are under way at a time. A worker that reads
// the end of the socket has to end itself.
package link

import (
	"time"

	"hauspost/plugins/abi"
)

// FD is the number of the socket in the worker.
const FD = 3

const (
	// MaxFrame is the largest frame in octets.
	MaxFrame = 128 << 10
	// MaxFiles is how many files one frame can bring; no frame has a use for
	// more than one.
	MaxFiles = 1
	// MaxPiece is how much of Effects and Changes together one More or Result
	// carries, so that it stays below MaxFrame with its log.
	MaxPiece = 96 << 10
	// MaxResult is how much of Effects and Changes together all More and the
	// Result of one step may bring. A guest that changes more keys than fit
	// gets ErrBudget.
	MaxResult = 1 << 20
)

// A Frame is one of the pointers to the structs of this package.
type Frame interface {
	kind() byte
	append(b []byte) []byte
	decode(d *decoder)
}

// Configure is the first frame: how the worker is to be.
type Configure struct {
	// Plugins is how many Load follow.
	Plugins int
	// Parallel is how many runs come at a time, at most.
	Parallel int
	// Cache is the folder of compiled modules, which exists and is the owner's;
	// empty for none.
	Cache string
	// Memory is the most that the process may take, in octets (RLIMIT_DATA); 0
	// leaves it as it is.
	Memory int64
}

// Load brings one plugin; its module is the frame's only file. The n-th Load is
// plugin n in Step.Plugin and Ready.Plugins, from 0 on.
type Load struct {
	ID     string
	SHA256 [32]byte
	Stages []abi.Stage
	// Imports are all functions of abi.Module that it may import; importing
	// another one is its load error.
	Imports []string
	// Effects are the kinds of effects that later plugins of a chain see among
	// their findings.
	Effects []abi.Kind
	// Memory is the most that one instance may have, in octets.
	Memory int64
	// Settings is an encoded abi.Settings.
	Settings []byte
	// Seed makes what "_initialize" gets from random differ from box to box.
	Seed [32]byte
}

// Run asks the chain about one event.
type Run struct {
	// ID is never used twice in one worker.
	ID uint64
	// Event is an encoded abi.Event; its findings are those of the plugins
	// before the first one of Chain, the worker adds those within it.
	Event []byte
	Chain []Step
	// HasFile tells that the message is the frame's only file. It is read with
	// pread from 0 on: others may hold the same open file.
	HasFile bool
}

// Step is one plugin of a chain.
type Step struct {
	Plugin int
	// Time is where its clock begins, in nanoseconds since 1970.
	Time int64
	// Seed is for its random octets.
	Seed [32]byte
}

// Answer answers an Ask.
type Answer struct {
	// ID is that of the Ask.
	ID uint64
	// Errno is 0 where Data is the encoded reply.
	Errno abi.Errno
	Data  []byte
}

// Cancel says that nobody waits for a run any longer. The worker begins no
// further step of it and ends it with a Result that has Last; which failure
// stands in it does not matter.
type Cancel struct{ ID uint64 }

// Loading says which plugin comes next: where the worker then dies or goes no
// further, it was that one. Plugins are compiled in their order, and after that
// started in their order.
type Loading struct {
	// Plugin is its number.
	Plugin int
	// Start tells that it is started: its code runs for the first time.
	Start bool
}

// Ready says that the worker loaded what it could and that its walls stand.
type Ready struct {
	// Plugins has one Loaded for each Load, in their order.
	Plugins []Loaded
	// Walls are those that stand, Missing those that do not, in words.
	Walls, Missing []string
	// Compiler tells that guests run as machine code, not in the interpreter.
	Compiler bool
}

// Loaded is what became of a Load.
type Loaded struct {
	// Error is why it is not there, in words; empty where it is.
	Error string
	// Took is the time of compiling (or of reading the cache) and of the first
	// instance.
	Took time.Duration
	// Pooled tells that its instances are reset and used again.
	Pooled bool
	// Memory is that of one instance after its start, in octets.
	Memory int64
}

// The failures of a step. The parent knows more of them.
const (
	// FailTrap: the guest trapped, or recursed too deep, or returned what is
	// not 0.
	FailTrap = "trap"
	// FailExit: it called proc_exit.
	FailExit = "exit"
	// FailMemory: it wanted more memory than it may have.
	FailMemory = "memory"
	// FailLoad: there is no instance of it.
	FailLoad = "load"
	// FailWorker: the worker could not do its part, such as reading the file.
	FailWorker = "worker"
	// FailCancelled: nobody waits for it any longer.
	FailCancelled = "cancelled"
)

// More brings a piece of the effects and changes of the next Result of its run.
// Pieces are appended to each other in the order of their coming, those of the
// Result last; the protocol buffers of abi allow that cutting between two
// elements of a list.
type More struct {
	Run      uint64
	Position int
	Effects  []byte
	Changes  []byte
}

// Result is what one step came to.
type Result struct {
	Run uint64
	// Position is the index of the step in Run.Chain.
	Position int
	// Failure is empty where the guest did its work, otherwise one of the Fail
	// constants, with Text for people.
	Failure, Text string
	// Effects is an encoded abi.Effects, Changes an encoded abi.KeysChange.
	Effects, Changes []byte
	// Log are the lines of the guest, abi.MaxLog octets in all.
	Log []string
	// Memory is what the instance had at its end, in octets.
	Memory int64
	// Took is the wall time of the step without waiting for answers.
	Took time.Duration
	// Last tells that no other Result of this run comes.
	Last bool
}

// Kind says what an Ask asks for.
type Kind uint8

// The kinds of an Ask.
const (
	// AskKeys: Data is an encoded abi.KeysRequest, the answer an abi.KeysReply.
	AskKeys Kind = iota + 1
	// AskDNS: abi.DNSRequest and abi.DNSReply.
	AskDNS
	// AskService: abi.ServiceRequest and abi.ServiceReply. Where the request has
	// With, the part in its view is the frame's only file, a sealed memfd.
	AskService
)

// Ask has a question that only the parent can answer.
type Ask struct {
	// ID is the worker's and not used for two questions at the same time.
	ID       uint64
	Run      uint64
	Position int
	Kind     Kind
	Data     []byte
	// HasFile tells that a file comes with it.
	HasFile bool
}
