package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/report"
	"hauspost/appliance/transfer"
	"hauspost/store"
)

// postmaster stands for the box's own (RFC 5321, section 4.5.1).
var postmaster = envelope.Address{Local: "postmaster"}

// addressee says who is told that a happened to a row (RFC 3461). problem says
// why nobody is, where somebody should have been.
func addressee(it *Item, a report.Action) (to envelope.Address, told bool, problem string) {
	if it.Kind == KindSent {
		return to, false, ""
	}
	if it.Kind == KindForward {
		// Its sender is a stranger and did not ask this box for anything; and
		// mail with a forged sender must not be answered to its victim.
		return postmaster, a == report.Failed, ""
	}
	wanted := it.wants(a)
	switch {
	case a != report.Failed:
		return it.Sender, wanted && it.Kind != KindReport && !it.Sender.IsNull(), ""
	case it.Kind == KindReport:
		return to, false, "it is a report itself"
	case it.Sender.IsNull():
		return to, false, "its sender is <>"
	case !wanted:
		return to, false, "its sender asked not to be told"
	}
	return it.Sender, true, ""
}

// wants tells whether the parameter NOTIFY asks for a report; without it
// failures and delays are told, success is not (RFC 3461, section 4.1).
func (it *Item) wants(a report.Action) bool {
	if it.Recipient.Notify == "" {
		return a == report.Failed || a == report.Delayed
	}
	word := map[report.Action]string{report.Failed: "FAILURE", report.Delayed: "DELAY", report.Relayed: "SUCCESS"}[a]
	for w := range strings.SplitSeq(it.Recipient.Notify, ",") {
		if strings.EqualFold(strings.TrimSpace(w), word) {
			return true
		}
	}
	return false
}

// notice is one report that is to go out, with the rows that it is about.
type notice struct {
	action  report.Action
	to      envelope.Address
	content []byte
	about   []*verdict
}

// notices makes the reports that verdicts on rows of one message call for: at
// most one of each kind. The order is that in which they are committed: first
// those about rows that must not be sent again.
func (q *Queue) notices(ctx context.Context, vs []verdict, res *transfer.Result, c *content) (list []*notice, untold []maillog.Event) {
	for _, action := range []report.Action{report.Relayed, report.Failed, report.Delayed} {
		n := &notice{action: action}
		var silent []string
		var why string
		for i := range vs {
			v := &vs[i]
			concerns := action == report.Relayed && v.fate == fateDelivered && !v.outcome.RelaysDSN ||
				action == report.Failed && (v.fate == fateFailed || v.fate == fateExpired) ||
				action == report.Delayed && v.delay
			if !concerns {
				continue
			}
			to, told, problem := addressee(v.item, action)
			if told {
				n.to, n.about = to, append(n.about, v)
			} else if problem != "" {
				silent, why = append(silent, v.row.Recipient), problem
			}
		}
		if len(silent) > 0 {
			untold = append(untold, maillog.Reported{Action: string(action), Recipients: silent, Problem: why})
		}
		if len(n.about) > 0 {
			q.write(ctx, n, res, c)
			list = append(list, n)
		}
	}
	return list, untold
}

// write makes the text of a notice.
func (q *Queue) write(ctx context.Context, n *notice, res *transfer.Result, c *content) {
	first := n.about[0]
	it, now := first.item, q.o.Now()
	if c == nil {
		// Without it the report only lacks the message.
		if opened, err := q.openContent(ctx, &first.row, it.Header); err == nil {
			c = opened
		}
	}
	notice := report.Notice{
		Kind: n.action, Hostname: q.o.Hostname, To: n.to, ID: envelope.NewID(now), Now: now,
		Message: it.Message, Sender: it.Sender, Arrival: it.Added, EnvID: it.EnvID, Ret: it.Ret,
		MaxContent: q.o.Limits.Returned, SMTPUTF8: it.SMTPUTF8, Alias: it.Alias,
	}
	notice.Header, notice.Content = c.original(ctx)
	if it.Kind != KindForward {
		notice.Alias = envelope.Address{}
	}
	for _, v := range n.about {
		r := report.Recipient{
			Address: v.item.Recipient.Address, ORcpt: v.item.Recipient.ORcpt, Outcome: v.outcome,
			Expired: v.fate == fateExpired, Host: res.Host, LastAttempt: now, Note: res.Note,
		}
		if n.action == report.Delayed {
			left := q.o.Limits.Expiry - time.Duration(v.next.Counted)*time.Millisecond
			r.RetryUntil = now.Add(max(0, left))
		}
		notice.Recipients = append(notice.Recipients, r)
	}
	n.content = report.Message(notice)
}

