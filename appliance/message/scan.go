package message

import (
	"bytes"
	"encoding/binary"
)

// boundary is the boundary of an open multipart.
type boundary struct {
	text []byte
	// first and mask are its first eight octets, to tell most lines apart
	// without looking at text.
	first, mask uint64
}

func makeBoundary(text []byte) boundary {
	var b [8]byte
	n := copy(b[:], text)
	mask := ^uint64(0)
	if n < 8 {
		mask = 1<<(8*n) - 1
	}
	return boundary{text: text, first: binary.LittleEndian.Uint64(b[:]), mask: mask}
}

// delimiter is a boundary line, or the end of the message.
type delimiter struct {
	// start is the offset of the line, after that of the next one.
	start, after int
	// level is the multipart that it belongs to, an index of bounds; -1 at the
	// end of the message.
	level int
	// last tells that it closes the multipart.
	last bool
}

// bodyEnd gives the end of a body that begins at start and that the delimiter
// ends: the line end before it belongs to the delimiter (RFC 2046, section
// 5.1.1).
func (x *indexer) bodyEnd(start int, d delimiter) int {
	end := d.start
	if d.level < 0 {
		return max(start, end)
	}
	if end > start && x.raw[end-1] == '\n' {
		end--
		if end > start && x.raw[end-1] == '\r' {
			end--
		}
	}
	return max(start, end)
}

// next finds the next delimiter from the line that begins at pos.
func (x *indexer) next(pos int) delimiter {
	if len(x.bounds) > 0 {
		if d, ok := x.delimiterAt(pos); ok {
			return d
		}
		for {
			i := bytes.Index(x.raw[pos:], []byte("\n--"))
			if i < 0 {
				break
			}
			pos += i + 1
			if d, ok := x.delimiterAt(pos); ok {
				return d
			}
		}
	}
	return delimiter{start: len(x.raw), after: len(x.raw), level: -1}
}

// delimiterAt tells whether the line that begins at pos is a delimiter. It need
// only begin with the boundary (RFC 2046, section 5.1.1); where several do, the
// longest is meant, and the innermost of those that are the same.
func (x *indexer) delimiterAt(pos int) (delimiter, bool) {
	line := x.raw[pos:]
	if len(line) < 3 || line[0] != '-' || line[1] != '-' {
		return delimiter{}, false
	}
	line = line[2:]
	var first uint64
	if len(line) >= 8 {
		first = binary.LittleEndian.Uint64(line)
	} else {
		var b [8]byte
		copy(b[:], line)
		first = binary.LittleEndian.Uint64(b[:])
	}
	found, length := -1, 0
	for i := len(x.bounds) - 1; i >= 0; i-- {
		b := &x.bounds[i]
		if first&b.mask == b.first && len(b.text) > length && bytes.HasPrefix(line, b.text) {
			found, length = i, len(b.text)
		}
	}
	if found < 0 {
		return delimiter{}, false
	}
	return delimiter{
		start: pos,
		after: lineEnd(x.raw, pos),
		level: found,
		last:  bytes.HasPrefix(line[length:], []byte("--")),
	}, true
}

// linesBefore gives how many lines end before pos. Its calls go forward, but
// for a line end or two, so that all together pass once over the message.
func (x *indexer) linesBefore(pos int) int {
	if pos >= x.linesAt {
		x.lines += bytes.Count(x.raw[x.linesAt:pos], []byte{'\n'})
	} else {
		x.lines -= bytes.Count(x.raw[pos:x.linesAt], []byte{'\n'})
	}
	x.linesAt = pos
	return x.lines
}

// readHeader reads the header at start into x.header. It ends with its empty
// line; without one, at a delimiter, which is given too, or at the end.
func (x *indexer) readHeader(start int) (end int, cut delimiter, isCut bool) {
	x.header.reset()
	pos := start
	for pos < len(x.raw) {
		if len(x.bounds) > 0 && x.raw[pos] == '-' {
			if d, ok := x.delimiterAt(pos); ok {
				return x.bodyEnd(start, d), d, true
			}
		}
		field, _, ok := cutField(x.raw[pos:])
		if !ok {
			return pos + blankLine(x.raw[pos:]), delimiter{}, false
		}
		if limit := start + MaxHeader - pos; limit > 0 {
			x.header.add(field[:min(len(field), limit)])
		}
		pos += len(field)
	}
	return pos, delimiter{}, false
}

// entityContext is what an entity (RFC 2045, section 2.4) gets from around it.
type entityContext struct {
	// start is where its header begins, parent the node of what holds it.
	start, parent int
	depth         int
	// root and message tell that its header is that of a message, digest that
	// it is a message where it does not say otherwise.
	root, message, digest bool
}

// entity reads one entity with all that is in it and gives the delimiter that
// ends it.
func (x *indexer) entity(c entityContext) delimiter {
	at := len(x.nodes)
	x.nodes = append(x.nodes, node{parent: c.parent, headerStart: c.start})
	end, d, isCut := x.readHeader(c.start)
	if c.root {
		x.indexRoot()
	}
	if c.message {
		x.writeEmbedded(c.parent)
	}
	boundaryText := x.describe(&x.nodes[at], c)
	kind := x.nodes[at].kind
	x.nodes[at].headerEnd = end
	n := &x.nodes[at]
	switch {
	case isCut: // nothing is left for a body
		if n.kind.container() {
			x.emptyChild(at, end)
		}
		x.nodes[at].bodyEnd = end
		return d
	case kind == kindMessage || kind == kindGlobal:
		n.children = 1
		lines := x.linesBefore(end)
		d = x.entity(entityContext{start: end, parent: at, depth: c.depth + 1, message: true})
		x.nodes[at].lines = x.linesBefore(x.bodyEnd(end, d)) - lines
	case kind == kindMultipart:
		d = x.multipart(at, boundaryText, end, c.depth)
	case kind == kindText:
		lines := x.linesBefore(end)
		d = x.next(end)
		n.lines = x.linesBefore(x.bodyEnd(end, d)) - lines
	default:
		d = x.next(end)
	}
	x.nodes[at].bodyEnd = x.bodyEnd(end, d)
	return d
}

// multipart reads the parts of the multipart whose node is at and whose body
// begins at start.
func (x *indexer) multipart(at int, text []byte, start, depth int) delimiter {
	level := len(x.bounds)
	x.bounds = append(x.bounds, makeBoundary(text))
	digest := x.nodes[at].digest
	d := x.next(start)
	for d.level == level && !d.last {
		if len(x.nodes) >= MaxParts {
			d = x.next(d.after)
			continue
		}
		x.nodes[at].children++
		d = x.entity(entityContext{start: d.after, parent: at, depth: depth + 1, digest: digest})
	}
	x.bounds = x.bounds[:level]
	if d.level == level {
		d = x.next(d.after)
	}
	if x.nodes[at].children == 0 {
		x.emptyChild(at, x.bodyEnd(start, d))
	}
	return d
}

// emptyChild adds an empty text part at offset pos to the container whose node
// is at, the last so far: IMAP has no multipart without parts and no message
// without a body.
func (x *indexer) emptyChild(at, pos int) {
	x.header.reset()
	if x.nodes[at].kind != kindMultipart {
		x.writeEmbedded(at)
	}
	child := node{parent: at, headerStart: pos, headerEnd: pos, bodyEnd: pos}
	x.describe(&child, entityContext{depth: MaxDepth})
	x.nodes = append(x.nodes, child)
	x.nodes[at].children = 1
}
