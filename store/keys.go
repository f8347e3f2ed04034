package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// Bounds of one key, in octets.
const (
	maxKey      = 512
	maxKeyValue = 64 << 10
)

// Key is one entry in a space of keys: what a plugin keeps for itself. Bytes
// and Number are apart, so that counting needs no parsing.
type Key struct {
	Name   []byte
	Bytes  []byte
	Number int64
	// Expires is in Unix seconds; 0 means never. An expired key is not read any
	// more; PruneKeys removes it.
	Expires int64
}

const keySchema = `
CREATE TABLE kept (
	space TEXT NOT NULL,
	name BLOB NOT NULL,
	value BLOB NOT NULL,
	number INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	PRIMARY KEY (space, name)
) WITHOUT ROWID;
CREATE INDEX kept_expires ON kept (expires) WHERE expires > 0;
`

// readBatch is how many keys one statement asks for.
const readBatch = 200

// Keys reads keys of a space by their names, as many as there are, in no order.
// What expired before now is left out.
func (s *Store) Keys(ctx context.Context, space string, names [][]byte, now time.Time) ([]Key, error) {
	return readKeys(ctx, s.readers, space, names, now)
}

// Keys reads keys as the transaction sees them; see Store.Keys.
func (tx *Tx) Keys(space string, names [][]byte, now time.Time) ([]Key, error) {
	return readKeys(tx.g.ctx, tx.g.s.conn, space, names, now)
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func readKeys(ctx context.Context, q querier, space string, names [][]byte, now time.Time) ([]Key, error) {
	var found []Key
	for len(names) > 0 {
		batch := names[:min(len(names), readBatch)]
		names = names[len(batch):]
		args := make([]any, 0, len(batch)+2)
		args = append(args, space, now.Unix())
		for _, n := range batch {
			args = append(args, nonNil(n))
		}
		rows, err := q.QueryContext(ctx, "SELECT name, value, number, expires FROM kept WHERE space = ? AND (expires = 0 OR expires > ?) AND name IN (?"+
			strings.Repeat(",?", len(batch)-1)+")", args...)
		if err != nil {
			return nil, fmt.Errorf("reading keys of %s: %w", space, err)
		}
		for rows.Next() {
			var k Key
			if err := rows.Scan(&k.Name, &k.Bytes, &k.Number, &k.Expires); err != nil {
				rows.Close()
				return nil, fmt.Errorf("reading keys of %s: %w", space, err)
			}
			found = append(found, k)
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("reading keys of %s: %w", space, err)
		}
	}
	return found, nil
}

// PutKey writes a key, in place of the one before. A name has at most 512
// octets, Bytes at most 64 KB.
func (tx *Tx) PutKey(space string, k Key) error {
	if len(k.Name) > maxKey || len(k.Bytes) > maxKeyValue {
		return fmt.Errorf("a key of %s: a name of %d or a value of %d octets is too large", space, len(k.Name), len(k.Bytes))
	}
	return tx.g.emit(&op{kind: opKeyPut, kindName: space, key: string(k.Name), value: nonNil(k.Bytes), saved: k.Number, internal: k.Expires})
}

// DeleteKey removes a key, if it is there.
func (tx *Tx) DeleteKey(space string, name []byte) error {
	return tx.g.emit(&op{kind: opKeyDelete, kindName: space, key: string(name)})
}

// DropKeys removes a whole space.
func (tx *Tx) DropKeys(space string) error {
	return tx.g.emit(&op{kind: opKeyDrop, kindName: space})
}

// PruneKeys removes what expired before now.
func (s *Store) PruneKeys(ctx context.Context, now time.Time) error {
	var any bool
	err := s.readers.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM kept WHERE expires > 0 AND expires <= ?)", now.Unix()).Scan(&any)
	if err != nil || !any {
		return err
	}
	return s.submit(&request{fn: func(g *group) error {
		return g.emit(&op{kind: opKeyPrune, internal: now.Unix()})
	}})
}

// applyKeys carries out the ops of keys.
func (g *group) applyKeys(o *op) error {
	st := g.s.stmts
	switch o.kind {
	case opKeyPut:
		return g.exec(st.keyPut, o.kindName, []byte(o.key), o.value, o.saved, o.internal)
	case opKeyDelete:
		return g.exec(st.keyDelete, o.kindName, []byte(o.key))
	case opKeyDrop:
		return g.exec(st.keyDrop, o.kindName)
	default:
		return g.exec(st.keyPrune, o.internal)
	}
}

// snapshotKeys writes ops that make all keys.
func snapshotKeys(ctx context.Context, tx *sql.Tx, w *snapshotWriter) error {
	return each(ctx, tx, "SELECT space, name, value, number, expires FROM kept", func(scan func(...any) error) error {
		o := &op{kind: opKeyPut}
		var name []byte
		if err := scan(&o.kindName, &name, &o.value, &o.saved, &o.internal); err != nil {
			return err
		}
		o.key = string(name)
		return w.add(o)
	})
}
