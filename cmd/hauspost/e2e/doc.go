// Package e2e holds the tests of the whole box from outside: they build the
// real binary, run it, talk to it over real sockets, kill it, fill its disk,
// cut its power, and compare what it keeps with a ledger of what it promised.
//
// It has tests only. It must not import anything of ours: what it knows of a
// box it knows from the command line, SMTP, IMAP and the data folder, and from
// what arrives at a far end of its own (sink).
//
// Three sets of tests need different things:
//
//	go test ./cmd/hauspost/e2e                       Go alone
//	go test -tags faults ./cmd/hauspost/e2e          root, loop devices, tmpfs, ext4, strace
//	go test -tags clients ./cmd/hauspost/e2e         what install-clients.sh installs
//
// With a tag, what is missing is a failure: no test skips itself.
//
// Flags (after -args): -kills N is how often the box is killed, 20 by default;
// -cuts N how often its power is cut; -seed N repeats the choices of a run
// whose log printed that seed.
package e2e
