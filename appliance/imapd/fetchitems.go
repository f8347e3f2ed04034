package imapd

import (
	"hauspost/appliance/imapd/wire"
	"hauspost/appliance/message"
	"hauspost/store"
)

// fetchItem is an item of FETCH as one command asks for it.
type fetchItem struct {
	name string
	// cols is what it needs of the index; text tells that it has to know where
	// the text of a large message begins.
	cols store.Columns
	text bool
	// seen tells that asking for it sets \Seen.
	seen bool
	// write appends the item with its name to the response.
	write func(f *fetcher) error
}

var (
	itemUID = fetchItem{write: func(f *fetcher) error {
		f.s.w.B = append(f.s.w.B, "UID "...)
		f.s.w.B = wire.AppendNumber(f.s.w.B, uint64(f.e.UID))
		return nil
	}}
	itemModSeq = fetchItem{write: func(f *fetcher) error {
		f.s.w.B = appendModSeq(f.s.w.B, f.e.ModSeq)
		return nil
	}}
)

// fetchItems is the table of items without a section.
var fetchItems = map[string]fetchItem{
	"UID":    itemUID,
	"MODSEQ": itemModSeq,
	"FLAGS": {write: func(f *fetcher) error {
		f.s.w.B = append(f.s.w.B, "FLAGS "...)
		f.s.w.B = f.s.appendFlags(f.s.w.B, f.e.UID, f.e.Flags)
		return nil
	}},
	"INTERNALDATE": {write: func(f *fetcher) error {
		f.s.w.B = append(f.s.w.B, "INTERNALDATE "...)
		f.s.w.B = wire.AppendDateTime(f.s.w.B, f.e.InternalDate())
		return nil
	}},
	"RFC822.SIZE": {write: func(f *fetcher) error {
		f.s.w.B = append(f.s.w.B, "RFC822.SIZE "...)
		f.s.w.B = wire.AppendNumber(f.s.w.B, uint64(f.e.Size))
		return nil
	}},
	"ENVELOPE": {cols: store.ColEnvelope, write: func(f *fetcher) error {
		f.s.w.B = append(f.s.w.B, "ENVELOPE "...)
		f.s.w.B = message.AppendEnvelope(f.s.w.B, f.envelope, f.s.utf8Names())
		return nil
	}},
	"BODYSTRUCTURE": {cols: store.ColStructure, write: func(f *fetcher) error {
		f.s.w.B = append(f.s.w.B, "BODYSTRUCTURE "...)
		f.s.w.B = message.AppendBodyStructure(f.s.w.B, f.structure, true, f.s.utf8Names())
		return nil
	}},
	"BODY": {cols: store.ColStructure, write: func(f *fetcher) error {
		f.s.w.B = append(f.s.w.B, "BODY "...)
		f.s.w.B = message.AppendBodyStructure(f.s.w.B, f.structure, false, f.s.utf8Names())
		return nil
	}},
	"RFC822":        wholeItem("RFC822", message.SectionBody, true),
	"RFC822.HEADER": wholeItem("RFC822.HEADER", message.SectionHeader, false),
	"RFC822.TEXT":   wholeItem("RFC822.TEXT", message.SectionText, true),
}

// wholeItem is one of the old items for a section of the whole message.
func wholeItem(label string, what message.Section, seen bool) fetchItem {
	sec := &section{what: what, label: label}
	return fetchItem{text: what == message.SectionText, seen: seen, write: sec.write}
}

// sectionItems is the table of items with a section in brackets. Each reads
// from the bracket on.
var sectionItems = map[string]func(c *call) (fetchItem, error){
	"BODY":        func(c *call) (fetchItem, error) { return readBodySection(c, true) },
	"BODY.PEEK":   func(c *call) (fetchItem, error) { return readBodySection(c, false) },
	"BINARY":      func(c *call) (fetchItem, error) { return readBinarySection(c, true) },
	"BINARY.PEEK": func(c *call) (fetchItem, error) { return readBinarySection(c, false) },
	"BINARY.SIZE": readBinarySize,
}

func readBodySection(c *call, seen bool) (fetchItem, error) {
	sec, err := readSection(c, "BODY", true)
	if err != nil {
		return fetchItem{}, err
	}
	it := fetchItem{text: sec.what == message.SectionText, seen: seen, write: sec.write}
	if len(sec.path) > 0 {
		it.cols = store.ColStructure
	}
	return it, nil
}

func readBinarySection(c *call, seen bool) (fetchItem, error) {
	sec, err := readSection(c, "BINARY", false)
	if err != nil {
		return fetchItem{}, err
	}
	return fetchItem{cols: store.ColStructure, seen: seen, write: sec.writeBinary}, nil
}

func readBinarySize(c *call) (fetchItem, error) {
	sec, err := readSection(c, "BINARY.SIZE", false)
	if err != nil {
		return fetchItem{}, err
	}
	if sec.partial {
		return fetchItem{}, bad("Syntax: BINARY.SIZE has no partial range")
	}
	return fetchItem{cols: store.ColStructure, write: sec.writeBinarySize}, nil
}
