package deliver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/message"
	"hauspost/appliance/queue"
	"hauspost/appliance/reply"
	"hauspost/appliance/report"
	"hauspost/appliance/senderauth"
	"hauspost/appliance/transfer"
	"hauspost/store"
)

// OutboundOptions are the parts of the outbound path.
type OutboundOptions struct {
	Store     *store.Store
	Directory Directory
	// Owns tells whether an address belongs to the account with an ID: its own,
	// aliases that lead to it, plus-addresses.
	Owns func(ctx context.Context, account string, addr envelope.Address) (bool, error)
	// Keys gives the DKIM keys of a domain, none where it has none. nil means
	// that nothing is signed.
	Keys func(ctx context.Context, domain string) ([]senderauth.Key, error)
	// SentAfter gives after how long a copy is filed for the account with an
	// ID where its mail program saved none; 0 means never. nil likewise.
	SentAfter func(ctx context.Context, account string) time.Duration
	// Wake tells the queue of new rows.
	Wake func(rows []store.Queued)
	// Told, if set, is called with what went into mailboxes. It must not wait.
	Told func(Delivered)
	// Reports tells authors who asked for it (NOTIFY=SUCCESS) that people here
	// have the message; what leaves the house is reported on by the queue.
	Reports *Reports
	// Scanner may be nil: no filters.
	Scanner Scanner
	// Policy gives the owner's settings for filters as they are now; nil means
	// the zero Policy.
	Policy func() Policy
	// Hostname is the box's own name, for Received and Message-ID.
	Hostname string
	// HideClient leaves the client's name and address out of Received.
	HideClient bool
	Log        maillog.Log
	// Now may be nil (time.Now).
	Now func() time.Time
	// MaxHops is DefaultMaxHops where it is 0.
	MaxHops int
}

// Outbound takes messages of the box's people to where they go: to mailboxes
// here and into the queue.
type Outbound struct{ o OutboundOptions }

