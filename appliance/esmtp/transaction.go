package esmtp

import (
	"context"
	"io"
	"slices"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
)

// Transaction is what a policy notes of one message: the engine itself keeps
// only the state of the protocol.
type Transaction struct {
	Envelope *envelope.Envelope
	// Trace is that of the message.
	Trace *maillog.Trace
	// Step is the last command that was accepted, for the trace.
	Step string
	// Stored tells that the message is durable.
	Stored bool
	// keys are those of the recipients, to find repeated ones.
	keys []string
}

// Begin begins a transaction at MAIL, with all that the peer and the connection
// have told of it.
func (r *Recorder) Begin(c *Conn, m Mail, now time.Time) Transaction {
	id := envelope.NewID(now)
	return Transaction{Step: "MAIL", Trace: r.o.Log.NewTrace(id), Envelope: &envelope.Envelope{
		ID: id, From: m.From, Size: m.Size, SMTPUTF8: m.SMTPUTF8, Body: m.Body,
		EnvID: m.EnvID, Ret: m.Ret, RequireTLS: m.RequireTLS, Received: now,
		Client: envelope.Client{
			Addr: c.Remote(), Local: c.Local(), HELO: c.Helo(),
			Protocol: c.Protocol(m.SMTPUTF8), TLS: c.TLSText(),
		},
	}}
}

// Has tells whether addr is a recipient already.
func (t *Transaction) Has(addr envelope.Address) bool {
	return slices.Contains(t.keys, addr.Key())
}

// Add adds a recipient once; the parameters of the first time count.
func (t *Transaction) Add(r envelope.Recipient) (added bool) {
	if t.Has(r.Address) {
		return false
	}
	t.keys = append(t.keys, r.Address.Key())
	t.Envelope.To = append(t.Envelope.To, r)
	return true
}

// Staging is the content of one message on its way in. After the writes exactly
// one of Commit and Discard is called.
type Staging interface {
	// Write gets the content piece by piece and must not keep p. Its error is
	// the answer (reply.Of).
	io.Writer
	// Commit makes the message durable. nil means that it is and that the
	// peer may be told 250; any error is the answer (reply.Of), and nothing
	// of the message may be left.
	Commit(ctx context.Context) error
	// Discard drops what was written.
	Discard()
}

// commit makes the message durable and gives the answer. Only a nil of
// Staging.Commit leads to a 250.
func (t *Transaction) commit(ctx context.Context, s Staging) *reply.Reply {
	if err := s.Commit(ctx); err != nil {
		r := reply.Of(err)
		if r.Code < 400 {
			r = reply.LocalError.Because(err)
		}
		return r
	}
	t.Stored = true
	return reply.New(250, "2.6.0", "accepted", "Accepted as "+string(t.Envelope.ID))
}
