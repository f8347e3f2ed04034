package deliver

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"hauspost/appliance/envelope"
)

// traceHeader makes the fields that final delivery adds (RFC 5321, section
// 4.4): Return-Path and Received. Every value was checked when it came in;
// clean keeps a later change from letting a line break through.
func traceHeader(env *envelope.Envelope, hostname string, now time.Time) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Return-Path: <%s>\r\n", clean(env.From.String()))
	fmt.Fprintf(&b, "Received: from %s (%s)", clean(env.Client.HELO), peer(env.Client))
	if env.Client.TLS != "" {
		fmt.Fprintf(&b, "\r\n\t(using %s)", clean(env.Client.TLS))
	}
	fmt.Fprintf(&b, "\r\n\tby %s with %s id %s", hostname, env.Client.Protocol, env.ID)
	if len(env.To) == 1 {
		// With several, naming one would tell the others of a Bcc.
		fmt.Fprintf(&b, "\r\n\tfor <%s>", clean(env.To[0].Address.String()))
	}
	fmt.Fprintf(&b, ";\r\n\t%s\r\n", now.Format(dateTime))
	return b.Bytes()
}

// submissionHeader makes the fields of a submitted message: Return-Path, which
// does not leave the house, the signature, and Received, without the client's
// name and address where the owner wants it so.
func submissionHeader(env *envelope.Envelope, signature []byte, hostname string, hide bool, now time.Time) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Return-Path: <%s>\r\n", clean(env.From.String()))
	b.Write(signature)
	b.WriteString("Received: ")
	if !hide && env.Client.Addr.IsValid() {
		fmt.Fprintf(&b, "from %s (%s)\r\n\t", clean(env.Client.HELO), peer(env.Client))
	}
	fmt.Fprintf(&b, "by %s", hostname)
	if env.Client.Protocol != "" {
		fmt.Fprintf(&b, " with %s", env.Client.Protocol)
	}
	fmt.Fprintf(&b, " id %s", env.ID)
	if len(env.To) == 1 {
		fmt.Fprintf(&b, "\r\n\tfor <%s>", clean(env.To[0].Address.String()))
	}
	fmt.Fprintf(&b, ";\r\n\t%s\r\n", now.Format(dateTime))
	return b.Bytes()
}

// appendFields appends the fields that filters add, folded. They stand below
// those of the box, and no signature covers them: what leaves is signed while
// it streams in, before a filter sees it.
func appendFields(header []byte, fields []envelope.Field) []byte {
	for _, f := range fields {
		header = append(header, f.Name...)
		header = append(header, ':')
		column := len(f.Name) + 1
		for word := range strings.FieldsSeq(clean(f.Value)) {
			if column+1+len(word) > foldAt && column > len(f.Name)+1 {
				header, column = append(header, "\r\n\t"...), 1
			} else {
				header, column = append(header, ' '), column+1
			}
			header = append(header, word...)
			column += len(word)
		}
		header = append(header, "\r\n"...)
	}
	return header
}

// foldAt is the length of a line from which on it is folded (RFC 5322, section
// 2.1.1).
const foldAt = 78

// dateTime is the form of RFC 5322, section 3.3.
const dateTime = "Mon, 2 Jan 2006 15:04:05 -0700"

func peer(c envelope.Client) string {
	addr := c.Addr.Addr().Unmap()
	literal := "[" + addr.String() + "]"
	if addr.Is6() {
		literal = "[IPv6:" + addr.String() + "]"
	}
	if c.Hostname != "" {
		return clean(c.Hostname) + " " + literal
	}
	return literal
}

func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}
