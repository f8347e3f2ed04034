//go:build !wasip1

package sdk

import (
	"errors"
	"math"
	"testing"

	"hauspost/plugins/abi"
)

// badHost answers every request with n, and writes nothing.
type badHost struct{ n int32 }

func (h badHost) Event([]byte) int32                         { return 0 }
func (h badHost) Settings([]byte) int32                      { return h.n }
func (h badHost) Header([]byte) int32                        { return h.n }
func (h badHost) Parts([]byte) int32                         { return h.n }
func (h badHost) PartRead(int32, int32, int64, []byte) int32 { return h.n }
func (h badHost) KeysGet(_, _ []byte) int32                  { return h.n }
func (h badHost) KeysChange([]byte) int32                    { return h.n }
func (h badHost) DNS(_, _ []byte) int32                      { return h.n }
func (h badHost) Service(_, _ []byte) int32                  { return h.n }
func (h badHost) Reply([]byte) int32                         { return h.n }
func (h badHost) Effects([]byte) int32                       { return min(h.n, 0) }
func (h badHost) Log(int32, []byte) int32                    { return 0 }
func (h badHost) Clock() int64                               { return 0 }
func (h badHost) Random([]byte) int32                        { return min(h.n, 0) }

// TestErrorsOfTheHost: each failure reaches the plugin, as it is.
func TestErrorsOfTheHost(t *testing.T) {
	t.Parallel()
	for e := abi.ErrIO; e <= abi.ErrInvalid; e++ {
		_, err := RunWith(badHost{int32(e)}, func(c *Call) error {
			p := Part{call: c}
			for what, ask := range map[string]func() error{
				"header":   func() error { _, err := c.Header(); return err },
				"parts":    func() error { _, err := c.Parts(); return err },
				"read":     func() error { _, err := p.Open(abi.Raw).Read(make([]byte, 1)); return err },
				"bytes":    func() error { _, err := p.Bytes(abi.Raw, 10); return err },
				"its head": func() error { _, err := p.Header(); return err },
				"get":      func() error { _, err := c.Keys().Get("a", "b"); return err },
				"set":      func() error { return c.Keys().Set("a", nil, 0) },
				"dns":      func() error { _, err := c.Lookup("a", "A"); return err },
				"service":  func() error { _, err := c.Service("a", nil); return err },
				"random":   func() error { return c.Random(make([]byte, 1)) },
			} {
				if err := ask(); err != e {
					t.Errorf("%s: %v instead of %v", what, err, e)
				}
			}
			c.Score("A", 1, "")
			return nil
		})
		if err != e {
			t.Errorf("effects: %v instead of %v", err, e)
		}
		if _, err := RunWith(badHost{int32(e)}, func(c *Call) error { c.Settings(); return nil }); err != e {
			t.Errorf("settings: %v instead of %v", err, e)
		}
	}
}

// TestHostWithoutSense says each time that there is more than there is room,
// or fewer values than there were questions.
func TestHostWithoutSense(t *testing.T) {
	t.Parallel()
	for _, n := range []int32{0, 1 << 20} {
		code, err := RunWith(badHost{n}, func(c *Call) error {
			if _, err := c.Keys().Get("a"); err == nil {
				t.Errorf("%d: keys without an error", n)
			}
			if _, err := c.Lookup("a", "A"); err == nil {
				t.Errorf("%d: DNS without an error", n)
			}
			if _, err := (Part{call: c}).Bytes(abi.Raw, 100); n > 0 && err != abi.ErrIO {
				t.Errorf("%d: bytes: %v", n, err)
			}
			return errors.New("done")
		})
		if code != 1 || err == nil || err.Error() != "done" {
			t.Errorf("%d, %v", code, err)
		}
	}
	if _, err := (&Call{host: backend{growing{}}}).whole(growing{}.Header); err != abi.ErrIO {
		t.Errorf("a result that grows: %v", err)
	}
}

// growing has always one octet more than there is room for.
type growing struct{ badHost }

func (growing) Header(buf []byte) int32 { return int32(min(len(buf)+1, math.MaxInt32)) }

func TestRunWithoutHost(t *testing.T) {
	t.Parallel()
	if Run(func(*Call) error { return nil }) == 0 {
		t.Error("a call without a host ended well")
	}
}
