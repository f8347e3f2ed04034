package imapd

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/imapd/wire"
	"hauspost/appliance/maillog"
	"hauspost/store"
)

// appendStreams lets every literal of APPEND be streamed but the one that is
// the mailbox name.
func appendStreams(arguments []byte) bool {
	p := wire.NewParser(arguments)
	if p.Space() != nil || p.Peek() != '{' {
		return true
	}
	_, err := p.AString()
	return err == nil
}

// appending is one APPEND command.
type appending struct {
	mailbox string
	flags   []string
	date    time.Time
	// utf8 tells of the form UTF8 (~{n} ...) of RFC 6855.
	utf8    bool
	literal wire.Literal
}

// runAppend is APPEND (RFC 9051, section 6.3.12). The message goes to the store
// as it comes; whatever can be refused before is refused before the client
// sends it.
func runAppend(s *session, c *call) error {
	a, err := s.readAppend(c)
	if err != nil {
		return err
	}
	if a.literal.Size > s.srv.limits.AppendLimit {
		return no("TOOBIG", "The message is too large; the limit is "+strconv.FormatInt(s.srv.limits.AppendLimit, 10)+" octets")
	}
	if a.literal.Size == 0 {
		return no("CANNOT", "An empty message cannot be kept")
	}
	if mb, err := s.srv.store.Mailbox(s.srv.ctx, s.account.ID, a.mailbox); isGone(err) || err == nil && mb.NoSelect {
		return no("TRYCREATE", "There is no such mailbox")
	} else if err != nil {
		return err
	}
	if err := s.proceed(&a.literal); err != nil {
		return err
	}
	s.allowOctets(a.literal.Size)
	staged := s.srv.store.Stage()
	defer staged.Discard()
	guard := &nulGuard{staged: staged}
	writeErr, readErr := s.rd.Copy(guard, a.literal.Size)
	if readErr != nil {
		return readErr
	}
	if err := s.more(c); err != nil {
		return err
	}
	if a.utf8 {
		if err := c.Expect(')'); err != nil {
			return err
		}
	}
	if err := c.End(); err != nil {
		return err
	}
	switch {
	case guard.found && a.literal.Binary:
		return no("UNKNOWN-CTE", "A message with NUL octets cannot be kept; encode it")
	case guard.found:
		return no("CANNOT", "A message with NUL octets cannot be kept")
	case writeErr != nil:
		return s.unavailable("keeping a message", writeErr)
	}
	return s.deliver(staged, a)
}

func (s *session) readAppend(c *call) (*appending, error) {
	a := &appending{}
	if err := c.Space(); err != nil {
		return nil, err
	}
	var err error
	if a.mailbox, err = s.mailbox(c); err != nil {
		return nil, err
	}
	if err := c.Space(); err != nil {
		return nil, err
	}
	if c.Peek() == '(' {
		if a.flags, err = c.Flags(); err != nil {
			return nil, err
		}
		if err := c.Space(); err != nil {
			return nil, err
		}
	}
	if c.Peek() == '"' {
		if a.date, err = c.DateTime(); err != nil {
			return nil, err
		}
		if err := c.Space(); err != nil {
			return nil, err
		}
	}
	if p := c.Peek(); p == 'U' || p == 'u' {
		if w, err := c.Word(); err != nil || w != "UTF8" || c.Space() != nil || !c.Skip('(') {
			return nil, bad("Syntax: expected a message")
		}
		if a.utf8 = true; !s.utf8Names() {
			return nil, bad("ENABLE UTF8=ACCEPT first")
		}
	}
	a.literal, err = c.Announced()
	return a, err
}

// deliver makes the message durable and answers with its UID.
func (s *session) deliver(staged *store.Staged, a *appending) error {
	name := envelope.NewID(s.srv.now())
	id, err := store.ParseID(string(name))
	if err != nil {
		return err
	}
	log := s.srv.opts.Log
	received := log.Emit(name, maillog.Received{Size: staged.Size(), Via: "IMAP APPEND"})
	placed, err := s.srv.store.Deliver(s.srv.ctx, staged, store.Delivery{
		ID:    id,
		Annex: maillog.Encode([]maillog.Entry{received}),
		Places: []store.Place{{
			Owner: s.account.ID, Mailbox: a.mailbox, Flags: a.flags, Internal: a.date,
		}},
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return no("TRYCREATE", "There is no such mailbox")
	case errors.Is(err, store.ErrTooManyKeywords):
		return err
	case err != nil:
		return s.unavailable("keeping a message", err)
	case len(placed) != 1:
		return fmt.Errorf("appending to %q: placed %d times", a.mailbox, len(placed))
	}
	p := placed[0]
	s.srv.store.AppendTrace(id, maillog.Encode([]maillog.Entry{log.Emit(name, maillog.Stored{
		Recipient: s.account.Address, Account: s.account.Address, Mailbox: p.Mailbox, UID: p.UID, Via: "IMAP APPEND",
	})}))
	return ok(fmt.Sprintf("APPENDUID %d %d", p.UIDValidity, p.UID), "Kept")
}

// unavailable refuses what cannot be done just now.
func (s *session) unavailable(doing string, err error) error {
	s.log(slog.LevelError, "imap "+doing+" failed", "error", err.Error())
	return unavailable(err)
}

// nulGuard passes a message on and looks for NUL, which IMAP cannot serve.
type nulGuard struct {
	staged *store.Staged
	found  bool
}

func (g *nulGuard) Write(p []byte) (int, error) {
	if g.found = g.found || bytes.IndexByte(p, 0) >= 0; g.found {
		return len(p), nil
	}
	return g.staged.Write(p)
}
