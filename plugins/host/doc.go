// Package host asks plugins: it is the outer of the two walls around them, on
// the side of the mail process. It starts workers, hands them events, keeps
// their time, answers what their guests ask for, and judges what they propose
// against what the owner granted.
//
// It must not import appliance, store or the WebAssembly runtime: no guest runs
// on this side of the wall, and what is guarded is not inside.
//
// # Workers
//
// A pool belongs to one chain of plugins; Use makes a new one and lets the
// old one finish what it has begun. One worker serves the messages, several at
// a time. One in which a plugin makes no progress for the soft limit is
// suspect: another worker is started, which gets the new messages once it is
// ready. At the hard limit the suspect is killed. The plugin whose time ran out
// has a timeout; its chain goes on with the next plugin elsewhere. What else
// was under way is innocent and done again, once, from the plugin on at which
// it stood, alone in a careful worker: whatever happens there is the plugin's
// own doing. The same is done with everything that a worker had when it died
// by itself. Effects and changes come with the result of a plugin, so that
// doing something again does nothing twice.
//
// What comes from a worker is hostile: frames out of turn, about unknown runs
// or with files that nobody asked for are its end.
package host
