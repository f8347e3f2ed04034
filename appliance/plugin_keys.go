package appliance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"hauspost/plugins/abi"
	"hauspost/plugins/host"
	"hauspost/store"
)

const (
	// keysRoom is how much plugins may change of their keys in one commit, in
	// octets: it has room for some 4 MB, and part of that is the message's.
	keysRoom = 2 << 20
	// keyCost is what a key takes besides its name and value, at most.
	keyCost = 128
)

// errKeysRoom is the error of changes that are too large for a commit.
var errKeysRoom = errors.New("the plugins change more of their values than one commit takes")

// Apply makes changes last, all or none.
func (k pluginKeys) Apply(ctx context.Context, plugin string, changes []abi.Change, now time.Time) error {
	room := keysRoom
	return k.store.Update(ctx, func(tx *store.Tx) error { return changeKeys(tx, plugin, changes, now, &room) })
}

// keepKeys does the changes of all plugins in the commit of a message. Those of
// a plugin for which there is no room are left out: no message is refused for
// what plugins want to remember.
func (p *pluginChain) keepKeys(tx *store.Tx, runs []host.Run, now time.Time) error {
	room := keysRoom
	for i := range runs {
		err := changeKeys(tx, runs[i].Plugin, runs[i].Changes, now, &room)
		if errors.Is(err, errKeysRoom) {
			p.logger.Warn("A plugin's values could not be kept.", "plugin", runs[i].Plugin, "error", err.Error())
		} else if err != nil {
			return err
		}
	}
	return nil
}

// changeKeys does the changes of a plugin in a transaction, where they fit into
// room, or nothing. Each key is written once, whatever happened to it.
func changeKeys(tx *store.Tx, plugin string, changes []abi.Change, now time.Time, room *int) error {
	space := keySpace(plugin)
	keys, err := outcome(tx, space, changes, now)
	if err != nil {
		return err
	}
	size := 0
	for _, k := range keys {
		size += keyCost + len(k.Name) + len(k.Bytes)
	}
	if size > *room {
		return fmt.Errorf("%w: %d octets, and there is room for %d", errKeysRoom, size, *room)
	}
	*room -= size
	for _, k := range keys {
		if k.gone {
			err = tx.DeleteKey(space, k.Name)
		} else {
			err = tx.PutKey(space, k.Key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// changedKey is what becomes of a key.
type changedKey struct {
	store.Key
	gone bool
}

// outcome gives what changes make of the keys that they name.
func outcome(tx *store.Tx, space string, changes []abi.Change, now time.Time) ([]*changedKey, error) {
	var list []*changedKey
	var counted [][]byte
	known := map[string]*changedKey{}
	for _, c := range changes {
		if known[string(c.Key)] == nil {
			k := &changedKey{Key: store.Key{Name: c.Key}, gone: true}
			known[string(c.Key)], list = k, append(list, k)
			if c.Op == abi.OpAdd {
				counted = append(counted, c.Key)
			}
		}
	}
	stored, err := tx.Keys(space, counted, now)
	if err != nil {
		return nil, err
	}
	for _, k := range stored {
		*known[string(k.Name)] = changedKey{Key: k}
	}
	for _, c := range changes {
		k := known[string(c.Key)]
		expires := int64(0)
		if c.TTL > 0 {
			expires = now.Unix() + min(c.TTL, 1<<40)
		}
		switch c.Op {
		case abi.OpSet:
			*k = changedKey{Key: store.Key{Name: c.Key, Bytes: c.Bytes, Expires: expires}}
		case abi.OpAdd:
			k.Number, k.Expires, k.gone = sum(k.Number, c.Delta), expires, false
		case abi.OpDelete:
			*k = changedKey{Key: store.Key{Name: c.Key}, gone: true}
		}
	}
	return list, nil
}

// sum adds within 64 bits.
func sum(a, b int64) int64 {
	switch s := a + b; {
	case b > 0 && s < a:
		return math.MaxInt64
	case b < 0 && s > a:
		return math.MinInt64
	default:
		return s
	}
}
