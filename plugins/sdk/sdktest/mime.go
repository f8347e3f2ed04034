//go:build !wasip1

package sdktest

import (
	"bytes"
	"encoding/base64"
	"html"
	"io"
	"mime"
	"mime/quotedprintable"
	"regexp"
	"strings"

	"hauspost/plugins/abi"
	"hauspost/plugins/sdk"
)

// entity is one part with its octets. The structure is found simply: good
// enough for messages that tests make, where the real host has hostile ones.
type entity struct {
	part       abi.Part
	head, body string
}

// split cuts a message after the empty line that ends its header.
func split(raw string) (head, body string) {
	for at := 0; at < len(raw); {
		n := strings.IndexByte(raw[at:], '\n') + 1
		if n == 0 {
			break
		}
		if strings.Trim(raw[at:at+n], "\r\n") == "" {
			return raw[:at+n], raw[at+n:]
		}
		at += n
	}
	return raw, ""
}

// parse adds the entity and those within it to list.
func parse(list []*entity, raw string, parent int32) []*entity {
	e := &entity{}
	e.head, e.body = split(raw)
	h := sdk.ParseHeader([]byte(e.head))
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind == "" {
		kind, params = "text/plain", map[string]string{"charset": "us-ascii"}
	}
	disposition, more, err := mime.ParseMediaType(h.Get("Content-Disposition"))
	if err != nil {
		disposition = ""
	}
	filename := more["filename"]
	if filename == "" {
		filename = params["name"]
	}
	e.part = abi.Part{
		Index: int32(len(list)), Parent: parent, Type: kind, Charset: strings.ToLower(params["charset"]),
		Encoding:    strings.ToLower(h.Get("Content-Transfer-Encoding")),
		Disposition: disposition, Filename: sdk.DecodeWords(filename),
		ContentID: strings.Trim(h.Get("Content-Id"), "<>"), Size: int64(len(e.body)),
	}
	list = append(list, e)
	if boundary := params["boundary"]; strings.HasPrefix(kind, "multipart/") && boundary != "" {
		for _, child := range children(e.body, boundary) {
			list = parse(list, child, e.part.Index)
		}
	}
	if kind == "message/rfc822" {
		list = parse(list, e.body, e.part.Index)
	}
	return list
}

// children cuts the body of a multipart (RFC 2046 section 5.1.1).
func children(body, boundary string) []string {
	var list []string
	start := -1
	for at := 0; at < len(body); {
		n := strings.IndexByte(body[at:], '\n') + 1
		if n == 0 {
			n = len(body) - at
		}
		line := strings.TrimRight(body[at:at+n], " \t\r\n")
		last := line == "--"+boundary+"--"
		if last || line == "--"+boundary {
			if start >= 0 {
				// The line break before a boundary belongs to it.
				list = append(list, strings.TrimSuffix(strings.TrimSuffix(body[start:at], "\n"), "\r"))
			}
			if start = at + n; last {
				return list
			}
		}
		at += n
	}
	if start >= 0 && start < len(body) {
		list = append(list, body[start:])
	}
	return list
}

func (e *entity) view(view abi.View) ([]byte, error) {
	switch view {
	case abi.Raw:
		return []byte(e.body), nil
	case abi.PartHeader:
		return []byte(e.head), nil
	case abi.Decoded:
		return e.decoded(), nil
	case abi.Text:
		return e.text()
	}
	return nil, abi.ErrInvalid
}

// decoded gives what can be read where the encoding is broken.
func (e *entity) decoded() []byte {
	var r io.Reader = strings.NewReader(e.body)
	switch e.part.Encoding {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	}
	b, _ := io.ReadAll(r)
	return b
}

// unseen is what nobody reads of HTML, and newline what begins a line.
var (
	unseen  = regexp.MustCompile(`(?is)<(script|style|head|title)\b.*?</(script|style|head|title)\s*>|<!--.*?-->`)
	newline = regexp.MustCompile(`(?i)<(br|/p|/div|/tr|/li|/h[1-6])\b[^>]*>`)
	anyTag  = regexp.MustCompile(`(?s)<[^>]*>`)
)

func (e *entity) text() ([]byte, error) {
	if !strings.HasPrefix(e.part.Type, "text/") {
		return nil, abi.ErrInvalid
	}
	charset := e.part.Charset
	if charset == "" {
		charset = "utf-8"
	}
	// The sdk reads charsets in encoded words, so the text becomes one.
	word := "=?" + charset + "?B?" + base64.StdEncoding.EncodeToString(e.decoded()) + "?="
	text := sdk.DecodeWords(word)
	if text == word {
		text = strings.ToValidUTF8(string(e.decoded()), "\ufffd")
	}
	if e.part.Type == "text/html" {
		text = unseen.ReplaceAllString(text, "")
		text = newline.ReplaceAllString(text, "\n")
		text = html.UnescapeString(anyTag.ReplaceAllString(text, ""))
	}
	return bytes.TrimLeft([]byte(text), "\ufeff"), nil
}
