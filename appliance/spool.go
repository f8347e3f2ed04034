package appliance

import (
	"bytes"
	"context"
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
func (b *Box) buildSpool(_ context.Context, out *deliver.Outbound, log maillog.Log) error {
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
	return nil
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

// Done implements sendmail.Intake.
func (s *spoolIntake) Done(ctx context.Context, name string) (bool, error) {
	_, err := s.core.store.Get(ctx, kindSpool, name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
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

// maxReported is how much of the beginning of a message is kept for a report.
const maxReported = 64 << 10

// Submit implements sendmail.Intake: recipients that cannot be are reported to
// the sender, the others get the message.
func (s *spoolIntake) Submit(ctx context.Context, m *sendmail.Spooled) error {
	kept := func(tx *store.Tx) error { return tx.Put(kindSpool, m.Name, nil) }
	now := time.Now()
	env := &envelope.Envelope{ID: envelope.NewID(now), From: m.Sender, SMTPUTF8: m.SMTPUTF8, Body: m.Body, EnvID: m.EnvID, Ret: m.Ret, Received: now}
	trace := s.log.NewTrace(env.ID)
	trace.Add(maillog.Authenticated{Account: m.User, Mechanism: "command"})
	trace.Add(maillog.Sender{From: m.Sender.String()})
	head := &beginning{}
	content := io.TeeReader(m.Content, head)

	refused, err := s.sort(ctx, env, m, trace)
	if err != nil {
		return err
	}
	if len(env.To) > 0 {
		err = s.take(ctx, env, trace, m, content, func(tx *store.Tx) error {
			if len(refused) > 0 {
				return nil // the report keeps it
			}
			return kept(tx)
		})
		if err != nil && reply.Of(err).Temporary() {
			s.keep(env.ID, trace.Entries())
			return err
		}
		if err != nil {
			for _, to := range env.To {
				refused = append(refused, failed(to, reply.Of(err)))
			}
		}
	} else if _, err := io.Copy(io.Discard, io.LimitReader(content, maxReported)); err != nil {
		return err
	}
	if len(refused) == 0 {
		return nil
	}
	return s.report(ctx, m, env, trace, head.b, refused, kept)
}

// sort puts recipients that can be into the envelope, and gives those that
// cannot. A sender who is nobody here is refused for all of them.
func (s *spoolIntake) sort(ctx context.Context, env *envelope.Envelope, m *sendmail.Spooled, trace *maillog.Trace) (refused []report.Recipient, err error) {
	people := submitters{s.core.accounts}
	if !m.Sender.IsNull() {
		local, err := people.Local(ctx, m.Sender)
		if err != nil {
			return nil, err
		}
		if !local {
			r := reply.New(553, "5.7.1", "not-yours", fmt.Sprintf("The sender <%s> is nobody's address here", m.Sender))
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
	st := s.out.Stage(ctx, env, trace, deliver.Author{Name: m.User, With: with})
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

// report tells the sender, or postmaster where the sender is nobody here, and
// notes in the same commit that the file was taken over. What a crash repeats
// is a report, never mail.
func (s *spoolIntake) report(ctx context.Context, m *sendmail.Spooled, env *envelope.Envelope, trace *maillog.Trace, head []byte, refused []report.Recipient, kept func(tx *store.Tx) error) error {
	to := m.Sender
	if local, err := (submitters{s.core.accounts}).Local(ctx, to); err != nil {
		return err
	} else if !local {
		to = envelope.Address{Local: "postmaster"}
	}
	ev := maillog.Reported{Action: string(report.Failed), To: to.String()}
	for _, r := range refused {
		ev.Recipients = append(ev.Recipients, r.Address.String())
	}
	now := time.Now()
	err := queue.ErrNobody
	if !m.Sender.IsNull() {
		var id envelope.ID
		id, err = s.reports.Report(ctx, to, report.Message(report.Notice{
			Kind: report.Failed, Hostname: s.config.Hostname, To: to, ID: envelope.NewID(now), Now: now, Message: env.ID, Sender: m.Sender,
			Arrival: m.Written, EnvID: m.EnvID, Ret: m.Ret, Header: header(head), SMTPUTF8: m.SMTPUTF8, Recipients: refused,
		}), kept)
		ev.Report = string(id)
	}
	if errors.Is(err, queue.ErrNobody) {
		ev.To, ev.Problem = "", "nobody can be told"
		err = s.core.store.Update(ctx, kept)
	}
	if err != nil {
		return err
	}
	before := len(trace.Entries())
	trace.Add(ev)
	if len(env.To) == 0 {
		before = 0 // nothing of it was kept yet
	}
	s.keep(env.ID, trace.Entries()[before:])
	return nil
}

// header cuts the beginning of a message at the end of its header.
func header(head []byte) []byte {
	if i := bytes.Index(head, []byte("\r\n\r\n")); i >= 0 {
		return head[:i+2]
	}
	return head
}

// beginning keeps the first octets of what is written to it.
type beginning struct{ b []byte }

// Write implements io.Writer.
func (w *beginning) Write(p []byte) (int, error) {
	if room := maxReported - len(w.b); room > 0 {
		w.b = append(w.b, p[:min(len(p), room)]...)
	}
	return len(p), nil
}
