package deliver

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/store"
)

// putOffSpace are the keys that say since when a message is put off, by the
// SHA-256 of its beginning. They live as long as other servers try.
const (
	putOffSpace = "deliver/put-off"
	putOffFor   = 7 * 24 * time.Hour
)

// sinceWhen notes when a message was first put off because of a filter without
// which mail must not pass, and dates the failure of a later try back to that.
// A message on which a filter fails each time would otherwise be put off until
// it comes back to its sender, as long as the filter works on others.
func (f *filters) sinceWhen(ctx context.Context, p *Policy, runs []envelope.Run) error {
	puts := func(r envelope.Run) bool { return r.Failure != "" && p.OnFailure[r.Filter] == "tempfail" }
	if p.QuarantineAfter <= 0 || !slices.ContainsFunc(runs, puts) {
		return nil
	}
	now := f.now()
	first, name := now, sha256.Sum256(f.content.Head())
	known, err := f.store.Keys(ctx, putOffSpace, [][]byte{name[:]}, now)
	switch {
	case err == nil && len(known) > 0:
		first = time.Unix(known[0].Number, 0)
	case err == nil:
		key := store.Key{Name: name[:], Number: now.Unix(), Expires: now.Add(putOffFor).Unix()}
		err = f.store.Update(ctx, func(tx *store.Tx) error { return tx.PutKey(putOffSpace, key) })
	}
	if err != nil {
		return fmt.Errorf("noting since when a message is put off: %w", err)
	}
	for i := range runs {
		if r := &runs[i]; puts(*r) && (r.Failing.IsZero() || first.Before(r.Failing)) {
			r.Failing = first
		}
	}
	return nil
}
