package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// actor is a mail program: it appends, sets and removes flags, moves and
// expunges, and notes in the ledger what was acknowledged. It never touches
// again what it is not sure of.
type actor struct {
	load   *load
	person string

	c        *imapclient.Client
	selected string
	mail     []held
	// seen is the highest UID that it looked at in INBOX.
	seen imap.UID
	done int
}

// held is one message that the actor knows the place of.
type held struct {
	id, mailbox string
	uid         imap.UID
}

func (a *actor) workOn(ctx context.Context, r *rand.Rand) {
	for ctx.Err() == nil {
		err := a.session(ctx, r)
		if a.c != nil {
			a.c.Close()
			a.c = nil
		}
		switch {
		case err == nil, a.load.ending.Load():
			return
		case !a.load.retry:
			a.load.t.Errorf("mail program of %s: %v", a.person, err)
			return
		}
	}
}

// session signs in and works until an error or the end.
func (a *actor) session(ctx context.Context, r *rand.Rand) (err error) {
	if a.c, err = a.load.b.dialIMAP(a.person); err != nil {
		return err
	}
	a.selected = ""
	for _, name := range []string{"Work", "Done"} {
		var exists *imap.Error
		if err := a.c.Create(name, nil).Wait(); err != nil && !(errors.As(err, &exists) && exists.Code == imap.ResponseCodeAlreadyExists) {
			return fmt.Errorf("making %s: %w", name, err)
		}
	}
	for ctx.Err() == nil {
		if err := a.step(r); err != nil {
			return err
		}
		a.done++
	}
	return nil
}

func (a *actor) step(r *rand.Rand) error {
	n := r.IntN(100)
	if len(a.mail) == 0 && n >= 55 {
		n = 0
	}
	switch {
	case n < 40:
		return a.append(r)
	case n < 55:
		return a.collect()
	}
	i := r.IntN(len(a.mail))
	m := a.mail[i]
	if err := a.open(m.mailbox); err != nil {
		return err
	}
	a.mail = slices.Delete(a.mail, i, i+1) // until the answer is there
	switch {
	case n < 75:
		return a.flag(r, m)
	case n < 90:
		return a.move(r, m)
	default:
		return a.expunge(m)
	}
}

func (a *actor) open(mailbox string) error {
	if a.selected == mailbox {
		return nil
	}
	if _, err := a.c.Select(mailbox, nil).Wait(); err != nil {
		a.selected = ""
		return fmt.Errorf("opening %s: %w", mailbox, err)
	}
	a.selected = mailbox
	return nil
}

func (a *actor) append(r *rand.Rand) error {
	l := a.load
	m, content := compose(fmt.Sprintf("a%d", l.next.Add(1)), l.size(r), r)
	l.ledger.sending(m, "Work", a.person)
	l.ledger.change(a.person, m.id, func(c *claim) { c.flags[`\Seen`], c.flags["$Label1"] = true, true })
	cmd := a.c.Append("Work", int64(len(content)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen, "$Label1"}})
	_, werr := cmd.Write(content)
	cerr := cmd.Close()
	data, err := cmd.Wait()
	if err = errors.Join(err, werr, cerr); err != nil {
		if l.refused(err) {
			l.ledger.answered(m, false, a.person)
			l.refusals.Add(1)
		}
		return fmt.Errorf("APPEND: %w", err)
	}
	l.ledger.change(a.person, m.id, func(c *claim) { c.min, c.uid = 1, uint32(data.UID) })
	l.ledger.answered(m, true, a.person)
	if data.UID == 0 {
		return errors.New("APPEND: no APPENDUID")
	}
	a.mail = append(a.mail, held{m.id, "Work", data.UID})
	return nil
}

