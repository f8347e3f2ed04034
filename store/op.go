package store

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// An op is one change, in a form that can be applied again: what the redo log
// and the journal hold. A group of ops shares one sequence number, which is
// also the mod-sequence of every change in the group.
type op struct {
	kind opKind

	mailbox int64
	msg     int64
	id      ID

	kindName, key string // documents
	owner, name   string // mailboxes
	value         []byte // documents, annex, keywords
	image         []byte // the message file, where it travels in the redo log

	validity, uid uint32
	uids          ranges
	flagOp        FlagOp
	flags         Flags
	modseq        uint64 // only in snapshots; elsewhere the group's
	size, rawSize int64
	internal      int64
	saved         int64
	zone          int16
	sum           [32]byte
	refs          int64
	queued        *Queued
	noselect      bool
	copied        bool // opPlace: the message had a place before

	// derived is not written; it is made again from the file when needed.
	derived *Derived
}

type opKind byte

const (
	opDocPut opKind = iota + 1
	opDocDelete
	opMailboxCreate
	opMailboxName
	opMailboxDrop
	opMailboxNoSelect
	opMailboxKeywords
	opMailboxState // snapshots: UIDNEXT and mod-sequence
	opMessage
	opPlace
	opFlags
	opExpunge
	opCounters // snapshots: what must never be used again
	opQueuePut
	opQueueDelete  // mailbox holds the row's ID
	opQueueCounter // snapshots: the next ID of a row, in mailbox
	opKeyPut       // space in kindName, number in saved, expiry in internal
	opKeyDelete
	opKeyDrop
	opKeyPrune
)

// ranges are pairs of first and last UID, ascending.
type ranges []uint32

type encoder struct{ b []byte }

func (e *encoder) u(v uint64)   { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) i(v int64)    { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) s(v string)   { e.u(uint64(len(v))); e.b = append(e.b, v...) }
func (e *encoder) p(v []byte)   { e.u(uint64(len(v))); e.b = append(e.b, v...) }
func (e *encoder) raw(v []byte) { e.b = append(e.b, v...) }
func (e *encoder) bool(v bool) {
	if v {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) ranges(r ranges) {
	e.u(uint64(len(r)))
	last := uint32(0)
	for _, v := range r {
		e.u(uint64(v - last))
		last = v
	}
}

var errDamagedOp = errors.New("damaged operation")

type decoder struct {
	b   []byte
	err error
}

func (d *decoder) u() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.err, d.b = errDamagedOp, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) i() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.err, d.b = errDamagedOp, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) raw(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.err, d.b = errDamagedOp, nil
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) p() []byte  { return d.raw(d.u()) }
func (d *decoder) s() string  { return string(d.p()) }
func (d *decoder) bool() bool { v := d.raw(1); return len(v) == 1 && v[0] == 1 }

func (d *decoder) ranges() ranges {
	n := d.u()
	if n > uint64(len(d.b)) {
		d.err = errDamagedOp
		return nil
	}
	r := make(ranges, 0, n)
	last := uint32(0)
	for range n {
		last += uint32(d.u())
		r = append(r, last)
	}
	return r
}

// encode appends the op. The journal leaves out the bytes of message files and
// their annexes, which the files themselves hold.
func (o *op) encode(e *encoder, withImage bool) {
	e.b = append(e.b, byte(o.kind))
	switch o.kind {
	case opDocPut:
		e.s(o.kindName)
		e.s(o.key)
		e.p(o.value)
	case opDocDelete:
		e.s(o.kindName)
		e.s(o.key)
	case opMailboxCreate:
		e.i(o.mailbox)
		e.s(o.owner)
		e.s(o.name)
		e.s(o.key)
		e.u(uint64(o.validity))
	case opMailboxName:
		e.i(o.mailbox)
		e.s(o.name)
	case opMailboxDrop:
		e.i(o.mailbox)
	case opMailboxNoSelect:
		e.i(o.mailbox)
		e.bool(o.noselect)
	case opMailboxKeywords:
		e.i(o.mailbox)
		e.p(o.value)
	case opMailboxState:
		e.i(o.mailbox)
		e.u(uint64(o.uid))
		e.u(o.modseq)
	case opMessage:
		e.i(o.msg)
		e.raw(o.id[:])
		e.i(o.rawSize)
		e.i(o.size)
		e.raw(o.sum[:])
		e.i(o.refs)
		if withImage {
			e.p(o.image)
		} else {
			e.p(nil)
		}
	case opPlace:
		e.i(o.mailbox)
		e.u(uint64(o.uid))
		e.i(o.msg)
		e.raw(o.id[:])
		e.u(uint64(o.flags))
		e.i(o.size)
		e.i(o.internal)
		e.i(o.saved)
		e.i(int64(o.zone))
		e.u(o.modseq)
		e.bool(o.copied)
	case opFlags:
		e.i(o.mailbox)
		e.u(uint64(o.flagOp))
		e.u(uint64(o.flags))
		e.ranges(o.uids)
	case opExpunge:
		e.i(o.mailbox)
		e.ranges(o.uids)
	case opCounters:
		e.i(o.mailbox)
		e.i(o.msg)
		e.u(uint64(o.validity))
	case opQueuePut:
		o.queued.encode(e)
	case opQueueDelete, opQueueCounter:
		e.i(o.mailbox)
	case opKeyPut:
		e.s(o.kindName)
		e.s(o.key)
		e.p(o.value)
		e.i(o.saved)
		e.i(o.internal)
	case opKeyDelete:
		e.s(o.kindName)
		e.s(o.key)
	case opKeyDrop:
		e.s(o.kindName)
	case opKeyPrune:
		e.i(o.internal)
	default:
		panic(fmt.Sprintf("store: op %d has no encoding", o.kind))
	}
}

