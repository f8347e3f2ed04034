package report

import (
	"bytes"
	"mime"
	"strconv"
	"strings"

	"hauspost/appliance/envelope"
)

// Message makes the report: a whole message of RFC 5322 with CRLF line ends, as
// multipart/report (RFC 6522) of a text for people, the delivery status (RFC
// 3464), and the message or its header. The same Notice makes the same octets.
// Whatever stands in n, no field is added to any header by it.
func Message(n Notice) []byte {
	global := n.wide() && n.addressesNeedUTF8()
	parts := []part{n.textPart(), n.machinePart(global)}
	if p, ok := n.original(); ok {
		parts = append(parts, p)
	}
	encoding := "7bit"
	for _, p := range parts {
		if p.encoding == "8bit" {
			encoding = "8bit"
		}
	}
	boundary := freeBoundary(idText(n.ID), parts)

	var h strings.Builder
	n.writeHeader(&h)
	field(&h, "MIME-Version", "1.0")
	field(&h, "Content-Type", `multipart/report; report-type=delivery-status; boundary="`+boundary+`"`)
	field(&h, "Content-Transfer-Encoding", encoding)
	h.WriteString("\r\nThis is a report in several parts (MIME).\r\n")

	var b bytes.Buffer
	b.WriteString(h.String())
	for _, p := range parts {
		b.WriteString("\r\n--" + boundary + "\r\n")
		b.WriteString("Content-Type: " + p.contentType + "\r\n")
		b.WriteString("Content-Transfer-Encoding: " + p.encoding + "\r\n\r\n")
		b.Write(p.body)
	}
	b.WriteString("\r\n--" + boundary + "--\r\n")
	return b.Bytes()
}

// NeedsSMTPUTF8 tells whether Message of n can only travel by RFC 6531.
func NeedsSMTPUTF8(n Notice) bool {
	if n.From.NeedsUTF8() || n.To.NeedsUTF8() {
		return true
	}
	p, _ := n.original()
	return n.wide() && n.addressesNeedUTF8() || strings.HasPrefix(p.contentType, "message/global")
}

// wide tells whether the report may hold UTF-8 in its headers.
func (n *Notice) wide() bool {
	return n.SMTPUTF8 || n.From.NeedsUTF8() || n.To.NeedsUTF8()
}

func (n *Notice) addressesNeedUTF8() bool {
	for i := range n.Recipients {
		r := &n.Recipients[i]
		if t, ok := originalRecipient(r.ORcpt); ok && t.needsUTF8() || finalRecipient(r.Address).needsUTF8() {
			return true
		}
	}
	return false
}

// host gives the name of this box, where it is one.
func (n *Notice) host() string {
	if h, err := envelope.NormalizeDomain(n.Hostname); err == nil {
		return h
	}
	return "localhost"
}

func (n *Notice) writeHeader(b *strings.Builder) {
	from := mailbox(n.From, n.host())
	if from == "" {
		from = "<postmaster@" + n.host() + ">"
	}
	to := mailbox(n.To, n.host())
	if to == "" {
		to = "undisclosed-recipients:;"
	}
	header, _ := n.header()
	field(b, "From", "Mail delivery "+from)
	field(b, "To", to)
	field(b, "Date", date(n.Now))
	id := idText(n.ID)
	if id == "" {
		id = "report"
	}
	field(b, "Message-ID", "<"+id+"@"+n.host()+">")
	field(b, "Subject", n.subjectLine(subject(header)))
	if id := messageID(header); id != "" {
		field(b, "In-Reply-To", id)
		field(b, "References", id)
	}
	field(b, "Auto-Submitted", "auto-replied")
}

// titles begin the subject.
var titles = map[Action]string{
	Failed: "Not delivered", Delayed: "Not delivered yet", Delivered: "Delivered",
	Relayed: "Sent on", Expanded: "Sent on",
}

func (n *Notice) subjectLine(subject string) string {
	title := titles[known(n.Kind)] + ": "
	if subject != "" {
		return title + mime.QEncoding.Encode("utf-8", subject)
	}
	return title + mime.QEncoding.Encode("utf-8", "message to "+n.names())
}

// names names one recipient or counts several.
func (n *Notice) names() string {
	if len(n.Recipients) == 1 {
		return clean(n.Recipients[0].Address.String(), 100)
	}
	return strconv.Itoa(len(n.Recipients)) + " recipients"
}

func (n *Notice) textPart() part {
	text := []byte(n.text())
	if bitsOf(text) == "7bit" {
		return part{"text/plain; charset=us-ascii", "7bit", text}
	}
	return part{"text/plain; charset=utf-8", "quoted-printable", quotedPrintable(text)}
}

func (n *Notice) machinePart(global bool) part {
	s := n.statusPart(global)
	if !global {
		return part{"message/delivery-status", "7bit", []byte(ascii(s))}
	}
	return part{"message/global-delivery-status", bitsOf([]byte(s)), []byte(s)}
}

// freeBoundary gives a boundary that no part holds. "=_" never stands in
// quoted-printable.
func freeBoundary(id string, parts []part) string {
	boundary := "=_" + id
	for i := 0; ; i++ {
		try := boundary
		if i > 0 {
			try += "_" + strconv.Itoa(i)
		}
		free := true
		for _, p := range parts {
			free = free && !bytes.Contains(p.body, []byte("--"+try))
		}
		if free {
			return try
		}
	}
}
