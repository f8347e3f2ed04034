package submit

import (
	"fmt"
	"time"

	"hauspost/appliance/esmtp"
	"hauspost/appliance/reply"
)

// maxPayers bounds the table of those who sent something within the hour.
const maxPayers = 10000

// meter counts what each person sends. nil counts nothing.
type meter struct {
	buckets    *esmtp.Buckets[string]
	limit      int
	name, what string
}

func newMeter(limit, usual int, name, what string) *meter {
	if limit == 0 {
		limit = usual
	}
	if limit < 0 {
		return nil
	}
	return &meter{esmtp.NewBuckets[string](limit, time.Hour, maxPayers), limit, name, what}
}

// take counts one, or refuses it and says when there will be room.
func (m *meter) take(now time.Time, payer string) *reply.Reply {
	if m == nil || m.buckets.Take(now, payer) {
		return nil
	}
	text := fmt.Sprintf("You have used up your %d %s per hour, please try again after %s",
		m.limit, m.what, clock(now, m.buckets.Next(now, payer)))
	return reply.New(450, "4.7.1", m.name, text)
}

// payer is whose rate the transaction counts against: the person's, or that of
// the address within a trusted network. Of IPv6 it is the /64 network: a machine
// there may call itself by as many addresses as it likes.
func (s *session) payer() string {
	if a := s.tx.author; !a.Trusted {
		return "person " + a.Person.ID
	}
	return "address " + esmtp.Network(s.conn.Remote().Addr()).String()
}

// clock names the first full minute after at, with its day where that is more
// than a day from now.
func clock(now, at time.Time) string {
	at = at.UTC().Add(time.Minute - 1).Truncate(time.Minute)
	if at.Sub(now) < 24*time.Hour {
		return at.Format("15:04 UTC")
	}
	return at.Format("2 January 15:04 UTC")
}
