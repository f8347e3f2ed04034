package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// dialIMAP signs a person in without encryption, which the boxes of these
// tests allow on loopback.
func (b *box) dialIMAP(person string) (*imapclient.Client, error) {
	conn, err := net.DialTimeout("tcp", b.imap, patience)
	if err != nil {
		return nil, err
	}
	return b.login(imapclient.New(conn, nil), person)
}

func (b *box) login(c *imapclient.Client, person string) (*imapclient.Client, error) {
	if err := c.WaitGreeting(); err != nil {
		c.Close()
		return nil, fmt.Errorf("waiting for the greeting: %w", err)
	}
	if err := c.Login(person+"@"+domain, b.passwords[person]).Wait(); err != nil {
		c.Close()
		return nil, fmt.Errorf("signing in as %s: %w", person, err)
	}
	return c, nil
}

// mailboxes lists the names of the mailboxes that can be selected.
func mailboxes(c *imapclient.Client) ([]string, error) {
	list, err := c.List("", "*", nil).Collect()
	if err != nil {
		return nil, fmt.Errorf("listing mailboxes: %w", err)
	}
	var names []string
	for _, m := range list {
		if !slices.Contains(m.Attrs, imap.MailboxAttrNoSelect) && !slices.Contains(m.Attrs, imap.MailboxAttrNonExistent) {
			names = append(names, m.Mailbox)
		}
	}
	return names, nil
}

// read fetches all mail of a person with its content, by marker.
func (b *box) read(person string) (map[string][]found, error) {
	c, err := b.dialIMAP(person)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	names, err := mailboxes(c)
	if err != nil {
		return nil, err
	}
	mail := map[string][]found{}
	for _, name := range names {
		if err := readMailbox(c, name, mail); err != nil {
			return nil, fmt.Errorf("reading %s of %s: %w", name, person, err)
		}
	}
	return mail, nil
}

var wholeBody = &imap.FetchItemBodySection{Peek: true}

func readMailbox(c *imapclient.Client, name string, mail map[string][]found) error {
	selected, err := c.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		return err
	}
	if selected.NumMessages == 0 {
		return nil
	}
	all := imap.UIDSet{imap.UIDRange{Start: 1}}
	cmd := c.Fetch(all, &imap.FetchOptions{UID: true, Flags: true, BodySection: []*imap.FetchItemBodySection{wholeBody}})
	var n uint32
	for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
		id, f, err := readMessage(msg)
		if err != nil {
			return errors.Join(err, cmd.Close())
		}
		f.mailbox = name
		mail[id] = append(mail[id], f)
		n++
	}
	if err := cmd.Close(); err != nil {
		return err
	}
	if n != selected.NumMessages {
		return fmt.Errorf("SELECT says %d messages, FETCH shows %d", selected.NumMessages, n)
	}
	return nil
}

func readMessage(msg *imapclient.FetchMessageData) (id string, f found, err error) {
	var raw []byte
	for item := msg.Next(); item != nil; item = msg.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataUID:
			f.uid = uint32(item.UID)
		case imapclient.FetchItemDataFlags:
			for _, flag := range item.Flags {
				f.flags = append(f.flags, string(flag))
			}
		case imapclient.FetchItemDataBodySection:
			if item.Literal == nil {
				return "", f, errors.New("a message without content")
			}
			if raw, err = io.ReadAll(item.Literal); err != nil {
				return "", f, err
			}
		}
	}
	id, sum, size, ok := identify(raw)
	if !ok {
		return "", f, fmt.Errorf("UID %d has %d octets without a marker: %.200q", f.uid, len(raw), raw)
	}
	f.sum, f.size = sum, size
	return id, f, nil
}

// shown is one message as IMAP shows it.
type shown struct {
	uid          imap.UID
	flags        []string
	subject, raw string
}

func (s shown) has(flag string) bool {
	return slices.ContainsFunc(s.flags, func(f string) bool { return strings.EqualFold(f, flag) })
}

// show gives the messages of a mailbox; nil where there is no such mailbox.
func show(c *imapclient.Client, mailbox string) ([]shown, error) {
	selected, err := c.Select(mailbox, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		return nil, nil
	}
	all := []shown{}
	if selected.NumMessages == 0 {
		return all, nil
	}
	list, err := c.Fetch(imap.SeqSet{imap.SeqRange{Start: 1}}, &imap.FetchOptions{
		UID: true, Flags: true, Envelope: true, BodySection: []*imap.FetchItemBodySection{wholeBody},
	}).Collect()
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		s := shown{uid: m.UID, subject: m.Envelope.Subject, raw: string(m.FindBodySection(wholeBody))}
		for _, f := range m.Flags {
			s.flags = append(s.flags, string(f))
		}
		all = append(all, s)
	}
	return all, nil
}

// show gives the messages in a person's mailbox.
func (b *box) show(person, mailbox string) []shown {
	b.t.Helper()
	c, err := b.dialIMAP(person)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	list, err := show(c, mailbox)
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// audit compares everybody's mail with the ledger.
func (b *box) audit(l *ledger) []string {
	b.t.Helper()
	var faults []string
	all := map[string]map[string][]found{}
	for person := range b.passwords {
		mail, err := b.read(person)
		if err != nil {
			faults = append(faults, fmt.Sprintf("the mail of %s cannot be read: %v", person, err))
		}
		all[person] = mail
		faults = append(faults, l.audit(person, mail)...)
	}
	return append(faults, l.auditTogether(all)...)
}

// mustAudit fails the test where the box breaks a promise.
func (b *box) mustAudit(l *ledger) {
	b.t.Helper()
	faults := b.audit(l)
	for i, f := range faults {
		if i == 20 {
			b.t.Errorf("and %d more", len(faults)-i)
			break
		}
		b.t.Error(f)
	}
}

// empty expunges all mail of a person.
func (b *box) empty(person string) error {
	c, err := b.dialIMAP(person)
	if err != nil {
		return err
	}
	defer c.Close()
	names, err := mailboxes(c)
	if err != nil {
		return err
	}
	for _, name := range names {
		selected, err := c.Select(name, nil).Wait()
		if err != nil {
			return err
		}
		if selected.NumMessages == 0 {
			continue
		}
		all := imap.SeqSet{imap.SeqRange{Start: 1}}
		if err := c.Store(all, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
			return err
		}
		if err := c.Expunge().Close(); err != nil {
			return err
		}
	}
	return nil
}
