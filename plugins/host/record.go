package host

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"hauspost/plugins/abi"
)

// MaxRecord is about how large a Record is as JSON, in octets.
const MaxRecord = 8 << 10

// Record is what a plugin was told from outside in one run, by which the run
// can be done again.
type Record struct {
	// Time is where its clock began, in nanoseconds since 1970, Seed the seed of
	// its random octets.
	Time     int64           `json:"time"`
	Seed     []byte          `json:"seed,omitempty"`
	DNS      []DNSRecord     `json:"dns,omitempty"`
	Services []ServiceRecord `json:"services,omitempty"`
	// Cut tells that answers are missing because there were too many.
	Cut bool `json:"cut,omitempty"`

	size int
}

// DNSRecord is one answer of the DNS.
type DNSRecord struct {
	Question abi.Question `json:"q"`
	Answer   abi.Answer   `json:"a"`
}

// ServiceRecord is one reply of a service. Request is a hash of what was asked.
type ServiceRecord struct {
	Request string    `json:"request"`
	Errno   abi.Errno `json:"errno,omitempty"`
	Reply   []byte    `json:"reply,omitempty"`
}

// room tells whether n more octets fit.
func (r *Record) room(n int) bool {
	if r.size+n > MaxRecord-200 {
		r.Cut = true
		return false
	}
	r.size += n
	return true
}

func (r *Record) addDNS(q abi.Question, a abi.Answer) {
	n := len(q.Name) + 100
	for _, text := range a.Records {
		n += len(text) + 3
	}
	if r.room(n) {
		r.DNS = append(r.DNS, DNSRecord{q, a})
	}
}

func (r *Record) addService(s ServiceRecord) {
	if r.room(len(s.Reply)*4/3 + len(s.Request) + 50) {
		r.Services = append(r.Services, s)
	}
}

// answer gives what the DNS said then.
func (r *Record) answer(q abi.Question) abi.Answer {
	for i := range r.DNS {
		if r.DNS[i].Question == q {
			return r.DNS[i].Answer
		}
	}
	return abi.Answer{Status: int32(abi.ErrAgain)}
}

// reply gives what the service said then.
func (r *Record) reply(request string) ([]byte, abi.Errno) {
	for i := range r.Services {
		if s := &r.Services[i]; s.Request == request {
			return s.Reply, s.Errno
		}
	}
	return nil, abi.ErrAgain
}

// requestHash names a request in a record.
func requestHash(q *abi.ServiceRequest) string {
	h := sha256.New()
	b := binary.AppendUvarint(nil, uint64(len(q.Name)))
	b = append(b, q.Name...)
	if q.With {
		b = binary.AppendVarint(append(b, 1), int64(q.Part))
		b = binary.AppendVarint(b, int64(q.View))
	} else {
		b = append(b, 0)
	}
	h.Write(b)
	h.Write(q.Request)
	return hex.EncodeToString(h.Sum(nil)[:16])
}
