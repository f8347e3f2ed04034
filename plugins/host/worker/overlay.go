package worker

import (
	"math"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

// overlay are the changes of keys that a call made, over what the store has.
type overlay struct {
	// now is the time of the event in seconds.
	now     int64
	changes []abi.Change
	size    int
	over    map[string]pending
}

// pending is what became of one key.
type pending struct {
	// known tells that value holds whatever the store has; otherwise delta is
	// to be added to that, which then expires as value does.
	known bool
	value abi.Value
	delta int64
}

// change takes changes, all or none.
func (o *overlay) change(list []abi.Change) abi.Errno {
	if len(list) > abi.MaxKeys || len(o.changes)+len(list) > abi.MaxChanges {
		return abi.ErrTooBig
	}
	size := 0
	for i := range list {
		c := &list[i]
		if len(c.Key) == 0 || c.TTL < 0 || c.Op < abi.OpSet || c.Op > abi.OpDelete {
			return abi.ErrInvalid
		}
		if len(c.Key) > abi.MaxKey || len(c.Bytes) > abi.MaxValue {
			return abi.ErrTooBig
		}
		size += changeSize(c)
	}
	if o.size+size > changesBudget {
		return abi.ErrBudget
	}
	o.size += size
	o.changes = append(o.changes, list...)
	for i := range list {
		o.apply(&list[i])
	}
	return 0
}

// changesBudget and effectsBudget share what one result may bring.
const (
	effectsBudget = 320 << 10
	changesBudget = link.MaxResult - effectsBudget
)

// changeSize is at least what the change takes in a result.
func changeSize(c *abi.Change) int { return len(c.Key) + len(c.Bytes) + 48 }

func (o *overlay) apply(c *abi.Change) {
	if o.over == nil {
		o.over = map[string]pending{}
	}
	p := o.over[string(c.Key)]
	expires := int64(0)
	if c.TTL > 0 {
		expires = addSaturated(o.now, c.TTL)
	}
	switch c.Op {
	case abi.OpSet:
		p = pending{known: true, value: abi.Value{Found: true, Bytes: c.Bytes, Expires: expires}}
	case abi.OpDelete:
		p = pending{known: true}
	case abi.OpAdd:
		if p.known {
			p.value.Number = addSaturated(p.value.Number, c.Delta)
		} else {
			p.delta = addSaturated(p.delta, c.Delta)
		}
		p.value.Found, p.value.Expires = true, expires
	}
	o.over[string(c.Key)] = p
}

// missing gives those of the keys that the store has to be asked for.
func (o *overlay) missing(keys [][]byte) [][]byte {
	if len(o.over) == 0 {
		return keys
	}
	var list [][]byte
	for _, k := range keys {
		if !o.over[string(k)].known {
			list = append(list, k)
		}
	}
	return list
}

// merge gives the values of keys, where stored are those of missing(keys).
func (o *overlay) merge(keys [][]byte, stored []abi.Value) []abi.Value {
	if len(o.over) == 0 {
		return stored
	}
	values := make([]abi.Value, 0, len(keys))
	for _, k := range keys {
		p, touched := o.over[string(k)]
		if !p.known {
			v := stored[0]
			stored = stored[1:]
			if touched {
				v.Found, v.Expires = true, p.value.Expires
				v.Number = addSaturated(v.Number, p.delta)
			}
			p.value = v
		}
		values = append(values, p.value)
	}
	return values
}

// addSaturated adds within 64 bits.
func addSaturated(a, b int64) int64 {
	switch sum := a + b; {
	case b > 0 && sum < a:
		return math.MaxInt64
	case b < 0 && sum > a:
		return math.MinInt64
	default:
		return sum
	}
}