func decodeOps(b []byte) ([]*op, error) {
	d := decoder{b: b}
	var ops []*op
	for len(d.b) > 0 && d.err == nil {
		ops = append(ops, decodeOp(&d))
	}
	return ops, d.err
}

func decodeOp(d *decoder) *op {
	o := &op{kind: opKind(d.raw(1)[0])}
	switch o.kind {
	case opDocPut:
		o.kindName, o.key, o.value = d.s(), d.s(), d.p()
	case opDocDelete:
		o.kindName, o.key = d.s(), d.s()
	case opMailboxCreate:
		o.mailbox, o.owner, o.name, o.key, o.validity = d.i(), d.s(), d.s(), d.s(), uint32(d.u())
	case opMailboxName:
		o.mailbox, o.name = d.i(), d.s()
	case opMailboxDrop:
		o.mailbox = d.i()
	case opMailboxNoSelect:
		o.mailbox, o.noselect = d.i(), d.bool()
	case opMailboxKeywords:
		o.mailbox, o.value = d.i(), d.p()
	case opMailboxState:
		o.mailbox, o.uid, o.modseq = d.i(), uint32(d.u()), d.u()
	case opMessage:
		o.msg = d.i()
		copy(o.id[:], d.raw(16))
		o.rawSize, o.size = d.i(), d.i()
		copy(o.sum[:], d.raw(32))
		o.refs = d.i()
		o.image = d.p()
	case opPlace:
		o.mailbox, o.uid, o.msg = d.i(), uint32(d.u()), d.i()
		copy(o.id[:], d.raw(16))
		o.flags, o.size, o.internal, o.saved = Flags(d.u()), d.i(), d.i(), d.i()
		o.zone, o.modseq, o.copied = int16(d.i()), d.u(), d.bool()
	case opFlags:
		o.mailbox, o.flagOp, o.flags, o.uids = d.i(), FlagOp(d.u()), Flags(d.u()), d.ranges()
	case opExpunge:
		o.mailbox, o.uids = d.i(), d.ranges()
	case opCounters:
		o.mailbox, o.msg, o.validity = d.i(), d.i(), uint32(d.u())
	case opQueuePut:
		o.queued = decodeQueued(d)
	case opQueueDelete, opQueueCounter:
		o.mailbox = d.i()
	case opKeyPut:
		o.kindName, o.key, o.value, o.saved, o.internal = d.s(), d.s(), d.p(), d.i(), d.i()
	case opKeyDelete:
		o.kindName, o.key = d.s(), d.s()
	case opKeyDrop:
		o.kindName = d.s()
	case opKeyPrune:
		o.internal = d.i()
	default:
		d.err = fmt.Errorf("%w: kind %d", errDamagedOp, o.kind)
	}
	return o
}

func (q *Queued) encode(e *encoder) {
	e.i(q.ID)
	e.i(q.Msg)
	e.raw(q.File[:])
	e.i(q.Size)
	e.u(uint64(q.State))
	e.i(q.Due)
	e.i(q.Added)
	e.s(q.Destination)
	e.s(q.Sender)
	e.s(q.Recipient)
	e.s(q.Note)
	e.p(q.Value)
}

func decodeQueued(d *decoder) *Queued {
	q := &Queued{ID: d.i(), Msg: d.i()}
	copy(q.File[:], d.raw(16))
	q.Size, q.State, q.Due, q.Added = d.i(), uint8(d.u()), d.i(), d.i()
	q.Destination, q.Sender, q.Recipient, q.Note, q.Value = d.s(), d.s(), d.s(), d.s(), d.p()
	return q
}
