package deliver

import (
	"context"
	"errors"
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

// messageOf shows staged content to filters.
func messageOf(env *envelope.Envelope, st *store.Staged) *Message {
	return &Message{Envelope: env, Head: st.Head(), Size: st.Size(), Content: func(w io.Writer) error {
		if st.Size() > int64(len(st.Head())) {
			return errors.New("the content is too large to be shown to filters")
		}
		_, err := w.Write(st.Head())
		return err
	}}
}

// filters asks a Scanner and decides.
type filters struct {
	scanner Scanner
	policy  func() Policy
	now     func() time.Time
	trace   *maillog.Trace
}

// seen is what came of asking.
type seen struct {
	verdict envelope.Verdict
	with    func(tx *store.Tx) error
}

// ask asks the filters and decides. A message that is refused comes with the
// refusal as a *reply.Reply.
func (f *filters) ask(ctx context.Context, m *Message) (*seen, error) {
	n := f.scanner.Filters(m.Outgoing)
	scan := &Scan{}
	if n > 0 {
		var err error
		if scan, err = f.scanner.Scan(ctx, m); err != nil {
			return nil, reply.LocalError.Because(fmt.Errorf("filtering: %w", err))
		}
	}
	runs := slices.Concat(m.Envelope.Runs, scan.Runs)
	v := Decide(f.policy(), m.Envelope.Facts, runs, f.now())
	f.trace.Add(maillog.Scanned{Filters: n})
	f.trace.Add(maillog.Decided{Verdict: v})
	switch v.Action {
	case envelope.Reject:
		return nil, reply.New(550, "5.7.1", "filtered", "This message was not accepted by a filter here").Because(errors.New(v.Reason.Text))
	case envelope.Tempfail:
		return nil, reply.New(451, "4.7.1", "filtered-for-now", "This message cannot be checked just now, please try again later").Because(errors.New(v.Reason.Text))
	}
	return &seen{verdict: v, with: scan.With}, nil
}
