package abi

// Append appends the wire form to b.
func (e *Event) Append(b []byte) []byte {
	b = appendInt(b, 1, int64(e.Stage))
	b = appendText(b, 2, e.ID)
	b = appendInt(b, 3, e.Time)
	b = appendText(b, 4, e.Hostname)
	if e.Client != (Client{}) {
		var at int
		b, at = begin(b, 5)
		b = end(e.Client.Append(b), at)
	}
	b = appendText(b, 6, e.Sender)
	b = appendTexts(b, 7, e.Recipients)
	b = appendInt(b, 8, e.Size)
	b = appendText(b, 9, e.Account)
	for i := range e.Facts {
		var at int
		b, at = begin(b, 10)
		b = end(e.Facts[i].Append(b), at)
	}
	for i := range e.Findings {
		var at int
		b, at = begin(b, 11)
		b = end(e.Findings[i].Append(b), at)
	}
	b = appendText(b, 12, e.Mailbox)
	b = appendText(b, 13, e.From)
	b = appendBool(b, 14, e.Junk)
	b = appendText(b, 15, e.Action)
	b = appendDouble(b, 16, e.Score)
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (e *Event) Decode(b []byte) error {
	*e = Event{}
	return e.merge(newReader(b))
}

func (e *Event) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | varint:
			e.Stage = Stage(r.int32())
		case 2<<3 | octets:
			e.ID = r.text()
		case 3<<3 | varint:
			e.Time = r.int64()
		case 4<<3 | octets:
			e.Hostname = r.text()
		case 5<<3 | octets:
			r.done(e.Client.merge(r.message()))
		case 6<<3 | octets:
			e.Sender = r.text()
		case 7<<3 | octets:
			list, x := more(&r, e.Recipients)
			e.Recipients, *x = list, r.text()
		case 8<<3 | varint:
			e.Size = r.int64()
		case 9<<3 | octets:
			e.Account = r.text()
		case 10<<3 | octets:
			list, x := more(&r, e.Facts)
			e.Facts = list
			r.done(x.merge(r.message()))
		case 11<<3 | octets:
			list, x := more(&r, e.Findings)
			e.Findings = list
			r.done(x.merge(r.message()))
		case 12<<3 | octets:
			e.Mailbox = r.text()
		case 13<<3 | octets:
			e.From = r.text()
		case 14<<3 | varint:
			e.Junk = r.bool()
		case 15<<3 | octets:
			e.Action = r.text()
		case 16<<3 | fixed64:
			e.Score = r.double()
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (c *Client) Append(b []byte) []byte {
	b = appendText(b, 1, c.Address)
	b = appendInt(b, 2, int64(c.Port))
	b = appendText(b, 3, c.HELO)
	b = appendText(b, 4, c.Hostname)
	b = appendText(b, 5, c.Protocol)
	b = appendText(b, 6, c.TLS)
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (c *Client) Decode(b []byte) error {
	*c = Client{}
	return c.merge(newReader(b))
}

func (c *Client) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			c.Address = r.text()
		case 2<<3 | varint:
			c.Port = r.int32()
		case 3<<3 | octets:
			c.HELO = r.text()
		case 4<<3 | octets:
			c.Hostname = r.text()
		case 5<<3 | octets:
			c.Protocol = r.text()
		case 6<<3 | octets:
			c.TLS = r.text()
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (f *Fact) Append(b []byte) []byte {
	b = appendText(b, 1, f.Name)
	b = appendText(b, 2, f.Value)
	b = appendText(b, 3, f.Detail)
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (f *Fact) Decode(b []byte) error {
	*f = Fact{}
	return f.merge(newReader(b))
}

func (f *Fact) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			f.Name = r.text()
		case 2<<3 | octets:
			f.Value = r.text()
		case 3<<3 | octets:
			f.Detail = r.text()
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (f *Finding) Append(b []byte) []byte {
	b = appendText(b, 1, f.By)
	b = appendInt(b, 2, int64(f.Kind))
	b = appendText(b, 3, f.Symbol)
	b = appendDouble(b, 4, f.Points)
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (f *Finding) Decode(b []byte) error {
	*f = Finding{}
	return f.merge(newReader(b))
}

func (f *Finding) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			f.By = r.text()
		case 2<<3 | varint:
			f.Kind = Kind(r.int32())
		case 3<<3 | octets:
			f.Symbol = r.text()
		case 4<<3 | fixed64:
			f.Points = r.double()
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (s *Settings) Append(b []byte) []byte {
	for i := range s.List {
		var at int
		b, at = begin(b, 1)
		b = end(s.List[i].Append(b), at)
	}
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (s *Settings) Decode(b []byte) error {
	*s = Settings{}
	return s.merge(newReader(b))
}

func (s *Settings) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			list, x := more(&r, s.List)
			s.List = list
			r.done(x.merge(r.message()))
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (s *Setting) Append(b []byte) []byte {
	b = appendText(b, 1, s.Name)
	b = appendTexts(b, 2, s.Values)
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (s *Setting) Decode(b []byte) error {
	*s = Setting{}
	return s.merge(newReader(b))
}

func (s *Setting) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			s.Name = r.text()
		case 2<<3 | octets:
			list, x := more(&r, s.Values)
			s.Values, *x = list, r.text()
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (p *Parts) Append(b []byte) []byte {
	for i := range p.List {
		var at int
		b, at = begin(b, 1)
		b = end(p.List[i].Append(b), at)
	}
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (p *Parts) Decode(b []byte) error {
	*p = Parts{}
	return p.merge(newReader(b))
}

func (p *Parts) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | octets:
			list, x := more(&r, p.List)
			p.List = list
			r.done(x.merge(r.message()))
		}
	}
	return r.err()
}

// Append appends the wire form to b.
func (p *Part) Append(b []byte) []byte {
	b = appendInt(b, 1, int64(p.Index))
	b = appendInt(b, 2, int64(p.Parent))
	b = appendText(b, 3, p.Type)
	b = appendText(b, 4, p.Charset)
	b = appendText(b, 5, p.Encoding)
	b = appendText(b, 6, p.Disposition)
	b = appendText(b, 7, p.Filename)
	b = appendText(b, 8, p.ContentID)
	b = appendInt(b, 9, p.Size)
	return b
}

// Decode sets the message to what b says, or gives ErrWire.
func (p *Part) Decode(b []byte) error {
	*p = Part{}
	return p.merge(newReader(b))
}

func (p *Part) merge(r reader) error {
	for r.next() {
		switch r.tag {
		case 1<<3 | varint:
			p.Index = r.int32()
		case 2<<3 | varint:
			p.Parent = r.int32()
		case 3<<3 | octets:
			p.Type = r.text()
		case 4<<3 | octets:
			p.Charset = r.text()
		case 5<<3 | octets:
			p.Encoding = r.text()
		case 6<<3 | octets:
			p.Disposition = r.text()
		case 7<<3 | octets:
			p.Filename = r.text()
		case 8<<3 | octets:
			p.ContentID = r.text()
		case 9<<3 | varint:
			p.Size = r.int64()
		}
	}
	return r.err()
}
