package imapd

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"hauspost/appliance/imapd/wire"
)

// news says which changes of the selected mailbox a command may tell at its end.
type news uint8

const (
	// newsAll: also that messages are gone.
	newsAll news = iota
	// newsButExpunge: sequence numbers must stay as they are (FETCH, STORE and
	// SEARCH, RFC 9051, section 7.5.1). The UID forms tell everything.
	newsButExpunge
	// newsNone: the command itself leaves the mailbox or the connection.
	newsNone
)

// command is an entry in the table of commands.
type command struct {
	name string
	// states are those in which it is valid.
	states state
	// capability is the extension to which it belongs, empty for the core.
	capability string
	// uid tells that there is a UID form; uidOnly that there is no other use of
	// arguments without it.
	uid  bool
	news news
	// stream tells whether the literal announced at the end of the arguments so
	// far is for the handler to read, as it may be large.
	stream func(arguments []byte) bool
	// run reads the arguments and does the work. nil means OK.
	run func(s *session, c *call) error
}

// call is one command being run.
type call struct {
	def       *command
	tag, name string
	// byUID tells that it is the UID form.
	byUID bool
	*wire.Parser

	buf *[]byte
	// b is the command as it came, from the tag on, without the last CRLF.
	b []byte
	// line is where the last line begins in b; whole tells that it announces no
	// literal, so that b holds the command to its end.
	line  int
	whole bool
	// pending is a literal that was announced and not read.
	pending *wire.Literal
	// limit is what a buffered command may hold.
	lineLimit, literalLimit int
}

var commandBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// errAnswered is what a handler returns that wrote its answer itself, or will
// do so later.
var errAnswered = errors.New("answered")

// errBroken stands for a connection on which a response broke off.
var errBroken = errors.New("a response broke off")

// step reads and runs one command, or the end of IDLE, and tells whether the
// session goes on.
func (s *session) step() (again bool) {
	s.timed = false
	s.lastActive.Store(s.srv.now().Unix())
	s.w.Grab()
	c := &call{buf: commandBuffers.Get().(*[]byte), lineLimit: s.srv.limits.MaxLine, literalLimit: s.srv.limits.MaxLine}
	if s.state == anonymous {
		c.lineLimit, c.literalLimit = anonymousLine, anonymousLiteral
	}
	c.b = (*c.buf)[:0]
	defer func() {
		if cap(c.b) <= 64<<10 {
			*c.buf = c.b[:0]
			commandBuffers.Put(c.buf)
		}
	}()
	var err error
	c.b, err = s.rd.Line(c.b, c.lineLimit)
	wasIdle := s.idling.Load()
	if wasIdle {
		s.idling.Store(false)
	}
	switch {
	case errors.Is(err, wire.ErrLineTooLong):
		s.untagged("BAD", "TOOBIG", "The line is too long")
		s.bye("", "Closing, as the rest of the line cannot be told from commands")
		s.w.Flush()
		s.linger()
		return false
	case errors.Is(err, wire.ErrLine):
		c.tag = "*"
		s.conclude(c, bad("NUL and bare CR are not allowed"))
	case err != nil:
		s.farewell(err)
		return false
	case wasIdle:
		s.endIdle(c)
	default:
		s.dispatch(c)
	}
	return s.settle()
}

// settle sends what was answered, unless more commands are there already.
func (s *session) settle() bool {
	if s.state == loggedOut {
		s.w.Flush()
		return false
	}
	if s.rd.Buffered() == 0 || s.idling.Load() {
		s.w.Flush()
		s.w.Release()
		s.rd.Release()
	}
	return s.w.Err() == nil
}

// malformed answers a command with BAD and counts it.
func (s *session) malformed(tag string, a *answer) {
	s.reply(tag, a, "")
	if s.errors++; s.errors >= s.srv.limits.MaxErrors {
		s.log(slog.LevelInfo, "imap connection closed for its malformed commands")
		s.bye("", "Too many malformed commands")
		s.state = loggedOut
	}
}

// reply writes a tagged response.
func (s *session) reply(tag string, a *answer, name string) {
	text := a.text
	if text == "" {
		text = name + " completed"
	}
	s.w.B = append(s.w.B, tag...)
	s.w.B = append(s.w.B, ' ')
	s.status(a.kind, a.code, text)
}

// dispatch runs the command whose first line is in c.b.
func (s *session) dispatch(c *call) {
	err := s.identify(c)
	if err == nil {
		if err = s.gather(c); err == nil {
			c.Extend(c.b)
			err = s.run(c)
		}
	}
	s.conclude(c, err)
}

// run calls the handler. A fault of the program in it ends the connection, and
// nothing but that.
func (s *session) run(c *call) (err error) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		s.logPanic(c.name, r)
		if !s.w.Drop() {
			s.readErr = errBroken
		}
		c.whole, c.pending = true, nil
		err = &answer{kind: "NO", code: "SERVERBUG", text: "Something went wrong here; the log of the box says what", hangUp: true}
	}()
	return c.def.run(s, c)
}

// conclude answers a command, once what is left of it was read.
func (s *session) conclude(c *call, err error) {
	if s.readErr == nil && !errors.Is(err, errAnswered) {
		if drained := s.drain(c); drained != nil {
			err = drained
		}
	}
	if s.readErr != nil {
		s.farewell(s.readErr)
		s.state = loggedOut
		return
	}
	if !errors.Is(err, errAnswered) {
		s.finish(c, err)
	}
}