// NewOutbound makes the path from its parts.
func NewOutbound(o OutboundOptions) *Outbound {
	if o.Scanner == nil {
		o.Scanner = NoFilters{}
	}
	if o.Policy == nil {
		o.Policy = func() Policy { return Policy{} }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxHops == 0 {
		o.MaxHops = DefaultMaxHops
	}
	if o.SentAfter == nil {
		o.SentAfter = func(context.Context, string) time.Duration { return 0 }
	}
	return &Outbound{o}
}

// Author is who submits a message.
type Author struct {
	// Account is the ID of the account that signed in; empty for a trusted
	// network and for the sendmail command, which may write for everybody of
	// the box.
	Account string
	// House tells that also addresses that nobody has are the author's, as long
	// as they are at a domain of the box: programs write as noreply@.
	House bool
	// Name is what the author is called in answers: the login name.
	Name string
	// With, if set, is done in the commit that takes the message; see
	// store.Store.Update.
	With func(tx *store.Tx) error
}

// Stage opens a place for the content of a message. Exactly one of Commit and
// Discard ends it.
func (out *Outbound) Stage(ctx context.Context, env *envelope.Envelope, trace *maillog.Trace, by Author) *Submission {
	return &Submission{out: out, ctx: ctx, env: env, trace: trace, by: by, content: out.o.Store.Stage()}
}

// Submission is one message whose content is coming in.
type Submission struct {
	out     *Outbound
	ctx     context.Context
	env     *envelope.Envelope
	trace   *maillog.Trace
	by      Author
	content *store.Staged

	// waiting is the header until it is whole; then it is nil and the rest
	// streams through to the content and the signer.
	waiting []byte
	begun   bool
	header  message.Outgoing
	// messageID is that of the message, also where it was added.
	messageID string
	from      envelope.Address
	// reported is the header as it goes out, for reports.
	reported  []byte
	signer    *senderauth.Signer
	selectors []string
	// with is done in the commit that takes the message.
	with []func(tx *store.Tx) error
	// verdict is the last one: of the filters of what arrives, where they were
	// asked.
	verdict *envelope.Verdict
}

// Write takes the next octets of the content. Its errors are *reply.Reply.
func (m *Submission) Write(p []byte) (int, error) {
	take := m.pass
	if !m.begun {
		take = m.gather
	}
	if err := take(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// pass takes octets that go out as they are.
func (m *Submission) pass(p []byte) error {
	if m.signer != nil {
		if _, err := m.signer.Write(p); err != nil {
			return reply.LocalError.Because(fmt.Errorf("signing: %w", err))
		}
	}
	if _, err := m.content.Write(p); err != nil {
		return reply.StorageError.Because(err)
	}
	return nil
}

// Discard drops the message.
func (m *Submission) Discard() { m.content.Discard() }

// Commit takes the message to where it goes. nil means that it is durable in
// mailboxes and queue and that the client may be told 250; any error is a
// *reply.Reply, and nothing of the message is left.
func (m *Submission) Commit(ctx context.Context) error {
	defer m.content.Discard()
	if !m.begun {
		if err := m.begin(len(m.waiting)); err != nil {
			return err
		}
	}

	account := ""
	if m.by.Account != "" {
		account = m.by.Name
	}
	seen, err := m.filters().ask(ctx, true, account, m.env.Runs)
	if err != nil {
		return err
	}
	m.with, m.verdict = append(m.with, m.by.With, seen.with), &seen.verdict

	signature, err := m.sign()
	if err != nil {
		return err
	}
	r, fields, err := m.route(ctx, &seen.verdict)
	if err != nil {
		return err
	}
	if seen.verdict.Action != envelope.Discard {
		m.fileLater(ctx, r)
	}
	return m.store(ctx, r, signature, fields)
}

// sign ends the signature and gives its fields, none where nothing is signed.
func (m *Submission) sign() ([]byte, error) {
	if m.signer == nil {
		return nil, nil
	}
	fields, err := m.signer.Sign()
	if err != nil {
		return nil, reply.LocalError.Because(fmt.Errorf("signing: %w", err))
	}
	m.trace.Add(maillog.Signed{Domain: m.from.Domain, Selectors: m.selectors})
	return fields, nil
}

// The row for Sent keeps at most these octets of a Message-ID, which is a line
// of RFC 5322, and of Bcc: the store's rows are bounded, and no mail is refused
// for the sake of its copy.
const (
	maxMessageID = 998
	maxBcc       = 8 << 10
)

// fileLater adds the row that has a copy filed in the author's Sent mailbox.
// There is none where the Message-ID is too long to find a copy by it; the copy
// is without Bcc where that is too long.
func (m *Submission) fileLater(ctx context.Context, r *routes) {
	if m.by.Account == "" || len(m.messageID) > maxMessageID {
		return
	}
	after := m.out.o.SentAfter(ctx, m.by.Account)
	if after <= 0 {
		return
	}
	bcc := string(m.header.Bcc)
	if len(bcc) > maxBcc {
		bcc = ""
	}
	now := m.out.o.Now()
	r.items = append(r.items, queue.Item{
		Kind: queue.KindSent, Destination: queue.SentDestination, Account: m.by.Account,
		Sender: m.env.From, Added: now, Due: now.Add(after),
		MessageID: m.messageID, Bcc: bcc,
	})
}

// store makes the message durable and visible, wakes the queue, and completes
// the trace.
func (m *Submission) store(ctx context.Context, r *routes, signature []byte, fields []envelope.Field) error {
	o := &m.out.o
	for i := range r.items {
		item := &r.items[i]
		item.Account = m.by.Account
		item.TLSOptional = m.header.TLSOptional && !item.RequireTLS
	}
	prefix := appendFields(submissionHeader(m.env, signature, o.Hostname, o.HideClient, o.Now()), fields)
	c := commit{store: o.Store, env: m.env, trace: m.trace, wake: o.Wake, told: o.Told, verdict: m.verdict, with: m.with}
	if err := c.run(ctx, m.content, prefix, r); err != nil {
		return err
	}
	m.reportDelivered(ctx, r)
	return nil
}

// reportDelivered sends the report of RFC 3461, section 5.2.2. The message is
// kept whatever becomes of it.
func (m *Submission) reportDelivered(ctx context.Context, r *routes) {
	o := &m.out.o
	var told []report.Recipient
	for _, p := range r.placements {
		if slices.Contains(strings.Split(p.recipient.Notify, ","), "SUCCESS") {
			told = append(told, report.Recipient{Address: p.recipient.Address, ORcpt: p.recipient.ORcpt,
				Outcome: transfer.Outcome{Status: transfer.Delivered, Enhanced: "2.1.5"}, LastAttempt: o.Now()})
		}
	}
	if len(told) == 0 || m.env.From.IsNull() || o.Reports == nil {
		return
	}
	now := o.Now()
	content := report.Message(report.Notice{
		Kind: report.Delivered, Hostname: o.Hostname, To: m.env.From, ID: envelope.NewID(now), Now: now,
		Message: m.env.ID, Sender: m.env.From, Arrival: m.env.Received, EnvID: m.env.EnvID, Ret: m.env.Ret,
		Header: m.reported, SMTPUTF8: m.env.SMTPUTF8, Recipients: told,
	})
	ev := maillog.Reported{Action: string(report.Delivered), To: m.env.From.String()}
	for _, t := range told {
		ev.Recipients = append(ev.Recipients, t.Address.String())
	}
	id, err := o.Reports.Report(ctx, m.env.From, content, nil)
	ev.Report = string(id)
	if err != nil {
		ev.To, ev.Problem = "", err.Error()
	}
	before := len(m.trace.Entries())
	m.trace.Add(ev)
	if err := keepTrace(o.Store, m.env.ID, m.trace, before); err != nil && o.Log.Logger != nil {
		o.Log.Logger.Warn("the trace of a message could not be completed", "id", m.env.ID, "error", err.Error())
	}
}
