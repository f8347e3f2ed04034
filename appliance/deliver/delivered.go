package deliver

import (
	"hauspost/appliance/envelope"
	"hauspost/store"
)

// Delivered tells of a message that is in mailboxes.
type Delivered struct {
	Envelope *envelope.Envelope
	Verdict  *envelope.Verdict
	// Size is that of prefix and content, in octets.
	Size   int64
	Places []DeliveredTo
}

// DeliveredTo is one mailbox that has the message.
type DeliveredTo struct {
	// Account is the address of the mailbox's owner.
	Account, Mailbox string
	// Junk tells that it is the mailbox for junk.
	Junk bool
	// Entry reads the message; its flags are not set.
	Entry store.Entry
}

func (c *commit) delivered(id store.ID, size int64, r *routes, placed []store.Placed) Delivered {
	d := Delivered{Envelope: c.env, Verdict: c.verdict, Size: size}
	for i, at := range placed {
		p := &r.placements[i]
		d.Places = append(d.Places, DeliveredTo{
			Account: p.target.Address.String(), Mailbox: at.Mailbox, Junk: p.junk,
			Entry: store.Entry{UID: at.UID, ModSeq: at.ModSeq, Msg: at.Msg, ID: id, Size: uint32(size)},
		})
	}
	return d
}
