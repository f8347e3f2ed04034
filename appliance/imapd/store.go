package imapd

import (
	"slices"
	"strings"

	"hauspost/appliance/imapd/wire"
	"hauspost/store"
)

// storing is one STORE command.
type storing struct {
	op     store.FlagOp
	silent bool
	flags  []string
	// since is the UNCHANGEDSINCE of RFC 7162, if conditional.
	since       uint64
	conditional bool
}

func runStore(s *session, c *call) error {
	if err := c.Space(); err != nil {
		return err
	}
	wanted, err := s.wants(c)
	if err != nil {
		return err
	}
	st, err := s.readStore(c)
	if err != nil {
		return err
	}
	if err := s.mayChange(); err != nil {
		return err
	}
	if st.conditional {
		s.enableCondstore()
	}
	uids := pick(s.box.uids, wanted)
	if len(uids) == 0 {
		// The store would make places for keywords that no message gets.
		return nil
	}
	if st.conditional && st.since == 0 {
		// Nothing is unchanged since before the beginning, and 0 means
		// something else to the store.
		return s.storeModified(c, uids)
	}
	marking := s.beginMark(uids, st)
	result, err := s.srv.store.SetFlags(s.srv.ctx, s.box.id, uids, st.op, st.flags, st.since)
	if err != nil {
		return err
	}
	s.endMark(marking, result.Changed)
	s.answerStore(c, st.silent, result.Changed)
	if len(result.Modified) > 0 {
		return s.storeModified(c, result.Modified)
	}
	if !c.byUID && len(result.Changed) < len(uids) {
		return ok("EXPUNGEISSUED", "Some of the messages are gone")
	}
	return nil
}

func (s *session) readStore(c *call) (*storing, error) {
	st := &storing{}
	if err := c.Space(); err != nil {
		return nil, err
	}
	if c.Peek() == '(' {
		if err := c.List(func() error { return st.readModifier(c) }); err != nil {
			return nil, err
		}
		if err := c.Space(); err != nil {
			return nil, err
		}
	}
	item, err := c.Word()
	if err != nil {
		return nil, err
	}
	item, st.silent = strings.CutSuffix(item, ".SILENT")
	switch item {
	case "FLAGS":
		st.op = store.FlagsReplace
	case "+FLAGS":
		st.op = store.FlagsAdd
	case "-FLAGS":
		st.op = store.FlagsRemove
	default:
		return nil, bad("Syntax: expected FLAGS, +FLAGS or -FLAGS")
	}
	if err := c.Space(); err != nil {
		return nil, err
	}
	if c.Peek() == '(' {
		if st.flags, err = c.Flags(); err != nil {
			return nil, err
		}
		return st, c.End()
	}
	for {
		f, err := c.Flag()
		if err != nil {
			return nil, err
		}
		st.flags = append(st.flags, f)
		if !c.Skip(' ') || c.AtEnd() {
			return st, c.End()
		}
	}
}

func (st *storing) readModifier(c *call) error {
	name, err := c.Word()
	if err != nil {
		return err
	}
	if name != "UNCHANGEDSINCE" {
		return bad("There is no STORE modifier %s", name)
	}
	if err := c.Space(); err != nil {
		return err
	}
	st.conditional = true
	st.since, err = c.Number64()
	return err
}

// answerStore writes the FETCH responses of STORE and notes that the client
// knows of the changes.
func (s *session) answerStore(c *call, silent bool, changed []store.Entry) {
	b := s.box
	s.know(changed)
	if silent && !s.condstore {
		return
	}
	s.tellKeywords(changed)
	at := 0
	for i := range changed {
		e := &changed[i]
		for at < len(b.uids) && b.uids[at] < e.UID {
			at++
		}
		s.writeFlagFetch(at+1, e, c.byUID, silent)
	}
}

// know notes changes of which the client need not be told again.
func (s *session) know(changed []store.Entry) {
	b := s.box
	b.told = slices.Grow(b.told[:0], len(changed))
	for i := range changed {
		b.told = append(b.told, knownChange{changed[i].UID, changed[i].ModSeq})
	}
}

// storeModified answers with the messages that were left alone.
func (s *session) storeModified(c *call, uids []uint32) error {
	if len(uids) == 0 {
		return nil
	}
	numbers := uids
	if !c.byUID {
		numbers = make([]uint32, 0, len(uids))
		for _, u := range uids {
			if i, found := slices.BinarySearch(s.box.uids, u); found {
				numbers = append(numbers, uint32(i+1))
			}
		}
	}
	return ok("MODIFIED "+string(wire.AppendSet(nil, numbers)), "Some of the messages were changed meanwhile")
}
