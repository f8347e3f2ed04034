// Package sdk is what a plugin for Hauspost that is written in Go imports.
//
// A plugin is two things: a package with its logic, which is plain Go and is
// tested as such with sdktest,
//
//	func Check(c *sdk.Call) error {
//		header, err := c.Header()
//		if err != nil {
//			return err
//		}
//		if header.Get("Subject") == "" {
//			c.Score("NO_SUBJECT", 0.5, "it has no subject")
//		}
//		return nil
//	}
//
// and a main package for WebAssembly, which exports one function for each stage
// that the plugin serves:
//
//	func main() {}
//
//	//go:wasmexport on_message
//	func onMessage() int32 { return sdk.Run(Check) }
//
// It is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o plugin.wasm
//
// Only the host calls that the logic reaches become imports of the module, so
// the owner is asked only for what is used. Between two events a plugin forgets
// everything but its keys. The errors of all methods that ask the host are of
// the type abi.Errno. Nothing here may be used by several goroutines at a time.
//
// It imports the plugin interface (plugins/abi) and nothing else of Hauspost,
// because plugins live without its source; and of the standard library nothing
// that makes every guest large (fmt, reflect, encoding/json, mime).
package sdk

import (
	"io"

	"hauspost/plugins/abi"
)

// Call is one event that the plugin is asked about.
type Call struct {
	// Proposer takes the effects.
	Proposer
	// Event is what the call is about.
	Event abi.Event

	host    backend
	effects []abi.Effect
	// failed is the first failure of what gives no error itself.
	failed error
	// scratch takes what the host says, request what it is asked.
	scratch, request []byte

	header   *Header
	parts    []Part
	settings *Settings
}

// run makes one call: it lets check see the event, and sends the effects where
// check had no error. The result is what the guest's function returns.
func run(host backend, check func(*Call) error) (int32, error) {
	c := &Call{host: host, scratch: make([]byte, 4<<10)}
	c.Proposer.list = &c.effects
	err := c.load()
	if err == nil {
		err = check(c)
	}
	if err == nil {
		err = c.failed
	}
	if err == nil {
		err = c.send()
	}
	if err != nil {
		c.Error(err.Error())
		return 1, err
	}
	return 0, nil
}

func (c *Call) load() error {
	b, err := c.whole(c.host.Event)
	if err != nil {
		return err
	}
	return c.Event.Decode(b)
}

// send proposes the effects, in as many requests as they need.
func (c *Call) send() error {
	if len(c.effects) > abi.MaxEffects {
		c.Warn("only the first effects are proposed, because there are too many")
		c.effects = c.effects[:abi.MaxEffects]
	}
	b := c.request[:0]
	for i := range c.effects {
		one := abi.Effects{List: c.effects[i : i+1]}
		before := len(b)
		// The wire form of two lists is that of the one list of both.
		if b = one.Append(b); len(b) <= abi.MaxRequest || before == 0 {
			continue
		}
		if err := errno(c.host.Effects(b[:before])); err != nil {
			return err
		}
		b = append(b[:0], b[before:]...)
	}
	if len(b) == 0 {
		return nil
	}
	return errno(c.host.Effects(b))
}

// errno makes an error of a result below zero.
func errno(n int32) error {
	if n < 0 {
		return abi.Errno(n)
	}
	return nil
}

// whole asks for a result with more and more room until it is all there. The
// octets are valid until the next call of the host.
func (c *Call) whole(ask func(buf []byte) int32) ([]byte, error) {
	for range 3 {
		n := ask(c.scratch)
		if n < 0 {
			return nil, abi.Errno(n)
		}
		if int(n) <= len(c.scratch) {
			return c.scratch[:n], nil
		}
		c.scratch = make([]byte, n)
	}
	return nil, abi.ErrIO
}

// answer gives the reply to a request of which n is the result.
func (c *Call) answer(n int32) ([]byte, error) {
	if n < 0 {
		return nil, abi.Errno(n)
	}
	if int(n) <= len(c.scratch) {
		return c.scratch[:n], nil
	}
	c.scratch = make([]byte, n)
	return c.whole(c.host.Reply)
}

