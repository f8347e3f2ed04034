package sdk

import "hauspost/plugins/abi"

// Times to live of keys, in seconds: 30 * Day. Forever has no end.
const (
	Forever = 0
	Second  = 1
	Minute  = 60 * Second
	Hour    = 60 * Minute
	Day     = 24 * Hour
)

// Keys are the plugin's own keys and values, which no other plugin sees. Needs
// the grant "keys".
type Keys struct{ call *Call }

// Keys gives the plugin's keys.
func (c *Call) Keys() Keys { return Keys{c} }

// Get gives one value for each key, in their order; Found tells whether it is
// there. A key has at most abi.MaxKey octets. Many keys are asked in several
// requests.
func (k Keys) Get(keys ...string) ([]abi.Value, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	if len(keys) > abi.MaxKeys {
		return k.halves(keys)
	}
	c := k.call
	request := abi.KeysRequest{Keys: make([][]byte, len(keys))}
	for i, key := range keys {
		request.Keys[i] = []byte(key)
	}
	c.request = request.Append(c.request[:0])
	b, err := c.answer(c.host.KeysGet(c.request, c.scratch))
	if err == abi.ErrTooBig && len(keys) > 1 {
		return k.halves(keys)
	}
	if err != nil {
		return nil, err
	}
	var reply abi.KeysReply
	if err := reply.Decode(b); err != nil {
		return nil, err
	}
	if len(reply.Values) != len(keys) {
		return nil, abi.ErrIO
	}
	return reply.Values, nil
}

func (k Keys) halves(keys []string) ([]abi.Value, error) {
	first, err := k.Get(keys[:len(keys)/2]...)
	if err != nil {
		return nil, err
	}
	second, err := k.Get(keys[len(keys)/2:]...)
	return append(first, second...), err
}

// Set keeps a value of at most abi.MaxValue octets under a key for ttl seconds.
// Like all changes it is seen by this call at once, and kept only when the
// message is taken.
func (k Keys) Set(key string, value []byte, ttl int64) error {
	return k.Change(abi.Change{Op: abi.OpSet, Key: []byte(key), Bytes: value, TTL: ttl})
}

// Add adds delta to the number under a key, which begins with 0, and lets it
// live for ttl seconds from now on.
func (k Keys) Add(key string, delta int64, ttl int64) error {
	return k.Change(abi.Change{Op: abi.OpAdd, Key: []byte(key), Delta: delta, TTL: ttl})
}

// Delete removes a key. One that is not there is no error.
func (k Keys) Delete(key string) error {
	return k.Change(abi.Change{Op: abi.OpDelete, Key: []byte(key)})
}

// Change makes many changes at once, which is cheaper than one by one; those
// that do not fit into one request are made in several.
func (k Keys) Change(list ...abi.Change) error {
	c := k.call
	for len(list) > 0 {
		n, b := 0, c.request[:0]
		for n < len(list) && n < abi.MaxKeys {
			one := abi.KeysChange{Changes: list[n : n+1]}
			before := len(b)
			// The wire form of two lists is that of the one list of both.
			if b = one.Append(b); len(b) > abi.MaxRequest && n > 0 {
				b = b[:before]
				break
			}
			n++
		}
		c.request = b
		if err := errno(c.host.KeysChange(b)); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// Lookup asks the DNS for the records of one type ("A", "TXT", "MX" …) of a
// name, in presentation form. None at all are no error. Needs the grant "dns"
// for the zone.
func (c *Call) Lookup(name, kind string) ([]string, error) {
	answers, err := c.LookupAll([]abi.Question{{Name: name, Type: kind}})
	if err != nil {
		return nil, err
	}
	if err := errno(answers[0].Status); err != nil {
		return nil, err
	}
	return answers[0].Records, nil
}

// LookupAll asks several questions, which the host does at the same time, and
// gives one answer for each, in their order. Each has its own Status.
func (c *Call) LookupAll(questions []abi.Question) ([]abi.Answer, error) {
	var all []abi.Answer
	for len(questions) > 0 {
		n := min(len(questions), abi.MaxQuestions)
		request := abi.DNSRequest{Questions: questions[:n]}
		c.request = request.Append(c.request[:0])
		b, err := c.answer(c.host.DNS(c.request, c.scratch))
		if err != nil {
			return nil, err
		}
		var reply abi.DNSReply
		if err := reply.Decode(b); err != nil {
			return nil, err
		}
		if len(reply.Answers) != n {
			return nil, abi.ErrIO
		}
		all = append(all, reply.Answers...)
		questions = questions[n:]
	}
	return all, nil
}

// Service sends a request to a service of the owner's settings, and gives its
// reply. Needs the grant "services" for the name.
func (c *Call) Service(name string, request []byte) ([]byte, error) {
	return c.service(abi.ServiceRequest{Name: name, Request: request})
}

// Service has the host send the part in a view to a service, after the request
// where the kind of the service takes one. The part does not go through the
// plugin, so it may be large.
func (p Part) Service(name string, view abi.View, request []byte) ([]byte, error) {
	return p.call.service(abi.ServiceRequest{Name: name, Request: request, With: true, Part: p.Index, View: view})
}

func (c *Call) service(request abi.ServiceRequest) ([]byte, error) {
	c.request = request.Append(c.request[:0])
	b, err := c.answer(c.host.Service(c.request, c.scratch))
	if err != nil {
		return nil, err
	}
	var reply abi.ServiceReply
	if err := reply.Decode(b); err != nil {
		return nil, err
	}
	return reply.Reply, nil
}
