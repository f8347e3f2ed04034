package appliance

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"testing"
	"time"

	"hauspost/plugins/abi"
	"hauspost/plugins/host"
	"hauspost/store"
)

func keysStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestPluginKeys holds that changes come out as they were made, one after the
// other.
func TestPluginKeys(t *testing.T) {
	t.Parallel()
	k := pluginKeys{keysStore(t)}
	now := time.Unix(1e9, 0)
	change := func(op abi.Op, key, value string, delta, ttl int64) abi.Change {
		return abi.Change{Op: op, Key: []byte(key), Bytes: []byte(value), Delta: delta, TTL: ttl}
	}
	for _, changes := range [][]abi.Change{
		{change(abi.OpSet, "a", "x", 0, 60), change(abi.OpAdd, "n", "", 2, 0), change(abi.OpAdd, "n", "", 3, 7), change(abi.OpAdd, "big", "", math.MaxInt64, 0)},
		{change(abi.OpAdd, "a", "", 5, 0), change(abi.OpAdd, "n", "", -1, 9), change(abi.OpAdd, "big", "", 1, 0), change(abi.OpSet, "gone", "x", 0, 0)},
		{change(abi.OpDelete, "gone", "", 0, 0), change(abi.OpSet, "b", "y", 0, 0), change(abi.OpDelete, "b", "", 0, 0), change(abi.OpAdd, "b", "", 4, 0),
			change(abi.OpAdd, "c", "", 4, 0), change(abi.OpSet, "c", "z", 0, 0)},
	} {
		if err := k.Apply(t.Context(), "p", changes, now); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"a", "n", "big", "gone", "b", "c"}
	var keys [][]byte
	for _, name := range names {
		keys = append(keys, []byte(name))
	}
	got, err := k.Get(t.Context(), "p", keys, now)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`true "x" 5 0`, `true "" 4 1000000009`, `true "" 9223372036854775807 0`, `false "" 0 0`, `true "" 4 0`, `true "z" 0 0`}
	for i, v := range got {
		if text := fmt.Sprintf("%v %q %d %d", v.Found, v.Bytes, v.Number, v.Expires); text != want[i] {
			t.Errorf("%s is %s instead of %s", names[i], text, want[i])
		}
	}
}

// TestNoMessageIsRefusedForKeys holds that plugins cannot fill the commit of a
// message: not by many values, and not by counters that have large ones.
func TestNoMessageIsRefusedForKeys(t *testing.T) {
	t.Parallel()
	s := keysStore(t)
	p := &pluginChain{logger: slog.New(slog.DiscardHandler)}
	now := time.Unix(1e9, 0)
	value := bytes.Repeat([]byte("x"), abi.MaxValue)
	var sets, adds []abi.Change
	for i := range abi.MaxChanges {
		key := fmt.Appendf(nil, "key %d", i%1000)
		adds = append(adds, abi.Change{Op: abi.OpAdd, Key: key, Delta: 1})
		if i < 150 {
			sets = append(sets, abi.Change{Op: abi.OpSet, Key: key, Bytes: value})
		}
	}
	keep := func(runs ...host.Run) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx *store.Tx) error { return p.keepKeys(tx, runs, now) }); err != nil {
			t.Fatal(err)
		}
	}
	var runs []host.Run
	for i := range 10 {
		runs = append(runs, host.Run{Plugin: fmt.Sprint("p", i), Changes: sets})
	}
	keep(runs...)
	if kept, err := (pluginKeys{s}).Get(t.Context(), "p9", [][]byte{[]byte("key 1")}, now); err != nil || kept[0].Found {
		t.Errorf("a key of the last one was kept (%v)", err)
	}
	keep(host.Run{Plugin: "p0", Changes: adds}, host.Run{Plugin: "p1", Changes: adds[:10]})
	got, err := pluginKeys{s}.Get(t.Context(), "p0", [][]byte{[]byte("key 1")}, now)
	if err != nil || got[0].Number != 4 || len(got[0].Bytes) != len(value) {
		t.Errorf("%+v (%v)", got[0].Number, err)
	}
	room := 100
	err = s.Update(t.Context(), func(tx *store.Tx) error { return changeKeys(tx, "p", sets, now, &room) })
	if !errors.Is(err, errKeysRoom) || room != 100 {
		t.Errorf("%v, %d left", err, room)
	}
}
