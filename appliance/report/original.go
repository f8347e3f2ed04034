package report

import (
	"bytes"
	"mime"
	"mime/quotedprintable"
	"strings"
	"unicode/utf8"
)

// maxHeader is how much of a header is returned, in octets: whole fields of it.
const maxHeader = 64 << 10

// part is one part of the multipart/report.
type part struct {
	contentType, encoding string
	body                  []byte
}

// header gives the header of the message reported on: without the empty line
// and no longer than maxHeader. cut tells that there was more.
func (n *Notice) header() (h []byte, cut bool) {
	h = n.Header
	if len(h) == 0 {
		h = n.Content
	}
	longer := len(h) > maxHeader
	end, last := 0, 0 // last is the start of the last field
	for end < min(len(h), maxHeader) {
		nl := bytes.IndexByte(h[end:], '\n')
		line := h[end:]
		if nl >= 0 {
			line = h[end : end+nl+1]
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return h[:end], false
		}
		if line[0] != ' ' && line[0] != '\t' {
			last = end
		}
		end += len(line)
	}
	if !longer {
		return h[:end], false
	}
	if last == 0 {
		last = maxHeader
	}
	return h[:last], true
}

// full tells whether the whole message is returned (RFC 3461, section 4.3): by
// reports of failure alone, where its size allows it and its lines travel as
// they are. An 8-bit header needs a report that may hold UTF-8.
func (n *Notice) full(header []byte) bool {
	if known(n.Kind) != Failed || strings.EqualFold(n.Ret, "HDRS") || len(n.Content) == 0 || len(n.Content) > n.MaxContent || !travels(n.Content) {
		return false
	}
	return isASCII(header) || n.wide() && utf8.Valid(header)
}

// original makes the third part: the message or its header. ok is false where
// there is none.
func (n *Notice) original() (p part, ok bool) {
	header, _ := n.header()
	if len(header) == 0 {
		return part{}, false
	}
	ascii, full := isASCII(header), n.full(header)
	switch {
	case full && ascii:
		return part{"message/rfc822", bitsOf(n.Content), n.Content}, true
	case full:
		return part{"message/global", bitsOf(n.Content), n.Content}, true
	case ascii && travels(header):
		return part{"text/rfc822-headers", "7bit", header}, true
	case n.wide() && utf8.Valid(header) && travels(header):
		return part{"message/global-headers", "8bit", header}, true
	}
	// RFC 6522, section 4, allows this encoding for a header that is broken.
	return part{"text/rfc822-headers", "quoted-printable", quotedPrintable(header)}, true
}

// travels tells whether every server takes b as it is, but for its eighth bit:
// lines that end in CRLF and are not too long, no NUL and no CR or LF alone.
func travels(b []byte) bool {
	for line := range bytes.SplitAfterSeq(b, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		line, ok := bytes.CutSuffix(line, []byte("\r\n"))
		if !ok || len(line) > 998 || bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0 {
			return false
		}
	}
	return true
}

// bitsOf gives the encoding of a part that is not encoded.
func bitsOf(b []byte) string {
	if isASCII(b) {
		return "7bit"
	}
	return "8bit"
}

// quotedPrintable encodes lines, which may end in LF alone. A CR within a line
// stays what it is and begins no new one.
func quotedPrintable(b []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.SplitAfterSeq(b, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		w := quotedprintable.NewWriter(&out)
		w.Binary = true
		w.Write(line) // a bytes.Buffer takes all
		w.Close()
		out.WriteString("\r\n")
	}
	return out.Bytes()
}

// fieldOf gives the value of the first field of that name, unfolded, or "".
func fieldOf(header []byte, name string) string {
	var value []byte
	found := false
	for line := range bytes.SplitAfterSeq(header, []byte("\n")) {
		switch {
		case found && len(line) > 0 && (line[0] == ' ' || line[0] == '\t'):
			value = append(value, bytes.TrimRight(line, "\r\n")...)
			continue
		case found:
			return strings.TrimSpace(string(value))
		}
		if key, rest, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(strings.TrimRight(string(key), " \t"), name) {
			found, value = true, append(value, bytes.TrimRight(rest, "\r\n")...)
		}
	}
	return strings.TrimSpace(string(value))
}

// subject gives the subject of the message for people, or "".
func subject(header []byte) string {
	raw := fieldOf(header, "Subject")
	text, err := new(mime.WordDecoder).DecodeHeader(raw)
	if err != nil {
		// In a charset that is not known here: noise for everybody.
		return ""
	}
	return clean(strings.Join(strings.Fields(text), " "), 120)
}

// messageID gives the Message-ID of the message where it can be repeated, or "".
func messageID(header []byte) string {
	id := fieldOf(header, "Message-ID")
	inner, ok := strings.CutPrefix(id, "<")
	if !ok || len(id) > 250 || !strings.HasSuffix(inner, ">") {
		return ""
	}
	inner = strings.TrimSuffix(inner, ">")
	if at := strings.IndexByte(inner, '@'); at < 1 || at == len(inner)-1 {
		return ""
	}
	for i := range len(inner) {
		if c := inner[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`<>()[],;:\"`, c) >= 0 {
			return ""
		}
	}
	return id
}