// reportTries is how often a report is tried before its rows go on without it.
const reportTries = 3

// tell delivers a notice in one commit with the verdicts that it is about and
// with the rest, which does not wait where the report fails at first. Where a
// report cannot be delivered though the store can be written, rows that failed
// stay and are tried again later, and the other news is dropped: no failure goes
// untold, and nothing that was delivered is sent again.
func (q *Queue) tell(ctx context.Context, n *notice, rest []*verdict, k *lesson) maillog.Event {
	ev := maillog.Reported{Action: string(n.action), To: n.to.String()}
	for _, v := range n.about {
		ev.Recipients = append(ev.Recipients, v.row.Recipient)
		if n.action == report.Delayed {
			v.next.Delayed = true
		}
	}
	vs, tries := append(rest, n.about...), 0
	with := q.apply(vs, k)
	err := q.persist(ctx, func() error {
		id, err := q.o.Reports.Report(context.WithoutCancel(ctx), n.to, n.content, with)
		switch {
		case err == nil:
			ev.Report, ev.Problem = string(id), ""
			return nil
		case errors.Is(err, ErrNobody):
			ev.To, ev.Problem = "", "nobody can get this report"
			return q.update(ctx, with)
		}
		if tries++; tries == 1 && len(vs) > len(n.about) && q.update(ctx, q.apply(rest, k)) == nil {
			vs, with = n.about, q.apply(n.about, nil)
		}
		if tries < reportTries {
			return fmt.Errorf("delivering a report to <%s>: %w", n.to, err)
		}
		ev.To, ev.Problem = "", "the report could not be delivered: "+err.Error()
		for _, v := range n.about {
			switch n.action {
			case report.Failed:
				v.fate = fateDeferred
				v.next.Step++
				v.next.Due = q.o.Now().Add(recipientInterval(v.outcome, v.item.Step, q.o.Random()))
				v.next.Note = cut(v.next.Note + "; " + ev.Problem)
			case report.Delayed:
				v.next.Delayed = false
			}
		}
		return q.update(ctx, with)
	})
	if err != nil {
		q.abandoned(vs, err)
	}
	return ev
}

// tellPostmaster writes to the owner that rows are held because their message
// cannot be read.
func (q *Queue) tellPostmaster(ctx context.Context, rows []queued, cause error) {
	now, host := q.o.Now(), q.o.Hostname
	var b strings.Builder
	fmt.Fprintf(&b, "From: <postmaster@%s>\r\nTo: <postmaster@%s>\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n", host, host,
		now.Format("Mon, 02 Jan 2006 15:04:05 -0700"), envelope.NewID(now), host)
	b.WriteString("Subject: A message in the queue cannot be read\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n")
	b.WriteString("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	it := rows[0].item
	fmt.Fprintf(&b, "The file of message %s cannot be read, so it could not be sent:\r\n\r\n    %s\r\n\r\n", it.Message, transfer.Sanitize(cause.Error()))
	fmt.Fprintf(&b, "From: %s\r\n", it.Sender)
	for _, r := range rows {
		fmt.Fprintf(&b, "To:   %s (number %d)\r\n", r.row.Recipient, r.row.ID)
	}
	b.WriteString("\r\nIt is held in the queue. `hauspost store verify` says what else is damaged. If the file comes\r\n")
	b.WriteString("back from a backup, `hauspost queue release` sends it; `hauspost queue drop` gives it up.\r\n")
	_, err := q.o.Reports.Report(context.WithoutCancel(ctx), postmaster, []byte(b.String()), func(*store.Tx) error { return nil })
	if err != nil {
		q.log.Error("postmaster could not be told of a message that cannot be read", "id", it.Message, "error", err)
	}
}

// messageID is that of a row's message.
func messageID(row *store.Queued) envelope.ID { return envelope.ID(row.File.String()) }
