package store

import (
	"context"
	"fmt"
	"sort"
	"strings"
)

// inbox is the mailbox that every owner has and that cannot be deleted.
const inbox = "INBOX"

// Mailboxes lists an owner's mailboxes sorted by name (INBOX first).
func (s *Store) Mailboxes(ctx context.Context, owner string) ([]Mailbox, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var ms []Mailbox
	for k, id := range s.names {
		if k.owner != owner {
			continue
		}
		m := *s.boxes[id]
		m.Subscribed = s.subs[k]
		ms = append(ms, m)
	}
	sort.Slice(ms, func(i, j int) bool {
		if a, b := ms[i].Name == inbox, ms[j].Name == inbox; a != b {
			return a
		}
		return ms[i].Name < ms[j].Name
	})
	return ms, ctx.Err()
}

// Subscriptions lists the names an owner is subscribed to, sorted; also those
// of mailboxes that are no longer there (RFC 9051, section 6.3.8).
func (s *Store) Subscriptions(ctx context.Context, owner string) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	for k := range s.subs {
		if k.owner == owner {
			names = append(names, k.name)
		}
	}
	sort.Strings(names)
	return names, ctx.Err()
}

// Mailbox finds one by name; ErrNotFound if there is none.
func (s *Store) Mailbox(ctx context.Context, owner, name string) (Mailbox, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := nameKey{owner, name}
	id, ok := s.names[k]
	if !ok {
		return Mailbox{}, fmt.Errorf("mailbox %q: %w", name, ErrNotFound)
	}
	m := *s.boxes[id]
	m.Subscribed = s.subs[k]
	return m, ctx.Err()
}

// CreateMailbox makes a mailbox and its missing parents; one that is NoSelect
// becomes a mailbox again. ErrExists.
func (s *Store) CreateMailbox(ctx context.Context, owner, name, specialUse string) (Mailbox, error) {
	var m Mailbox
	err := s.Update(ctx, func(tx *Tx) (err error) {
		m, err = tx.CreateMailbox(owner, name, specialUse)
		return err
	})
	return m, err
}

// createMailbox makes a mailbox with its parents.
func (g *group) createMailbox(owner, name, specialUse string) (*Mailbox, error) {
	if b, err := g.named(owner, name); err == nil {
		if !b.NoSelect {
			return nil, fmt.Errorf("mailbox %q: %w", name, ErrExists)
		}
		return b, g.emit(&op{kind: opMailboxNoSelect, mailbox: b.ID})
	}
	for i := range len(name) {
		if name[i] != '/' {
			continue
		}
		if _, err := g.named(owner, name[:i]); err != nil {
			if _, err := g.addMailbox(owner, name[:i], ""); err != nil {
				return nil, err
			}
		}
	}
	return g.addMailbox(owner, name, specialUse)
}

func (g *group) addMailbox(owner, name, specialUse string) (*Mailbox, error) {
	id := g.nextMailbox
	err := g.emit(&op{kind: opMailboxCreate, mailbox: id, owner: owner, name: name, key: specialUse, validity: g.validity()})
	if err != nil {
		return nil, err
	}
	return g.box(id)
}

// RenameMailbox renames a mailbox with its children (RFC 9051, section 6.3.6).
// Renaming INBOX moves its messages into a new mailbox and leaves INBOX empty.
// ErrNotFound, ErrExists, ErrNotAllowed (into its own child).
func (s *Store) RenameMailbox(ctx context.Context, owner, from, to string) error {
	if from == inbox {
		return s.renameInbox(ctx, owner, to)
	}
	return s.Update(ctx, func(tx *Tx) error {
		g := tx.g
		b, err := g.named(owner, from)
		if err != nil {
			return fmt.Errorf("mailbox %q: %w", from, err)
		}
		if _, err := g.named(owner, to); err == nil {
			return fmt.Errorf("mailbox %q: %w", to, ErrExists)
		}
		if strings.HasPrefix(to, from+"/") {
			return fmt.Errorf("renaming %q into itself: %w", from, ErrNotAllowed)
		}
		if i := strings.LastIndexByte(to, '/'); i > 0 {
			if _, err := g.named(owner, to[:i]); err != nil {
				if _, err := g.createMailbox(owner, to[:i], ""); err != nil {
					return err
				}
			}
		}
		var children []string
		for _, name := range g.boxesOf(owner) {
			if strings.HasPrefix(name, from+"/") {
				children = append(children, name)
			}
		}
		if err := g.emit(&op{kind: opMailboxName, mailbox: b.ID, name: to}); err != nil {
			return err
		}
		for _, name := range children {
			c, err := g.named(owner, name)
			if err != nil {
				return err
			}
			if err := g.emit(&op{kind: opMailboxName, mailbox: c.ID, name: to + name[len(from):]}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) renameInbox(ctx context.Context, owner, to string) error {
	box, err := s.Mailbox(ctx, owner, inbox)
	if err != nil {
		return err
	}
	l, err := s.live(ctx, box.ID)
	if err != nil {
		return err
	}
	defer s.releaseLive(l)
	if _, err := s.CreateMailbox(ctx, owner, to, ""); err != nil {
		return err
	}
	l.mu.RLock()
	uids := make([]uint32, len(l.entries))
	for i, e := range l.entries {
		uids[i] = e.UID
	}
	l.mu.RUnlock()
	_, err = s.Move(ctx, box.ID, uids, owner, to)
	return err
}

// DeleteMailbox deletes a mailbox; with children it becomes NoSelect and loses
// its messages. ErrNotFound, ErrNotAllowed (INBOX, or NoSelect with children).
// The messages' files go later.
func (s *Store) DeleteMailbox(ctx context.Context, owner, name string) error {
	if name == inbox {
		return fmt.Errorf("deleting INBOX: %w", ErrNotAllowed)
	}
	return s.Update(ctx, func(tx *Tx) error {
		g := tx.g
		b, err := g.named(owner, name)
		if err != nil {
			return fmt.Errorf("mailbox %q: %w", name, err)
		}
		children := false
		for _, other := range g.boxesOf(owner) {
			children = children || strings.HasPrefix(other, name+"/")
		}
		if children && b.NoSelect {
			return fmt.Errorf("mailbox %q has mailboxes below it: %w", name, ErrNotAllowed)
		}
		if err := g.emit(&op{kind: opMailboxDrop, mailbox: b.ID}); err != nil || !children {
			return err
		}
		left, err := g.addMailbox(owner, name, "")
		if err != nil {
			return err
		}
		return g.emit(&op{kind: opMailboxNoSelect, mailbox: left.ID, noselect: true})
	})
}

// Subscribe sets the subscription of a name. Unsubscribing a name that does
// not exist is no error.
func (s *Store) Subscribe(ctx context.Context, owner, name string, on bool) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.Subscribe(owner, name, on) })
}