// finish answers the command.
func (s *session) finish(c *call, err error) {
	a, inner := answerOf(err)
	if inner {
		s.log(slog.LevelError, "imap command failed", "command", c.name, "error", err.Error())
	}
	if c.def != nil && s.box != nil && a.kind != "BAD" {
		switch {
		case c.def.news == newsAll || c.def.news == newsButExpunge && c.byUID:
			s.sync(true)
		case c.def.news == newsButExpunge:
			s.sync(false)
		}
	}
	if a.kind == "BAD" {
		s.malformed(c.tag, a)
	} else {
		s.reply(c.tag, a, c.name)
	}
	if a.hangUp && s.state != loggedOut {
		s.bye("", "Closing the connection")
		s.w.Flush()
		s.linger()
		s.state = loggedOut
	}
}

// identify reads tag and name, and finds the command in the table.
func (s *session) identify(c *call) error {
	c.tag, c.name = "*", "Command"
	c.Parser = wire.NewParser(c.b)
	tag, err := c.Tag()
	if err != nil {
		return err
	}
	c.tag = tag
	if err := c.Space(); err != nil {
		return err
	}
	name, err := c.Word()
	if err != nil {
		return bad("Syntax: expected a command")
	}
	if name == "UID" {
		if err := c.Space(); err != nil {
			return err
		}
		if name, err = c.Word(); err != nil {
			return bad("Syntax: expected a command")
		}
		c.byUID = true
	}
	def := commands[name]
	if def == nil || c.byUID && !def.uid {
		return bad("There is no such command")
	}
	if def.states&s.state == 0 {
		return bad("%s is not possible %s", name, def.where(s.state))
	}
	c.def, c.name = def, name
	if c.byUID {
		c.name = "UID " + name
	}
	return nil
}

// where says why the command is not possible in a state.
func (d *command) where(now state) string {
	switch {
	case now == anonymous:
		return "before the login"
	case d.states&withUser == 0:
		return "after the login"
	}
	return "without a selected mailbox"
}

// gather reads the literals of the command and the lines after them, up to one
// that the handler wants to read itself.
func (s *session) gather(c *call) error {
	for {
		l, found := wire.TrailingLiteral(c.b[c.line:])
		if !found {
			c.whole = true
			return nil
		}
		c.pending = &l
		if c.def.stream != nil && c.def.stream(c.b[c.Offset():]) {
			return nil
		}
		if l.Size > int64(c.literalLimit) || int64(len(c.b))+l.Size > int64(c.lineLimit)+int64(c.literalLimit) {
			return &answer{kind: "BAD", code: "TOOBIG", text: "The literal is too large for this command"}
		}
		if err := s.proceed(&l); err != nil {
			return err
		}
		c.pending = nil
		c.b = append(c.b, '\r', '\n')
		var err error
		if c.b, err = s.rd.Literal(c.b, int(l.Size)); err != nil {
			return err
		}
		if err := s.restOfLine(c); err != nil {
			return err
		}
	}
}

// more reads the line that follows a literal which the handler read, and the
// literals on it.
func (s *session) more(c *call) error {
	c.pending = nil
	c.b = append(c.b, '\r', '\n')
	c.Extend(c.b)
	c.Seek(len(c.b))
	if err := s.restOfLine(c); err != nil {
		return err
	}
	err := s.gather(c)
	c.Extend(c.b)
	return err
}

func (s *session) restOfLine(c *call) error {
	var err error
	c.line = len(c.b)
	c.b, err = s.rd.Line(c.b, max(0, c.lineLimit+c.literalLimit-len(c.b)))
	if errors.Is(err, wire.ErrLineTooLong) {
		return tooBig("The line is too long")
	}
	if errors.Is(err, wire.ErrLine) {
		return bad("NUL and bare CR are not allowed")
	}
	return err
}

// proceed asks for the octets of a literal if the client waits for that.
func (s *session) proceed(l *wire.Literal) error {
	if l.NonSync {
		return nil
	}
	s.w.B = append(s.w.B, "+ Go on"...)
	s.w.End()
	return s.w.Flush()
}

// allowOctets gives the client time to send n octets.
func (s *session) allowOctets(n int64) {
	s.allow(s.srv.limits.CommandTimeout + time.Duration(n)*time.Second/time.Duration(s.srv.limits.MinRate))
}

// drain reads past the literals of a command that was refused, so that their
// octets are never taken for commands. What is too much ends the connection.
func (s *session) drain(c *call) error {
	if c.whole {
		return nil
	}
	if c.pending == nil {
		// Refused before gather looked at what the line announces.
		if l, found := wire.TrailingLiteral(c.b[c.line:]); found {
			c.pending = &l
		}
	}
	for c.pending != nil && c.pending.NonSync {
		limit := int64(anonymousLiteral)
		if s.state != anonymous {
			limit = s.srv.limits.AppendLimit
		}
		if c.pending.Size > limit {
			return tooBig("The literal is too large")
		}
		s.allowOctets(c.pending.Size)
		if err := s.rd.Discard(c.pending.Size); err != nil {
			return err
		}
		c.pending = nil
		line, err := s.rd.Line(c.b[:0], c.lineLimit)
		c.b = line
		switch {
		case errors.Is(err, wire.ErrLineTooLong):
			return tooBig("The line is too long")
		case err != nil && !errors.Is(err, wire.ErrLine):
			return err
		}
		if l, found := wire.TrailingLiteral(line); found {
			c.pending = &l
		}
	}
	return nil
}
