package store

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestRawFrame(t *testing.T) {
	t.Parallel()
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	content := make([]byte, 3*rawBlock+5)
	rand.Read(content)
	for _, n := range []int{0, 1, rawBlock - 1, rawBlock, rawBlock + 1, len(content)} {
		var out bytes.Buffer
		r := &rawFrame{w: &out}
		for i := 0; i < n; i += 1000 {
			if _, err := r.Write(content[i:min(i+1000, n)]); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := d.DecodeAll(out.Bytes(), nil); err != nil || !bytes.Equal(got, content[:n]) {
			t.Errorf("%d octets come back as %d, %v", n, len(got), err)
		}
	}
}

// Many large messages at once are all kept, compressed or not, and their number
// does not grow over time.
func TestManyLargeMessagesAtOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	var all []*Staged
	for i := range 2 * maxEncoders {
		st := s.Stage()
		if _, err := fmt.Fprintf(st, "Subject: %d\r\n\r\n%s", i, bytes.Repeat([]byte("0123456789abcde\n"), 20<<10)); err != nil {
			t.Fatal(err)
		}
		all = append(all, st)
	}
	if n := s.encoders.Load(); n != maxEncoders {
		t.Errorf("%d messages are being compressed, want %d", n, maxEncoders)
	}
	for i, st := range all {
		if i%3 == 0 {
			st.Discard()
			continue
		}
		if _, err := s.Deliver(t.Context(), st, Delivery{ID: newID(), Places: []Place{inboxOf("alice")}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.encoders.Load(); n != 0 {
		t.Errorf("%d messages are being compressed at the end", n)
	}
	mustVerify(t, s)
}
