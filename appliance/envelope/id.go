package envelope

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"
)

// ID names one message, or one attempt to hand one over, in the trace, the log
// and the store: 26 characters of lower-case Crockford base32, which sort by
// the time at which they were made.
type ID string

var idText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID makes an ID from 48 bits of milliseconds and 80 random bits.
func NewID(now time.Time) ID {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	rand.Read(b[6:])
	return ID(idText.EncodeToString(b[:]))
}
