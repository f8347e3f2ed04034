package appliance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"hauspost/appliance/accounts"
	"hauspost/appliance/config"
	"hauspost/appliance/deliver"
	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/queue"
	"hauspost/appliance/reply"
	"hauspost/appliance/report"
	"hauspost/appliance/sendmail"
	"hauspost/appliance/transfer"
	"hauspost/store"
)

// buildSpool makes the part that takes up what the sendmail command left.
func (b *Box) buildSpool(out *deliver.Outbound, log maillog.Log) {
	c := b.config
	b.spool = sendmail.NewPicker(sendmail.PickerOptions{
		Private:   filepath.Join(b.dir, spoolFolder),
		Drop:      c.Sendmail.Folder,
		Intake:    &spoolIntake{core: b.core, out: out, reports: b.core.reports(c, log), config: c, log: log, keep: b.keep},
		Directory: b.core.accounts,
		Facts: func(ctx context.Context) (sendmail.Facts, error) {
			domains, err := b.core.accounts.Domains(ctx)
			return sendmail.Facts{Hostname: c.Hostname, MaxSize: int64(c.Mail.MaxSize),
				Domains: each(domains, func(d accounts.Domain) string { return d.Name })}, err
		},
		MessagesPerHour: c.Sendmail.MessagesPerHour,
		Logger:          b.logger,
	})
}

// kindSpool is the kind of the documents that tell which files of the spool
// were taken over: key is the file's name.
const kindSpool = "spool"

// spoolIntake takes messages of the spool into the outbound path.
type spoolIntake struct {
	core    *core
	out     *deliver.Outbound
	reports *deliver.Reports
	config  *config.Config
	log     maillog.Log
	keep    func(id envelope.ID, entries []maillog.Entry)
}

var _ sendmail.Intake = (*spoolIntake)(nil)

