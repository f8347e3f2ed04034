// Package abi is the plugin interface of Hauspost, version 1: this comment and
// plugin_v1.proto beside it are its specification, the rest is the vocabulary
// in Go with a small codec for it, which host and guests share.
//
// It must import nothing but the standard library, and no package of that
// which makes a guest large (fmt, encoding/json, reflect).
//
// # A guest
//
// A plugin is a WebAssembly module (core specification 2.0 without threads)
// that exports its memory as "memory" and one function for each stage that it
// serves:
//
//	on_connect   a peer connected to port 25; nothing was said yet
//	on_mail      MAIL FROM at port 25
//	on_rcpt      one RCPT TO at port 25, for a recipient that is here
//	on_message   the whole message is here, and nobody was told 250 yet
//	on_submit    one of the house submits a message
//	on_delivery  a message is in somebody's mailbox; too late to stop it
//	on_feedback  a person moved a message to the junk mailbox, or out of it
//	on_timer     the time of the manifest has passed
//
// Each has the type () -> i32. 0 means that the guest did its work; anything
// else, like a trap, means that it failed: its effects and changes are dropped
// and the host does what the owner wants for failures of this plugin. The host
// calls "_initialize" once where it is exported, before anything else.
//
// Between two calls a guest forgets everything: memory and globals are set
// back to what they were after "_initialize". What shall last goes through
// keys_change.
//
// A guest may import functions of the module "hauspost_v1" (below) and of
// "wasi_snapshot_preview1", of which clock_time_get, random_get, fd_write to
// 1 and 2 (they go to the log), proc_exit (a failure), sched_yield and
// poll_oneoff on clocks work; arguments and environment are empty and all else
// returns ENOSYS or EBADF. Nothing else can be imported.
//
// # Host calls
//
// All numbers are i32 but for those marked; ptr, len and cap speak of octets in
// the guest's memory. A call returns a length (or 0) or a negative Errno, and
// never allocates in the guest. Where a result does not fit into cap nothing is
// written: the length is returned all the same, and the guest asks again with
// more room; only part_read gives as much as fits. Requests and results are
// messages of plugin_v1.proto.
//
//	event(buf, cap)                          Event: what this call is about
//	settings(buf, cap)                       Settings: the owner's, for this plugin
//	header(buf, cap)                         the header as it came, at most MaxHeader octets
//	parts(buf, cap)                          Parts: the MIME structure
//	part_read(part, view, offset i64, buf, cap)
//	                                         octets of a part from offset on; 0 at its end
//	keys_get(req, len, buf, cap)             KeysRequest → KeysReply
//	keys_change(req, len)                    KeysChange
//	dns(req, len, buf, cap)                  DNSRequest → DNSReply
//	service(req, len, buf, cap)              ServiceRequest → ServiceReply
//	reply(buf, cap)                          the last reply of keys_get, dns or service again
//	effects(req, len)                        Effects: what the guest proposes; several calls add up
//	log(level, ptr, len)                     a line for the trace: 0 debug, 1 info, 2 warning, 3 error
//	clock() -> i64                           nanoseconds since 1970, of the call's time
//	random(buf, len)                         random octets
//
// header needs the grant "header", parts and part_read "body", keys_get and
// keys_change "keys", dns "dns" for the zone of each name, service "services"
// for its name. A module that imports a function without any grant for it is
// not loaded. Effects of a kind without a grant are dropped, which the trace
// says.
//
// Clock and random numbers can be replayed: during a call the clock begins with
// the time of its event and advances only by being asked, random octets come
// from a seed that is kept with the message's trace.
//
// # Keys
//
// A plugin has keys of its own, which no other sees. A change is set (a value),
// add (to a counter) or delete, each with a time to live. Changes are seen at
// once by the call that made them, and kept only when the message that it was
// made for is taken: in the same commit. For stages without a message they are
// kept when the call ends well.
//
// # Effects
//
// A guest proposes and the host decides: it clamps, weighs and sums scores,
// compares the sum with the owner's thresholds, takes the strongest stop, and
// refuses what was not granted. No effect means: nothing to say. See Effect.
//
// # Sizes
//
// See the Max constants. Over a limit a call returns ErrTooBig, a guest that
// makes more than MaxCalls host calls for one event gets ErrBudget for each one
// more.
//
// # Versions
//
// The module name of the imports is the version. What is added to version 1 is
// added so that older guests do not notice: new functions, new fields in
// messages (unknown ones are to be ignored by both sides), new effects, new
// stages. What would break them is a new module, "hauspost_v2", which the host
// serves beside this one.
package abi
