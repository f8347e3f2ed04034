package smtpd

import (
	"slices"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
)

// transaction is what was said of one message so far.
type transaction struct {
	trace *maillog.Trace
	env   *envelope.Envelope
	// keys are those of the recipients, to find repeated ones.
	keys []string
	// step is the last command that was accepted, for the trace.
	step   string
	stored bool
}

// add adds a recipient once.
func (tx *transaction) add(r envelope.Recipient) (added bool) {
	key := r.Address.Key()
	if slices.Contains(tx.keys, key) {
		return false
	}
	tx.keys = append(tx.keys, key)
	tx.env.To = append(tx.env.To, r)
	return true
}
