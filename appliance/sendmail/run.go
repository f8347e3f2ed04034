package sendmail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"hauspost/appliance/message"
)

// Options say how the command was called.
type Options struct {
	Args []string
	In   io.Reader
	// Out takes listings and SMTP, Err the errors.
	Out, Err io.Writer
	// Private is the private folder of the box, to be made if only its parent
	// is there; empty if the caller may not use it. Drop is the drop folder
	// then.
	Private, Drop string
	// Caller is the user who called.
	Caller Caller
	// List lists the queue and gives an exit code.
	List func() int
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	fs filesystem
}

// Caller is a user of the machine.
type Caller struct {
	UID int
	// Name is the user name, Full the person's name or empty.
	Name, Full string
}

// Run is the command: it reads a message, or speaks SMTP, and puts messages into
// the spool. It gives an exit code of sysexits.h; 0 means that all that was
// taken is durable. When ctx ends, what is not complete is dropped.
func Run(ctx context.Context, o Options) int {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.fs == nil {
		o.fs = osFS{}
	}
	err := o.run(ctx)
	if err == nil {
		return ExitOK
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{code: ExitOSError, text: err.Error()}
	}
	if f.text != "" {
		fmt.Fprintln(o.Err, "sendmail:", f.text)
	}
	return f.code
}

func (o *Options) run(ctx context.Context) error {
	inv, bad := parse(o.Args)
	if bad != nil {
		if bad.code == ExitUsage {
			bad.text += "\n" + usage
		}
		return bad
	}
	switch inv.mode {
	case modeHelp:
		fmt.Fprintln(o.Out, usage)
		return nil
	case modeNothing:
		return nil
	case modeList:
		if code := o.List(); code != ExitOK {
			return &failure{code: code}
		}
		return nil
	}
	box, err := o.outbox()
	if err != nil {
		return err
	}
	if inv.mode == modeSMTP {
		return o.serve(ctx, box)
	}
	return interruptible(ctx, func(last func() bool) error { return o.deliver(box, inv, last) })
}

// interruptible runs fn until ctx ends. fn calls last before its last step,
// which makes the message durable, and stops if the answer is no: then it was
// told already that nothing was sent.
func interruptible(ctx context.Context, fn func(last func() bool) error) error {
	var decided atomic.Bool
	last := func() bool { return decided.CompareAndSwap(false, true) }
	done := make(chan error, 1)
	go func() { done <- fn(last) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	if !last() {
		return <-done
	}
	return fail(ExitTempFail, "interrupted, nothing was sent")
}

// outbox opens the folder that the caller may use.
func (o *Options) outbox() (*outbox, error) {
	box := &outbox{fs: o.fs, folder: o.Drop, uid: -1, gid: -1, now: o.Now}
	if o.Private == "" {
		if st, err := os.Stat(o.Drop); o.Drop == "" || err != nil || !st.IsDir() {
			return nil, &failure{code: ExitConfig, cause: err, text: fmt.Sprintf(
				"there is no folder where user %s could drop mail for the box: its owner makes one with `install -d -m 3733 %s`, as the user that runs the box; "+
					"or set HAUSPOST_DATA to the data folder of your box, or HAUSPOST_SPOOL to the drop folder", o.Caller.Name, or(o.Drop, DefaultDrop))}
		}
		return box, nil
	}
	box.folder, box.private = o.Private, true
	parent, err := os.Stat(filepath.Dir(o.Private))
	if err != nil {
		return nil, spoolFailure(o.Private, true, err)
	}
	owner, ok := parent.Sys().(*syscall.Stat_t)
	if ok && int(owner.Uid) != os.Geteuid() { // root: the files are for the box's user
		box.uid, box.gid = int(owner.Uid), int(owner.Gid)
	}
	if err := makePrivate(o.Private, box.uid, box.gid); err != nil {
		return nil, spoolFailure(o.Private, true, err)
	}
	return box, nil
}

// makePrivate makes the private folder where it is missing, for the user uid if
// that is not negative.
func makePrivate(folder string, uid, gid int) error {
	err := os.Mkdir(folder, privateMode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil && uid >= 0 {
		err = os.Chown(folder, uid, gid)
	}
	if err != nil {
		return err
	}
	return osFS{}.SyncDir(filepath.Dir(folder), nil)
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// deliver takes one message from the standard input.
func (o *Options) deliver(box *outbox, inv *invocation, last func() bool) error {
	facts := readFacts(box.folder)
	if inv.sender != nil && *inv.sender != "" && !facts.mayBe(*inv.sender) {
		return fail(ExitNoPerm, "the sender %s is not an address of this box", *inv.sender)
	}
	t := newText(o.In, !inv.ignoreDots, facts.MaxSize)
	header, rest, err := t.header()
	if err != nil {
		return o.unreadable(err)
	}
	head := o.head("sendmail")
	if head.To, err = inv.to(header); err != nil {
		return err
	}
	head.Sender, head.Ret, head.EnvID, head.Body = inv.sender, inv.ret, inv.envid, inv.body
	head.SMTPUTF8 = needsUTF8(&head)
	if inv.name != "" {
		head.Full = inv.name
	}
	d, err := box.create(head)
	if err != nil {
		return spoolFailure(box.folder, true, err)
	}
	if _, err = d.Write(header); err == nil {
		err = t.body(d, rest)
	}
	switch {
	case d.failed != nil:
		d.discard()
		return spoolFailure(box.folder, false, d.failed)
	case err != nil:
		d.discard()
		return o.unreadable(err)
	case !last():
		d.discard()
		return fail(ExitTempFail, "interrupted, nothing was sent")
	}
	if err := d.commit(t.eight); err != nil {
		return spoolFailure(box.folder, false, err)
	}
	return nil
}

// head begins the first line of a spool file.
func (o *Options) head(via string) header {
	return header{UID: o.Caller.UID, User: o.Caller.Name, Full: o.Caller.Full, Via: via}
}

// unreadable puts a fault of the message, or of reading it, into words.
func (o *Options) unreadable(err error) error {
	if errors.Is(err, errNul) || errors.Is(err, errHeader) || errors.Is(err, errTooLarge) {
		return &failure{code: ExitData, text: err.Error(), cause: err}
	}
	return &failure{code: ExitIO, text: "reading the message failed: " + err.Error(), cause: err}
}

// to gives the recipients of the arguments and, with -t, of the header.
func (inv *invocation) to(header []byte) ([]recipient, error) {
	all := inv.recipients
	if inv.extract {
		all = append(all, message.Recipients(header)...)
	}
	var to []recipient
	seen := map[string]bool{}
	for _, a := range all {
		if _, _, err := splitAddress(a); err != nil {
			return nil, fail(ExitData, "%.100q is not a mail address", a)
		}
		if !seen[a] {
			seen[a] = true
			to = append(to, recipient{Address: a, Notify: inv.notify})
		}
	}
	switch {
	case len(to) == 0:
		return nil, fail(ExitData, "the message names no recipients in To, Cc or Bcc")
	case len(to) > maxRecipients:
		return nil, fail(ExitData, "%d recipients are too many for one message, %d are the most", len(to), maxRecipients)
	}
	return to, nil
}

// needsUTF8 tells that an address of the envelope is not ASCII (RFC 6531).
func needsUTF8(h *header) bool {
	needs := func(s string) bool {
		addr, _, err := splitAddress(s)
		return err == nil && addr.NeedsUTF8()
	}
	for _, r := range h.To {
		if needs(r.Address) {
			return true
		}
	}
	return h.Sender != nil && needs(*h.Sender)
}
