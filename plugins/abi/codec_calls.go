package abi

// Append appends the wire form to b.
func (k *KeysRequest) Append(b []byte) []byte {
	for _, x := range k.Keys {
		b = appendVarint(append(b, 1<<3|octets), uint64(len(x)))
		b = append(b, x...)
	}
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (k *KeysRequest) Decode(b []byte) error {
	*k = KeysRequest{}
	return k.merge(newOctetReader(b))
}

func (k *KeysRequest) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			list, x := more(&r, k.Keys)
			k.Keys, *x = list, r.bytes()
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (k *KeysReply) Append(b []byte) []byte {
	for i := range k.Values {
		var at int
		b, at = begin(b, 1)
		b = end(k.Values[i].Append(b), at)
	}
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (k *KeysReply) Decode(b []byte) error {
	*k = KeysReply{}
	return k.merge(newOctetReader(b))
}

func (k *KeysReply) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			list, x := more(&r, k.Values)
			k.Values = list
			r.done(x.merge(r.message()))
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (v *Value) Append(b []byte) []byte {
	b = appendBool(b, 1, v.Found)
	b = appendBytes(b, 2, v.Bytes)
	b = appendInt(b, 3, v.Number)
	b = appendInt(b, 4, v.Expires)
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (v *Value) Decode(b []byte) error {
	*v = Value{}
	return v.merge(newOctetReader(b))
}

func (v *Value) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | varint:
			v.Found = r.bool()
		case 2<<3 | octets:
			v.Bytes = r.bytes()
		case 3<<3 | varint:
			v.Number = r.int64()
		case 4<<3 | varint:
			v.Expires = r.int64()
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (k *KeysChange) Append(b []byte) []byte {
	for i := range k.Changes {
		var at int
		b, at = begin(b, 1)
		b = end(k.Changes[i].Append(b), at)
	}
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (k *KeysChange) Decode(b []byte) error {
	*k = KeysChange{}
	return k.merge(newOctetReader(b))
}

func (k *KeysChange) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			list, x := more(&r, k.Changes)
			k.Changes = list
			r.done(x.merge(r.message()))
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (c *Change) Append(b []byte) []byte {
	b = appendInt(b, 1, int64(c.Op))
	b = appendBytes(b, 2, c.Key)
	b = appendBytes(b, 3, c.Bytes)
	b = appendInt(b, 4, c.Delta)
	b = appendInt(b, 5, c.TTL)
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (c *Change) Decode(b []byte) error {
	*c = Change{}
	return c.merge(newOctetReader(b))
}

func (c *Change) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | varint:
			c.Op = Op(r.int32())
		case 2<<3 | octets:
			c.Key = r.bytes()
		case 3<<3 | octets:
			c.Bytes = r.bytes()
		case 4<<3 | varint:
			c.Delta = r.int64()
		case 5<<3 | varint:
			c.TTL = r.int64()
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (d *DNSRequest) Append(b []byte) []byte {
	for i := range d.Questions {
		var at int
		b, at = begin(b, 1)
		b = end(d.Questions[i].Append(b), at)
	}
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (d *DNSRequest) Decode(b []byte) error {
	*d = DNSRequest{}
	return d.merge(newReader(b))
}

func (d *DNSRequest) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			list, x := more(&r, d.Questions)
			d.Questions = list
			r.done(x.merge(r.message()))
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (q *Question) Append(b []byte) []byte {
	b = appendText(b, 1, q.Name)
	b = appendText(b, 2, q.Type)
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (q *Question) Decode(b []byte) error {
	*q = Question{}
	return q.merge(newReader(b))
}

func (q *Question) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			q.Name = r.text()
		case 2<<3 | octets:
			q.Type = r.text()
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (d *DNSReply) Append(b []byte) []byte {
	for i := range d.Answers {
		var at int
		b, at = begin(b, 1)
		b = end(d.Answers[i].Append(b), at)
	}
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (d *DNSReply) Decode(b []byte) error {
	*d = DNSReply{}
	return d.merge(newReader(b))
}

func (d *DNSReply) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			list, x := more(&r, d.Answers)
			d.Answers = list
			r.done(x.merge(r.message()))
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (a *Answer) Append(b []byte) []byte {
	b = appendInt(b, 1, int64(a.Status))
	b = appendTexts(b, 2, a.Records)
	b = appendBool(b, 3, a.Secure)
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (a *Answer) Decode(b []byte) error {
	*a = Answer{}
	return a.merge(newReader(b))
}

func (a *Answer) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | varint:
			a.Status = r.int32()
		case 2<<3 | octets:
			list, x := more(&r, a.Records)
			a.Records, *x = list, r.text()
		case 3<<3 | varint:
			a.Secure = r.bool()
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (s *ServiceRequest) Append(b []byte) []byte {
	b = appendText(b, 1, s.Name)
	b = appendBytes(b, 2, s.Request)
	b = appendBool(b, 3, s.With)
	b = appendInt(b, 4, int64(s.Part))
	b = appendInt(b, 5, int64(s.View))
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (s *ServiceRequest) Decode(b []byte) error {
	*s = ServiceRequest{}
	return s.merge(newOctetReader(b))
}

func (s *ServiceRequest) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			s.Name = r.text()
		case 2<<3 | octets:
			s.Request = r.bytes()
		case 3<<3 | varint:
			s.With = r.bool()
		case 4<<3 | varint:
			s.Part = r.int32()
		case 5<<3 | varint:
			s.View = View(r.int32())
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (s *ServiceReply) Append(b []byte) []byte {
	b = appendBytes(b, 1, s.Reply)
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (s *ServiceReply) Decode(b []byte) error {
	*s = ServiceReply{}
	return s.merge(newOctetReader(b))
}

func (s *ServiceReply) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			s.Reply = r.bytes()
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (e *Effects) Append(b []byte) []byte {
	for i := range e.List {
		var at int
		b, at = begin(b, 1)
		b = end(e.List[i].Append(b), at)
	}
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (e *Effects) Decode(b []byte) error {
	*e = Effects{}
	return e.merge(newReader(b))
}

func (e *Effects) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			list, x := more(&r, e.List)
			e.List = list
			r.done(x.merge(r.message()))
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (e *Effect) Append(b []byte) []byte {
	b = appendInt(b, 1, int64(e.Kind))
	b = appendText(b, 2, e.Symbol)
	b = appendDouble(b, 3, e.Points)
	b = appendText(b, 4, e.Detail)
	b = appendText(b, 5, e.Argument)
	b = appendText(b, 6, e.Name)
	b = appendInt(b, 7, int64(e.Stop))
	b = appendBool(b, 8, e.Malware)
	b = appendText(b, 9, e.Recipient)
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (e *Effect) Decode(b []byte) error {
	*e = Effect{}
	return e.merge(newReader(b))
}

func (e *Effect) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | varint:
			e.Kind = Kind(r.int32())
		case 2<<3 | octets:
			e.Symbol = r.text()
		case 3<<3 | fixed64:
			e.Points = r.double()
		case 4<<3 | octets:
			e.Detail = r.text()
		case 5<<3 | octets:
			e.Argument = r.text()
		case 6<<3 | octets:
			e.Name = r.text()
		case 7<<3 | varint:
			e.Stop = Action(r.int32())
		case 8<<3 | varint:
			e.Malware = r.bool()
		case 9<<3 | octets:
			e.Recipient = r.text()
		}
	}
	return r.err()
}
