package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"hauspost/appliance/envelope"
	"hauspost/appliance/report"
	"hauspost/store"
)

// ErrNoSuch: no row has that number, and no row is of that message.
var ErrNoSuch = errors.New("nothing like that is in the queue")

// ParseName tells whether s is the number of a row or the ID of a message, and
// makes a filter of it.
func ParseName(s string) (Filter, error) {
	s = strings.TrimSpace(s)
	if id, err := store.ParseID(strings.ToLower(s)); err == nil {
		return Filter{Messages: []envelope.ID{envelope.ID(id.String())}}, nil
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(s, "#"), 10, 64)
	if err != nil || n <= 0 {
		return Filter{}, fmt.Errorf("%q is neither the number of an entry nor the ID of a message", s)
	}
	return Filter{Numbers: []int64{n}}, nil
}

// Detail is all that is known of one row.
type Detail struct {
	Entry
	// EnvID, Ret, Notify and ORcpt are the DSN parameters (RFC 3461).
	EnvID  string `json:"envid,omitempty"`
	Ret    string `json:"ret,omitempty"`
	Notify string `json:"notify,omitempty"`
	ORcpt  string `json:"orcpt,omitempty"`
	// SMTPUTF8, Body, RequireTLS and TLSOptional are as it was accepted.
	SMTPUTF8    bool   `json:"smtputf8,omitempty"`
	Body        string `json:"body,omitempty"`
	RequireTLS  bool   `json:"require_tls,omitempty"`
	TLSOptional bool   `json:"tls_optional,omitempty"`
	// Reading says in plain words what the last attempt brought, Advice what
	// can be done about it.
	Reading string `json:"reading,omitempty"`
	Advice  string `json:"advice,omitempty"`
	// Waited and Counted are in seconds: how long it has been waiting while the
	// box ran, and the part of it after which it expires at ExpiresAfter.
	Waited       int64 `json:"waited_seconds"`
	Counted      int64 `json:"counted_seconds"`
	ExpiresAfter int64 `json:"expires_after_seconds"`
	// Failing is set while nothing gets through to its destination.
	Failing *Failing `json:"failing,omitempty"`
}

// Show gives all that is known of a row by its number, or of all rows of a
// message by its ID; see ParseName. ErrNoSuch.
func (q *Queue) Show(ctx context.Context, name string) ([]Detail, error) {
	f, err := ParseName(name)
	if err != nil {
		return nil, err
	}
	rows, err := q.chosen(ctx, &f, nil, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the queue: %w", err)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s: %w", name, ErrNoSuch)
	}
	known, err := q.knowledge(ctx)
	if err != nil {
		return nil, err
	}
	details := make([]Detail, len(rows))
	for i := range rows {
		r, d := &rows[i], &details[i]
		d.Entry, d.Failing = known.entry(r), known.failing[r.Destination]
		d.ExpiresAfter = int64(q.o.Limits.Expiry.Seconds())
		it, err := ItemOf(r)
		if err != nil {
			continue
		}
		d.EnvID, d.Ret, d.Notify, d.ORcpt = it.EnvID, it.Ret, it.Recipient.Notify, it.Recipient.ORcpt
		d.SMTPUTF8, d.Body, d.RequireTLS, d.TLSOptional = it.SMTPUTF8, it.Body, it.RequireTLS, it.TLSOptional
		d.Waited, d.Counted = it.Waited/1000, it.Counted/1000
		if it.Last != nil {
			d.Reading, d.Advice = reading(it.Last), report.Advice(it.Last.Outcome, it.Last.Host)
		}
	}
	return details, nil
}
