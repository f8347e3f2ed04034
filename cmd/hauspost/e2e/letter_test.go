package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"sync"
)

// marker begins the first header line of every letter. What the box puts
// before it is its own.
const marker = "X-Marker: "

// letter is one message with content that no other has.
type letter struct {
	id   string
	sum  [32]byte
	size int
}

// text is what the bodies of letters are cut from: lines of base64, some with
// a dot at the start, some with 8-bit characters.
var text = sync.OnceValue(func() []byte {
	r := rand.NewChaCha8([32]byte{1})
	var b bytes.Buffer
	raw := make([]byte, 57)
	for i := 0; b.Len() < 6<<20; i++ {
		r.Read(raw)
		switch i % 16 {
		case 3:
			b.WriteString(".")
		case 7:
			b.WriteString("..")
		case 11:
			b.WriteString("Grüße ")
		}
		b.WriteString(base64.StdEncoding.EncodeToString(raw))
		b.WriteString("\r\n")
	}
	return b.Bytes()
})

// compose makes a letter of about size octets.
func compose(id string, size int, r *rand.Rand) (*letter, []byte) {
	return composeFrom(stranger, id, size, r)
}

// composeFrom makes a letter with an author.
func composeFrom(author, id string, size int, r *rand.Rand) (*letter, []byte) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%s\r\nFrom: Ledger <%s>\r\nTo: People <people@%s>\r\nSubject: letter %s\r\n"+
		"Message-ID: <%s@sender.test>\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
		marker, id, author, domain, id, id)
	all := text()
	from := r.IntN(len(all) - size - 256)
	from += bytes.IndexByte(all[from:], '\n') + 1
	to := from + size
	to += bytes.IndexByte(all[to:], '\n') + 1
	b.Write(all[from:to])
	return &letter{id, sha256.Sum256(b.Bytes()), b.Len()}, b.Bytes()
}

// identify finds the letter in what IMAP serves: its ID, and the hash and size
// from the marker on. ok is false where there is no marker.
func identify(raw []byte) (id string, sum [32]byte, size int, ok bool) {
	at := bytes.Index(raw, []byte(marker))
	if at < 0 || at > 0 && raw[at-1] != '\n' {
		return "", sum, 0, false
	}
	raw = raw[at:]
	line, _, _ := bytes.Cut(raw[len(marker):], []byte("\r\n"))
	return string(line), sha256.Sum256(raw), len(raw), true
}

// sizeOf chooses a size: mostly small, some 300 KB, few 2 MB, so that every
// way of storing a message is taken.
func sizeOf(r *rand.Rand) int {
	switch n := r.IntN(100); {
	case n < 2:
		return 2 << 20
	case n < 8:
		return 300 << 10
	case n < 16:
		return 100 << 10
	default:
		return 200 + r.IntN(8<<10)
	}
}