// Now is the time of the event and, by as often as it is asked, a little later:
// it does not tell how long the plugin has worked. In nanoseconds since 1970,
// time.Unix(0, c.Now()).UTC() for those who need the package time, which makes
// a guest larger by an eighth.
func (c *Call) Now() int64 { return c.host.Clock() }

// Random fills b with random octets, the same ones when the call is replayed.
func (c *Call) Random(b []byte) error { return errno(c.host.Random(b)) }

// Debug, Info, Warn and Error write a line, put together of all the texts, to
// the message's trace. More than abi.MaxLog octets in one call are lost. They
// are no place for content of messages, because traces are kept longer.
func (c *Call) Debug(text ...string) { c.log(0, text) }

// Info writes a line; see Debug.
func (c *Call) Info(text ...string) { c.log(1, text) }

// Warn writes a line; see Debug.
func (c *Call) Warn(text ...string) { c.log(2, text) }

// Error writes a line; see Debug. The call goes on: to fail, return an error.
func (c *Call) Error(text ...string) { c.log(3, text) }

func (c *Call) log(level int32, texts []string) {
	line := c.request[:0]
	for _, s := range texts {
		line = append(line, s...)
	}
	c.request = line
	c.host.Log(level, line)
}

// Header gives the header of the message, of which the host shows at most
// abi.MaxHeader octets. Needs the grant "header".
func (c *Call) Header() (*Header, error) {
	if c.header == nil {
		b, err := c.whole(c.host.Header)
		if err != nil {
			return nil, err
		}
		c.header = ParseHeader(b)
	}
	return c.header, nil
}

// Parts gives the MIME structure; the first part is the message itself. Needs
// the grant "body".
func (c *Call) Parts() ([]Part, error) {
	if c.parts == nil {
		b, err := c.whole(c.host.Parts)
		if err != nil {
			return nil, err
		}
		var list abi.Parts
		if err := list.Decode(b); err != nil {
			return nil, err
		}
		c.parts = make([]Part, len(list.List))
		for i, p := range list.List {
			c.parts[i] = Part{Part: p, call: c}
		}
	}
	return c.parts, nil
}

// Part is one MIME entity of the message.
type Part struct {
	abi.Part
	call *Call
}

// Open gives the part to read in a view. The host makes the view while it is
// read, so what is not read costs nothing.
func (p Part) Open(view abi.View) io.Reader { return &partReader{part: p, view: view} }

// Bytes gives the first limit octets of the part, or all where there are less.
func (p Part) Bytes(view abi.View, limit int) ([]byte, error) {
	b := make([]byte, 0, min(limit, max(int(min(p.Size, abi.MaxDecoded)), 512)))
	r := partReader{part: p, view: view}
	for len(b) < limit {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.direct(b[len(b):min(cap(b), limit)])
		b = b[:len(b)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Header gives the part's own header.
func (p Part) Header() (*Header, error) {
	b, err := p.Bytes(abi.PartHeader, abi.MaxHeader)
	if err != nil {
		return nil, err
	}
	return ParseHeader(b), nil
}

// small is the length below which a read is made through a buffer.
const small = 4 << 10

type partReader struct {
	part   Part
	view   abi.View
	offset int64
	// rest is what is left of buf.
	buf, rest []byte
}

// Read implements io.Reader.
func (r *partReader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if len(r.rest) == 0 {
		if len(b) >= small {
			return r.direct(b)
		}
		if r.buf == nil {
			r.buf = make([]byte, 4*small)
		}
		n, err := r.direct(r.buf)
		if err != nil {
			return 0, err
		}
		r.rest = r.buf[:n]
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *partReader) direct(b []byte) (int, error) {
	b = b[:min(len(b), abi.MaxRead)]
	n := r.part.call.host.PartRead(r.part.Index, int32(r.view), r.offset, b)
	switch {
	case n < 0:
		return 0, abi.Errno(n)
	case n == 0:
		return 0, io.EOF
	case int(n) > len(b):
		return 0, abi.ErrIO
	}
	r.offset += int64(n)
	return int(n), nil
}
