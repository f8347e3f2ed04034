package deliver

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/message"
	"hauspost/appliance/reply"
	"hauspost/appliance/senderauth"
)

// maxHeader is the longest header of a submitted message, in octets.
const maxHeader = 256 << 10

var (
	errHeaderSize = reply.New(552, "5.3.4", "header-too-large", "The header of the message is too large")
	errNoFrom     = reply.New(554, "5.6.0", "no-from", "The message names no sender in From, and the envelope none either")
	errManyFrom   = reply.New(554, "5.6.0", "several-from", "The message has more than one From field")
	errBadFrom    = reply.New(554, "5.6.0", "malformed-from", "The From or Sender field of the message cannot be understood")
)

// gather collects the header, and begins when it is whole.
func (m *Submission) gather(p []byte) error {
	from := max(0, len(m.waiting)-3)
	m.waiting = append(m.waiting, p...)
	end := headerEnd(m.waiting, from)
	switch {
	case end > 0:
		return m.begin(end)
	case len(m.waiting) > maxHeader:
		return errHeaderSize
	}
	return nil
}

// headerEnd gives the length of the header with its empty line, 0 while that
// has not come. What was looked at before ends at from.
func headerEnd(b []byte, from int) int {
	if bytes.HasPrefix(b, []byte("\r\n")) {
		return 2
	}
	if i := bytes.Index(b[from:], []byte("\r\n\r\n")); i >= 0 {
		return from + i + 4
	}
	return 0
}

// begin judges the header, the first end octets of what waits, mends it, and
// starts the signature.
func (m *Submission) begin(end int) error {
	if end > maxHeader {
		return errHeaderSize
	}
	header, rest := m.waiting[:end], m.waiting[end:]
	m.waiting, m.begun = nil, true
	m.header = message.ReadOutgoing(header)
	if n := m.header.Received; n > m.out.o.MaxHops {
		return reply.TooManyHops.Because(fmt.Errorf("%d Received fields", n))
	}
	if err := m.judge(); err != nil {
		return err
	}
	mended := message.Mend(header, m.missing())
	if err := m.startSignature(mended); err != nil {
		return err
	}
	// Mend may have put the empty line before the end of what was given.
	head, body := message.SplitHeader(mended)
	m.reported = head
	for _, step := range []struct {
		take func([]byte) error
		part []byte
	}{{m.keep, head}, {m.pass, body}, {m.pass, rest}} {
		if err := step.take(step.part); err != nil {
			return err
		}
	}
	return nil
}

// keep takes the header, which the signer has already.
func (m *Submission) keep(header []byte) error {
	if _, err := m.content.Write(header); err != nil {
		return reply.StorageError.Because(err)
	}
	return nil
}

// judge holds that the message has one From and that all who are named there
// or in Sender are the author: nobody writes in the name of others.
func (m *Submission) judge() error {
	h := &m.header
	if h.FromFields > 1 {
		return errManyFrom
	}
	if h.Malformed != "" {
		return reply.New(errBadFrom.Code, errBadFrom.Enhanced, errBadFrom.Name, "This message cannot be sent: "+h.Malformed)
	}
	names := slices.Clone(h.From)
	if h.SenderField != "" {
		names = append(names, h.SenderField)
	}
	for i, name := range names {
		addr, err := envelope.ParseAddress(name)
		if err != nil {
			return errBadFrom.Because(err)
		}
		if i == 0 {
			m.from = addr
		}
		if err := m.owns(addr); err != nil {
			return err
		}
	}
	if h.FromFields > 0 && len(h.From) == 0 {
		// A group with nobody in it: only its name would be shown as the author.
		return errBadFrom.Because(errors.New("the From field names nobody"))
	}
	if len(h.From) == 0 {
		if m.env.From.IsNull() {
			return errNoFrom
		}
		m.from = m.env.From // was judged at MAIL
	}
	return nil
}

func (m *Submission) owns(addr envelope.Address) error {
	if m.by.Account == "" {
		_, err := m.out.o.Directory.Resolve(m.ctx, addr)
		if err == nil {
			return nil
		}
		if r := reply.Of(err); r.Temporary() {
			return r
		} else if m.by.House && r.Name != reply.RelayDenied.Name {
			return nil
		}
		return reply.New(553, "5.7.1", "not-yours", fmt.Sprintf("The address <%s> in From is nobody's here", addr)).Because(err)
	}
	mine, err := m.out.o.Owns(m.ctx, m.by.Account, addr)
	if err != nil {
		return reply.LocalError.Because(err)
	}
	if !mine {
		return reply.New(553, "5.7.1", "not-yours", fmt.Sprintf("The address <%s> in From does not belong to %s, who is signed in", addr, m.by.Name))
	}
	return nil
}

// missing makes the fields that RFC 6409, section 8, lets a submission server
// add, and tells the trace what was done to the header.
func (m *Submission) missing() []byte {
	var b bytes.Buffer
	var did maillog.Amended
	now, h := m.out.o.Now(), &m.header
	add := func(name, value string) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		did.Added = append(did.Added, name)
	}
	if h.FromFields == 0 {
		add("From", "<"+clean(m.env.From.String())+">")
	}
	if !h.HasDate {
		add("Date", now.Format(dateTime))
	}
	m.messageID = h.MessageID
	if !h.HasMessageID {
		m.messageID = "<" + strings.ToLower(string(m.env.ID)) + "@" + m.out.o.Hostname + ">"
		add("Message-ID", m.messageID)
	}
	if len(h.Bcc) > 0 {
		did.Removed = append(did.Removed, "Bcc")
	}
	if len(did.Added)+len(did.Removed) > 0 {
		m.trace.Add(did)
	}
	return b.Bytes()
}

// startSignature begins to sign for the domain of From, where it is one of the
// box's that has keys.
func (m *Submission) startSignature(header []byte) error {
	if m.out.o.Keys == nil {
		return nil
	}
	keys, err := m.out.o.Keys(m.ctx, m.from.Domain)
	if err == nil && len(keys) == 0 {
		err = errors.New("the domain has no keys here")
	}
	if err != nil {
		// Most receivers take it all the same, by SPF.
		m.trace.Add(maillog.Signed{Domain: m.from.Domain, Problem: err.Error()})
		return nil
	}
	head, _ := message.SplitHeader(header)
	if m.signer, err = senderauth.NewSigner(head, keys, senderauth.Options{Now: m.out.o.Now}); err != nil {
		return reply.LocalError.Because(fmt.Errorf("signing for %s: %w", m.from.Domain, err))
	}
	for _, k := range keys {
		m.selectors = append(m.selectors, k.Selector)
	}
	return nil
}