// Done implements sendmail.Intake. A report that was due when the box ended is
// delivered first.
func (s *spoolIntake) Done(ctx context.Context, name string) (bool, error) {
	raw, err := s.core.store.Get(ctx, kindSpool, name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil || len(raw) == 0 {
		return err == nil, err
	}
	var due dueReport
	if err := json.Unmarshal(raw, &due); err != nil {
		return false, fmt.Errorf("reading the report that is due for %s: %w", name, err)
	}
	return true, s.deliverReport(ctx, name, &due)
}

// Forget implements sendmail.Intake.
func (s *spoolIntake) Forget(ctx context.Context, name string) error {
	err := s.core.store.Update(ctx, func(tx *store.Tx) error { return tx.Delete(kindSpool, name) })
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// Names implements sendmail.Intake.
func (s *spoolIntake) Names(ctx context.Context) (names []string, err error) {
	err = s.core.store.List(ctx, kindSpool, func(key string, _ []byte) error {
		names = append(names, key)
		return nil
	})
	return names, err
}

// maxReported is how much of the beginning of a message is read to find its
// header for a report.
const maxReported = 64 << 10

// maxDue bounds a dueReport as it is kept, in octets: a document of the store has
// at most 1 MB. It is enough for some hundred recipients.
const maxDue = 1 << 20

// errManyWrong is what the other recipients get where there are more wrong ones
// than the commit that takes the message could also hold the report on.
var errManyWrong = reply.New(550, "5.5.3", "many-wrong-recipients", "So many of the recipients of this message cannot be that it was sent to nobody; please correct them")

// dueReport is the report on recipients that cannot be, kept with the file's
// name until it is delivered: in the commit that takes the message over, so
// that neither mail nor report is repeated or lost.
type dueReport struct {
	// Message is the ID of what is reported on.
	Message    envelope.ID      `json:"message"`
	To         envelope.Address `json:"to"`
	Recipients []string         `json:"recipients"`
	Content    []byte           `json:"content"`
}

// Submit implements sendmail.Intake: recipients that cannot be are reported to
// the sender, the others get the message.
func (s *spoolIntake) Submit(ctx context.Context, m *sendmail.Spooled) error {
	now := time.Now()
	env := &envelope.Envelope{ID: envelope.NewID(now), From: m.Sender, SMTPUTF8: m.SMTPUTF8, Body: m.Body, EnvID: m.EnvID, Ret: m.Ret, Received: now}
	trace := s.log.NewTrace(env.ID)
	trace.Add(maillog.Authenticated{Account: m.User, Mechanism: "command"})
	trace.Add(maillog.Sender{From: m.Sender.String()})
	content := bufio.NewReaderSize(m.Content, maxReported)
	head, err := content.Peek(maxReported)
	if err != nil && err != io.EOF {
		return err
	}
	head = bytes.Clone(header(head))

	refused, err := s.sort(ctx, env, m, trace)
	if err != nil {
		return err
	}
	due, err := s.prepareReport(ctx, m, env.ID, head, refused)
	if err != nil {
		return err
	}
	kept, err := due.encode()
	if err != nil {
		return err
	}
	if len(kept) > maxDue && len(env.To) > 0 {
		for _, to := range env.To {
			refused = append(refused, failed(to, errManyWrong))
			trace.Add(refusal("RCPT", to.Address, errManyWrong))
		}
		env.To = nil
		if due, err = s.prepareReport(ctx, m, env.ID, head, refused); err != nil {
			return err
		}
	}
	if len(env.To) > 0 {
		err := s.take(ctx, env, trace, m, content, func(tx *store.Tx) error { return tx.Put(kindSpool, m.Name, kept) })
		r := reply.Of(err)
		if err != nil {
			trace.Add(refusal("content", m.Sender, r))
			s.keep(env.ID, trace.Entries())
		}
		switch {
		case err == nil:
		case r.Temporary():
			return err
		default:
			for _, to := range env.To {
				refused = append(refused, failed(to, r))
			}
			if due, err = s.prepareReport(ctx, m, env.ID, head, refused); err != nil {
				return err
			}
		}
	} else {
		s.keep(env.ID, trace.Entries())
	}
	if due == nil {
		return nil
	}
	return s.deliverReport(ctx, m.Name, due)
}

// sort puts recipients that can be into the envelope, and gives those that
// cannot. A sender at a domain elsewhere is refused for all of them.
func (s *spoolIntake) sort(ctx context.Context, env *envelope.Envelope, m *sendmail.Spooled, trace *maillog.Trace) (refused []report.Recipient, err error) {
	people := submitters{s.core.accounts}
	if !m.Sender.IsNull() {
		_, err := s.core.accounts.Resolve(ctx, m.Sender)
		if err != nil && reply.Of(err).Temporary() {
			return nil, err
		}
		if err != nil && reply.Of(err).Name == reply.RelayDenied.Name {
			r := reply.New(553, "5.7.1", "not-yours", fmt.Sprintf("The sender <%s> is at no domain of this box", m.Sender))
			for _, to := range m.Recipients {
				refused = append(refused, failed(to, r))
			}
			trace.Add(refusal("MAIL", m.Sender, r))
			return refused, nil
		}
	}
	for _, to := range m.Recipients {
		switch err := people.Recipient(ctx, to.Address); {
		case err == nil:
			env.To = append(env.To, to)
			trace.Add(maillog.RecipientAccepted{To: to.Address.String()})
		case reply.Of(err).Temporary():
			return nil, err
		default:
			refused = append(refused, failed(to, reply.Of(err)))
			trace.Add(refusal("RCPT", to.Address, reply.Of(err)))
		}
	}
	return refused, nil
}

func refusal(verb string, addr envelope.Address, r *reply.Reply) maillog.Refused {
	return maillog.Refused{Verb: verb, Argument: addr.String(), Code: r.Code, Enhanced: r.Enhanced, Reason: r.Name, Text: r.Text}
}

func failed(to envelope.Recipient, r *reply.Reply) report.Recipient {
	return report.Recipient{Address: to.Address, ORcpt: to.ORcpt, Outcome: transfer.Outcome{
		Status: transfer.Failed, Scope: transfer.ScopeRecipient, Name: r.Name, Enhanced: r.Enhanced, Answer: r.Text}}
}

// take hands the message to the outbound path.
func (s *spoolIntake) take(ctx context.Context, env *envelope.Envelope, trace *maillog.Trace, m *sendmail.Spooled, content io.Reader, with func(tx *store.Tx) error) error {
	st := s.out.Stage(ctx, env, trace, deliver.Author{Name: m.User, House: true, With: with})
	defer st.Discard()
	n, err := io.Copy(writerOnly{st}, content)
	if err != nil {
		return err
	}
	trace.Add(maillog.Received{Size: n, Via: m.Via})
	return st.Commit(ctx)
}

// writerOnly keeps io.Copy from looking for other methods.
type writerOnly struct{ io.Writer }

// prepareReport makes the report to the sender, or to postmaster where the
// sender is nobody here. It is nil where there is nothing to report.
func (s *spoolIntake) prepareReport(ctx context.Context, m *sendmail.Spooled, id envelope.ID, head []byte, refused []report.Recipient) (*dueReport, error) {
	if len(refused) == 0 {
		return nil, nil
	}
	due := &dueReport{Message: id, To: m.Sender}
	for _, r := range refused {
		due.Recipients = append(due.Recipients, r.Address.String())
	}
	if m.Sender.IsNull() {
		return due, nil
	}
	local, err := submitters{s.core.accounts}.Local(ctx, m.Sender)
	if err != nil {
		return nil, err
	}
	if !local {
		due.To = envelope.Address{Local: "postmaster"}
	}
	now := time.Now()
	due.Content = report.Message(report.Notice{
		Kind: report.Failed, Hostname: s.config.Hostname, To: due.To, ID: envelope.NewID(now), Now: now, Message: id, Sender: m.Sender,
		Arrival: m.Written, EnvID: m.EnvID, Ret: m.Ret, Header: head, SMTPUTF8: m.SMTPUTF8, Recipients: refused,
	})
	return due, nil
}

// encode makes what is kept with the name of a file that was taken over: the
// report that is due, if any.
func (d *dueReport) encode() ([]byte, error) {
	if d == nil {
		return nil, nil
	}
	return json.Marshal(d)
}

// deliverReport delivers a report and notes in the same commit that it is not
// due any more.
func (s *spoolIntake) deliverReport(ctx context.Context, name string, due *dueReport) error {
	done := func(tx *store.Tx) error { return tx.Put(kindSpool, name, nil) }
	ev := maillog.Reported{Action: string(report.Failed), To: due.To.String(), Recipients: due.Recipients}
	err := queue.ErrNobody
	if len(due.Content) > 0 {
		var id envelope.ID
		id, err = s.reports.Report(ctx, due.To, due.Content, done)
		ev.Report = string(id)
	}
	if errors.Is(err, queue.ErrNobody) {
		ev.To, ev.Problem = "", "nobody can be told"
		err = s.core.store.Update(ctx, done)
	}
	if err != nil {
		return fmt.Errorf("reporting on message %s: %w", due.Message, err)
	}
	s.keep(due.Message, []maillog.Entry{s.log.Emit(due.Message, ev)})
	return nil
}

// header cuts the beginning of a message at the end of its header.
func header(head []byte) []byte {
	if i := bytes.Index(head, []byte("\r\n\r\n")); i >= 0 {
		return head[:i+2]
	}
	return head
}
