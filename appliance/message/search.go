package message

import (
	"bytes"
	"encoding/binary"
	"strings"
	"sync"
)

// maxReparse is how many messages in messages that are themselves encoded are
// decoded and read for a search.
const maxReparse = 3

// MatchHeader tells whether header has a field of that name whose value, raw
// or decoded, contains needle, folded by Fold. An empty needle asks whether
// there is such a field (SEARCH HEADER).
func MatchHeader(header []byte, name, needle string) bool {
	found := false
	s := newSearcher(needle)
	eachField(header, name, func(value []byte) bool {
		found = needle == "" || s.headerText(value)
		return !found
	})
	s.release()
	return found
}

// MatchText tells whether needle, folded by Fold, is found in the text of a
// message: in its text parts, decoded to UTF-8, in the headers of its parts,
// and in messages attached to it (SEARCH BODY). With headers the header of the
// message itself is searched too, raw and decoded (SEARCH TEXT). blob is the
// Structure that Index made of raw; where it is not, it is made anew.
func MatchText(raw, blob []byte, needle string, headers bool) bool {
	if needle == "" {
		return true
	}
	root, err := ParseStructure(blob)
	if err != nil || root.BodyEnd > len(raw) {
		return MatchText(raw, Index(raw).Structure, needle, headers)
	}
	s := newSearcher(needle)
	defer s.release()
	return headers && s.headerOf(raw, root) || s.body(raw, root, maxReparse)
}

// searcher looks for one needle.
type searcher struct {
	needle string
	// ascii tells that the needle is ASCII; rare is the index of its rarest
	// character before the first space, -1 if it begins with a space.
	ascii           bool
	rare            int
	folded, decoded []byte
	transfer        []byte
}

var searchers = sync.Pool{New: func() any { return new(searcher) }}

func newSearcher(needle string) *searcher {
	s := searchers.Get().(*searcher)
	s.needle, s.ascii, s.rare = needle, true, -1
	for i := range len(needle) {
		if needle[i] >= 0x80 {
			s.ascii = false
			return s
		}
	}
	word, _, _ := strings.Cut(needle, " ")
	// Letters from the rare to the common in European mail; what is not among
	// them is rarer still.
	const letters = "zqjxkvbywgpfmucdlhrsniotae"
	best := len(letters)
	for i := range len(word) {
		if rank := strings.IndexByte(letters, word[i]); s.rare < 0 || rank < best {
			s.rare, best = i, rank
		}
	}
	return s
}

func (s *searcher) release() {
	if cap(s.folded)+cap(s.decoded)+cap(s.transfer) <= 4<<20 {
		s.needle = ""
		searchers.Put(s)
	}
}

// body searches the body of a part and what is in it, but not its header.
func (s *searcher) body(raw []byte, p *Part, reparse int) bool {
	switch {
	case p.Children != nil:
		for _, c := range p.Children {
			if s.headerOf(raw, c) || s.body(raw, c, reparse) {
				return true
			}
		}
		return false
	case p.Message != nil && identity(p.Encoding):
		return s.headerOf(raw, p.Message) || s.body(raw, p.Message, reparse)
	case p.Message != nil:
		return reparse > 0 && s.encodedMessage(raw, p, reparse)
	case p.Type == "text":
		return s.textPart(raw[p.BodyStart:p.BodyEnd], p)
	}
	return false
}

func identity(encoding string) bool {
	return encoding != "base64" && encoding != "quoted-printable"
}

// encodedMessage searches an attached message that is in base64 or
// quoted-printable, which is not allowed but done.
func (s *searcher) encodedMessage(raw []byte, p *Part, reparse int) bool {
	inner, err := DecodeTransfer(nil, raw[p.BodyStart:p.BodyEnd], p.Encoding)
	if err != nil {
		return false
	}
	root, err := ParseStructure(Index(inner).Structure)
	if err != nil {
		return false
	}
	return s.headerOf(inner, root) || s.body(inner, root, reparse-1)
}

