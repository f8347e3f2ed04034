package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sort"
)

// maxDocument bounds the value of a document, in octets.
const maxDocument = 1 << 20

// Tx is a change to documents and mailboxes, inside Update.
type Tx struct{ g *group }

// Update runs fn in a write transaction; all of it or nothing is kept. fn may
// run more than once and must have no other effects. nil means durable.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.submit(&request{fn: func(g *group) error { return fn(&Tx{g}) }})
}

// Put writes the document key of the given kind ("account", "alias", "domain" …).
// Kinds and keys are UTF-8; a value has at most 1 MB.
func (tx *Tx) Put(kind, key string, value []byte) error {
	if len(value) > maxDocument {
		return fmt.Errorf("%s %q: %d octets are too many", kind, key, len(value))
	}
	return tx.g.emit(&op{kind: opDocPut, kindName: kind, key: key, value: nonNil(value)})
}

// Delete removes a document; ErrNotFound if there is none.
func (tx *Tx) Delete(kind, key string) error {
	if _, err := tx.g.doc(kind, key); err != nil {
		return err
	}
	return tx.g.emit(&op{kind: opDocDelete, kindName: kind, key: key})
}

// Get reads a document as the transaction sees it; ErrNotFound if there is none.
func (tx *Tx) Get(kind, key string) ([]byte, error) { return tx.g.doc(kind, key) }

// List calls fn for every document of a kind in the order of the keys. fn must
// not change the store.
func (tx *Tx) List(kind string, fn func(key string, value []byte) error) error {
	rows, err := tx.g.s.conn.QueryContext(tx.g.ctx, listDocs, kind)
	return eachDoc(rows, err, fn)
}

// CreateMailbox makes a mailbox; see Store.CreateMailbox.
func (tx *Tx) CreateMailbox(owner, name, specialUse string) (Mailbox, error) {
	b, err := tx.g.createMailbox(owner, name, specialUse)
	if err != nil {
		return Mailbox{}, err
	}
	return *b, nil
}

// Subscribe sets the subscription of a name; see Store.Subscribe.
func (tx *Tx) Subscribe(owner, name string, on bool) error {
	key := owner + "\x00" + name
	if on {
		return tx.Put(subscriptionKind, key, nil)
	}
	if err := tx.Delete(subscriptionKind, key); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// DeleteOwner removes all mailboxes, subscriptions and mail of an owner.
func (tx *Tx) DeleteOwner(owner string) error {
	names := tx.g.boxesOf(owner)
	sort.Strings(names)
	for _, name := range names {
		b, err := tx.g.named(owner, name)
		if err != nil {
			return err
		}
		if err := tx.g.emit(&op{kind: opMailboxDrop, mailbox: b.ID}); err != nil {
			return err
		}
	}
	var keys []string
	err := tx.List(subscriptionKind, func(key string, _ []byte) error {
		if splitName(key).owner == owner {
			keys = append(keys, key)
		}
		return nil
	})
	for _, key := range keys {
		if err == nil {
			err = tx.Delete(subscriptionKind, key)
		}
	}
	return err
}

const listDocs = "SELECT key, value FROM doc WHERE kind = ? ORDER BY key"

// Get reads a document; ErrNotFound if there is none.
func (s *Store) Get(ctx context.Context, kind, key string) ([]byte, error) {
	var v []byte
	err := s.readers.QueryRowContext(ctx, "SELECT value FROM doc WHERE kind = ? AND key = ?", kind, key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%s %q: %w", kind, key, ErrNotFound)
	}
	return v, err
}

// List calls fn for every document of a kind in the order of the keys.
func (s *Store) List(ctx context.Context, kind string, fn func(key string, value []byte) error) error {
	rows, err := s.readers.QueryContext(ctx, listDocs, kind)
	return eachDoc(rows, err, fn)
}

func eachDoc(rows *sql.Rows, err error, fn func(key string, value []byte) error) error {
	if err != nil {
		return fmt.Errorf("listing documents: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return fmt.Errorf("listing documents: %w", err)
		}
		if err := fn(key, value); err != nil {
			return err
		}
	}
	return rows.Err()
}