// collect looks for new mail in INBOX. What it was shown must stay.
func (a *actor) collect() error {
	if err := a.open("INBOX"); err != nil {
		return err
	}
	header := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"X-Marker"}, Peek: true}
	list, err := a.c.Fetch(imap.UIDSet{imap.UIDRange{Start: a.seen + 1}}, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{header}}).Collect()
	if err != nil {
		return fmt.Errorf("FETCH: %w", err)
	}
	for _, msg := range list {
		if msg.UID <= a.seen {
			continue
		}
		id, _, _, ok := identify(msg.FindBodySection(header))
		if !ok || !a.load.ledger.known(a.person, id) {
			return fmt.Errorf("a message %q that nobody sent", id)
		}
		a.load.ledger.change(a.person, id, func(c *claim) { c.min, c.uid = 1, uint32(msg.UID) })
		a.mail = append(a.mail, held{id, "INBOX", msg.UID})
		a.seen = msg.UID
	}
	return nil
}

func (a *actor) flag(r *rand.Rand, m held) error {
	flag := []string{`\Seen`, `\Flagged`, `\Answered`, `$Label1`}[r.IntN(4)]
	set := r.IntN(3) > 0
	if err := a.store(m, flag, set); err != nil {
		return err
	}
	a.mail = append(a.mail, m)
	return nil
}

// store changes one flag, and the ledger with it.
func (a *actor) store(m held, flag string, set bool) error {
	op := imap.StoreFlagsDel
	if set {
		op = imap.StoreFlagsAdd
	}
	var before bool
	a.load.ledger.change(a.person, m.id, func(c *claim) { before = c.flags[flag]; delete(c.flags, flag) })
	err := a.c.Store(imap.UIDSetNum(m.uid), &imap.StoreFlags{Op: op, Silent: true, Flags: []imap.Flag{imap.Flag(flag)}}, nil).Close()
	if err == nil {
		a.load.ledger.change(a.person, m.id, func(c *claim) { c.flags[flag] = set })
		return nil
	}
	if a.load.refused(err) {
		a.load.refusals.Add(1)
		a.load.ledger.change(a.person, m.id, func(c *claim) { c.flags[flag] = before })
	}
	return fmt.Errorf("STORE: %w", err)
}

func (a *actor) move(r *rand.Rand, m held) error {
	to := []string{"Work", "Done"}[r.IntN(2)]
	if to == m.mailbox {
		a.mail = append(a.mail, m)
		return nil
	}
	var uid uint32
	a.load.ledger.change(a.person, m.id, func(c *claim) { uid, c.uid, c.in = c.uid, 0, []string{m.mailbox, to} })
	data, err := a.c.Move(imap.UIDSetNum(m.uid), to).Wait()
	if err != nil {
		if a.load.refused(err) {
			a.load.refusals.Add(1)
			a.load.ledger.change(a.person, m.id, func(c *claim) { c.uid, c.in = uid, []string{m.mailbox} })
		}
		return fmt.Errorf("MOVE: %w", err)
	}
	dest, ok := data.DestUIDs.(imap.UIDSet)
	if nums, limited := dest.Nums(); ok && limited && len(nums) == 1 {
		m.uid = nums[0]
	} else {
		return fmt.Errorf("MOVE of one message: COPYUID names %v", data.DestUIDs)
	}
	m.mailbox = to
	a.load.ledger.change(a.person, m.id, func(c *claim) { c.uid, c.in = uint32(m.uid), []string{to} })
	a.mail = append(a.mail, m)
	return nil
}

func (a *actor) expunge(m held) error {
	if err := a.store(m, `\Deleted`, true); err != nil {
		return err
	}
	a.load.ledger.change(a.person, m.id, func(c *claim) { c.min = 0 })
	if err := a.c.UIDExpunge(imap.UIDSetNum(m.uid)).Close(); err != nil {
		if a.load.refused(err) {
			a.load.refusals.Add(1)
			a.load.ledger.change(a.person, m.id, func(c *claim) { c.min = 1 })
		}
		return fmt.Errorf("UID EXPUNGE: %w", err)
	}
	a.load.ledger.change(a.person, m.id, func(c *claim) { c.max = 0 })
	return nil
}