// textPart searches the body of a text part.
func (s *searcher) textPart(body []byte, p *Part) bool {
	charset, _ := p.Param("charset")
	if identity(p.Encoding) {
		if s.ascii && asciiSuperset(charset) {
			if s.rare >= 0 {
				found, sure := s.inASCII(body)
				if found || sure && isASCII(body) {
					return found
				}
			}
		}
	} else {
		decoded, err := DecodeTransfer(s.transfer[:0], body, p.Encoding)
		if err != nil {
			return false
		}
		s.transfer, body = decoded, decoded
	}
	return s.inCharset(body, charset)
}

// searchChunk is how much text is converted at once.
const searchChunk = 64 << 10

// inCharset searches text in the named charset, line by line in chunks, so that
// a long text takes little memory.
func (s *searcher) inCharset(text []byte, charset string) bool {
	step := searchChunk
	if len(charset) >= 6 && strings.EqualFold(charset[:6], "utf-16") {
		step = len(text) // its line ends are two octets
	}
	s.folded = s.folded[:0]
	for len(text) > 0 {
		n := lineEnd(text, min(step, len(text)))
		s.decoded = appendCharset(s.decoded[:0], text[:n], charset)
		text = text[n:]
		s.folded = appendFold(s.folded, s.decoded)
		if bytes.Contains(s.folded, []byte(s.needle)) {
			return true
		}
		// A match may begin in this chunk and end in the next.
		keep := min(len(s.needle)-1, len(s.folded))
		s.folded = append(s.folded[:0], s.folded[len(s.folded)-keep:]...)
	}
	return false
}

// inFolded searches text in UTF-8.
func (s *searcher) inFolded(text []byte) bool {
	s.folded = appendFold(s.folded[:0], text)
	return bytes.Contains(s.folded, []byte(s.needle))
}

// inASCII searches the ASCII in text without making a copy. It is sure of what
// it did not find, unless it took too much work and gave up.
func (s *searcher) inASCII(text []byte) (found, sure bool) {
	lower := s.needle[s.rare]
	upper := lower
	if 'a' <= lower && lower <= 'z' {
		upper -= 'a' - 'A'
	}
	work := 4 * len(text)
	low, up := nextByte(text, 0, lower), len(text)
	if upper != lower {
		up = nextByte(text, 0, upper)
	}
	for {
		at := min(low, up)
		if at == len(text) {
			return false, true
		}
		if at >= s.rare {
			ok, steps := s.matchAt(text[at-s.rare:])
			if ok {
				return true, true
			}
			if work -= steps; work < 0 {
				return false, false
			}
		}
		if at == low {
			low = nextByte(text, at+1, lower)
		}
		if at == up {
			up = nextByte(text, at+1, upper)
		}
	}
}

func nextByte(text []byte, from int, c byte) int {
	if i := bytes.IndexByte(text[from:], c); i >= 0 {
		return from + i
	}
	return len(text)
}

// matchAt tells whether text begins with the needle, and how many octets it
// looked at.
func (s *searcher) matchAt(text []byte) (ok bool, steps int) {
	i := 0
	for j := range len(s.needle) {
		if i >= len(text) || text[i] >= 0x80 || foldASCII[text[i]] != s.needle[j] {
			return false, i + 1
		}
		i++
		if s.needle[j] == ' ' {
			for i < len(text) && text[i] < 0x80 && foldASCII[text[i]] == ' ' {
				i++
			}
		}
	}
	return true, i
}

func isASCII(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		if binary.LittleEndian.Uint64(b)&0x8080808080808080 != 0 {
			return false
		}
	}
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// headerOf searches the header of a part, with the name of its file.
func (s *searcher) headerOf(raw []byte, p *Part) bool {
	header := raw[p.HeaderStart:min(p.HeaderEnd, p.HeaderStart+MaxHeader)]
	if s.headerText(header) {
		return true
	}
	return (extended(p.DispositionParams) || extended(p.Params)) && strings.Contains(Fold(p.Filename()), s.needle)
}

// extended tells whether a parameter is written as RFC 2231 has it.
func extended(list []Param) bool {
	for _, q := range list {
		if strings.Contains(q.Name, "*") {
			return true
		}
	}
	return false
}

// headerText searches header text as it stands, then decoded.
func (s *searcher) headerText(text []byte) bool {
	if s.inFolded(text) {
		return true
	}
	if plainHeader(text) {
		return false
	}
	s.decoded = appendDecodedWords(s.decoded[:0], text)
	return s.inFolded(s.decoded)
}
