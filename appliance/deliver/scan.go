package deliver

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
	"hauspost/store"
)

// Scanner runs the filters over a message. The zero number of filters is a
// Scanner like any other: it proposes nothing, and the trace says so.
type Scanner interface {
	// Filters is how many filters look at mail that leaves (outgoing) or
	// arrives. Where it is 0 nothing is scanned.
	Filters(outgoing bool) int
	// Scan asks the filters. What a filter could not do is in its run; an error
	// means that the filters as a whole did not work, and the message is put
	// off.
	Scan(ctx context.Context, m *Message) (*Scan, error)
}

// Message is what filters may see. It is valid until Scan returns.
type Message struct {
	Envelope *envelope.Envelope
	// Head are the first octets of the content, at most 256 KB, with the
	// header at their start.
	Head []byte
	// Size is that of the content, in octets.
	Size int64
	// Content writes the whole content to w. It can be asked more than once.
	Content func(w io.Writer) error
	// Outgoing tells of a message that one of the box's people submits, Account
	// the address by which that one signed in: empty for a trusted network and
	// for the sendmail command.
	Outgoing bool
	Account  string
}

// Scan is what the filters did about a message.
type Scan struct {
	// Runs has one for each filter, in the order in which they were asked.
	Runs []envelope.Run
	// With, if set, is done in the commit that takes the message, also where it
	// is discarded: what the filters want to remember. It is not done for a
	// message that is refused.
	With func(tx *store.Tx) error
}

// NoFilters is the Scanner of a box without filters.
type NoFilters struct{}

// Filters implements Scanner.
func (NoFilters) Filters(bool) int { return 0 }

// Scan implements Scanner.
func (NoFilters) Scan(context.Context, *Message) (*Scan, error) { return &Scan{}, nil }

// filters asks a Scanner and decides.
type filters struct {
	store   *store.Store
	scanner Scanner
	policy  func() Policy
	now     func() time.Time
	env     *envelope.Envelope
	content *store.Staged
	trace   *maillog.Trace
}

// seen is what came of asking.
type seen struct {
	verdict envelope.Verdict
	with    func(tx *store.Tx) error
}

// ask asks the filters of what leaves (for the account of that address) or
// arrives, and decides, with early, what filters did before the content came. A
// message that is refused comes with the refusal as a *reply.Reply.
func (f *filters) ask(ctx context.Context, outgoing bool, account string, early []envelope.Run) (*seen, error) {
	n := f.scanner.Filters(outgoing)
	scan := &Scan{}
	if n > 0 {
		var err error
		m := &Message{Envelope: f.env, Head: f.content.Head(), Size: f.content.Size(), Content: f.copyTo, Outgoing: outgoing, Account: account}
		if scan, err = f.scanner.Scan(ctx, m); err != nil {
			return nil, reply.LocalError.Because(fmt.Errorf("filtering: %w", err))
		}
	}
	p := f.policy()
	runs := slices.Concat(early, scan.Runs)
	if err := f.sinceWhen(ctx, &p, runs); err != nil {
		return nil, reply.StorageError.Because(err)
	}
	if len(runs) == 0 {
		f.trace.Add(maillog.Scanned{Filters: n})
	}
	for i := range runs {
		// Of the many that were asked for each recipient most have nothing to say.
		if i >= len(early) || !silent(&runs[i]) {
			f.trace.Add(maillog.Filtered{Run: runs[i]})
		}
	}
	if outgoing {
		p.JunkAt = 0
	}
	v := Decide(p, f.env.Facts, runs, f.now())
	if outgoing {
		unfile(&v)
	}
	f.trace.Add(maillog.Decided{Verdict: v})
	if refused := refusal(v.Action, v.Reason); refused != nil {
		return nil, refused
	}
	return &seen{verdict: v, with: scan.With}, nil
}

// unfile takes out what has no meaning for what leaves. That its parts for
// people here arrive is another verdict's matter.
func unfile(v *envelope.Verdict) {
	files := v.Mailbox != "" || len(v.Tags) > 0
	v.Mailbox, v.Tags = "", nil
	for i := range v.Recipients {
		d := &v.Recipients[i]
		files = files || d.Mailbox != "" || len(d.Tags) > 0
		d.Mailbox, d.Tags = "", nil
	}
	if files {
		v.Ignored = append(v.Ignored, "mailboxes and tags are for mail that arrives")
	}
}

// copyTo writes the content.
func (f *filters) copyTo(w io.Writer) error {
	r, err := f.content.Content()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.Copy(w, r); err != nil {
		return fmt.Errorf("showing a message to filters: %w", err)
	}
	return nil
}

// silent tells of a run that nobody needs to read about.
func silent(r *envelope.Run) bool {
	return len(r.Effects)+len(r.Dropped)+len(r.Log) == 0 && r.Failure == ""
}
