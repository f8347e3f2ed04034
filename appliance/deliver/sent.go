package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/message"
	"hauspost/appliance/queue"
	"hauspost/store"
)

// Sent files copies of submitted messages for authors whose mail program saved
// none. It implements queue.Sent.
type Sent struct {
	Store *store.Store
	Log   maillog.Log
	// Now may be nil (time.Now).
	Now func() time.Time
}

// savedBefore is how long before the message was submitted a mail program may
// have saved its own copy.
const savedBefore = 10 * time.Minute

// File files the copy of one message, or finds that there is one, and removes
// the row in the same commit. What was said of Bcc stands in the copy again:
// the author may know.
func (s *Sent) File(ctx context.Context, item *queue.Item) error {
	place, found, err := s.look(ctx, item)
	if err != nil {
		return fmt.Errorf("filing the copy of %s: %w", item.Message, err)
	}
	done := maillog.Filed{Account: item.Account, Mailbox: place.Mailbox, Found: found}
	dequeue := func(tx *store.Tx) error { return tx.Dequeue(item.ID) }
	switch {
	case found || place.Owner == "":
		err = s.Store.Update(ctx, dequeue)
	case item.Bcc == "":
		err = s.Store.Update(ctx, func(tx *store.Tx) error {
			row, err := tx.Queued(item.ID)
			if err != nil {
				return err
			}
			at, err := tx.Place(row, place)
			done.UID = at.UID
			return errors.Join(err, dequeue(tx))
		})
	default:
		done.UID, err = s.copyWithBcc(ctx, item, place, dequeue)
	}
	if err != nil {
		return fmt.Errorf("filing the copy of %s: %w", item.Message, err)
	}
	if place.Owner != "" {
		s.note(item.Message, done)
	}
	return nil
}

func (s *Sent) note(id envelope.ID, ev maillog.Event) {
	entry := s.Log.Emit(id, ev)
	if sid, err := store.ParseID(string(id)); err == nil {
		s.Store.AppendTrace(sid, maillog.Encode([]maillog.Entry{entry}))
	}
}

// look finds the mailbox for copies, and whether one is there: a message with
// the same Message-ID. A place without an owner means that the account has no
// mailboxes any more.
func (s *Sent) look(ctx context.Context, item *queue.Item) (place store.Place, found bool, err error) {
	boxes, err := s.Store.Mailboxes(ctx, item.Account)
	if err != nil || len(boxes) == 0 {
		return place, false, err
	}
	place = store.Place{Owner: item.Account, Mailbox: "Sent", Create: true, Flags: []string{`\Seen`}, Internal: item.Added}
	for _, b := range boxes {
		if b.SpecialUse == `\Sent` && !b.NoSelect {
			place.Mailbox, place.Create = b.Name, false
		}
	}
	for _, b := range boxes {
		if b.Name != place.Mailbox || b.NoSelect {
			continue
		}
		found, err = s.holds(ctx, b.ID, item)
	}
	return place, found, err
}

func (s *Sent) holds(ctx context.Context, mailbox int64, item *queue.Item) (bool, error) {
	l, err := s.Store.Live(ctx, mailbox)
	if err != nil {
		return false, err
	}
	defer l.Close()
	since := item.Added.Add(-savedBefore).Unix()
	var recent []store.Entry
	for _, e := range l.Entries(nil) {
		if e.Saved >= since {
			recent = append(recent, e)
		}
	}
	found := false
	err = s.Store.Rows(ctx, mailbox, recent, store.ColSearch, func(_ *store.Entry, r *store.Row) error {
		found = found || item.MessageID != "" && bytes.EqualFold(r.MessageID, []byte(item.MessageID))
		return nil
	})
	return found, err
}

// copyWithBcc stores the message once more, with the fields that were removed.
func (s *Sent) copyWithBcc(ctx context.Context, item *queue.Item, place store.Place, dequeue func(tx *store.Tx) error) (uint32, error) {
	row, err := s.Store.Queued(ctx, item.ID)
	if err != nil {
		return 0, err
	}
	raw, err := s.Store.ReadMessage(ctx, row.Entry(), nil)
	if err != nil {
		return 0, err
	}
	header, body := message.SplitHeader(raw)
	header = bytes.TrimSuffix(header, []byte("\r\n"))
	staged := s.Store.Stage()
	defer staged.Discard()
	for _, part := range [][]byte{header, []byte(item.Bcc), []byte("\r\n"), body} {
		if _, err := staged.Write(part); err != nil {
			return 0, err
		}
	}
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	id, err := store.ParseID(string(envelope.NewID(now())))
	if err != nil {
		return 0, err
	}
	placed, err := s.Store.Deliver(ctx, staged, store.Delivery{ID: id, Places: []store.Place{place}, With: dequeue})
	if err != nil {
		return 0, err
	}
	return placed[0].UID, nil
}

var _ queue.Sent = (*Sent)(nil)
var _ queue.Reports = (*Reports)(nil)
