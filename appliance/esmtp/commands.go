package esmtp

import (
	"strconv"
	"strings"

	"hauspost/appliance/reply"
)

// command is a row of the table of commands.
type command struct {
	verb string
	run  func(c *Conn, arg string)
	// alone: the peer must wait for the answer before it sends anything else
	// (RFC 2920, section 3.1; RFC 3207; RFC 4954). BDAT, MAIL, RCPT and RSET
	// may stand anywhere in a group; what follows QUIT is never read.
	alone bool
	// empty: sends no mail, counted against Limits.EmptyCommands.
	empty bool
	// line is the longest line in octets where extensions make it longer than
	// plainLine.
	line int
}

var commands []command

func init() {
	commands = []command{
		{verb: "MAIL", run: (*Conn).cmdMail, line: longLine},
		{verb: "RCPT", run: (*Conn).cmdRcpt, line: longLine},
		{verb: "DATA", run: (*Conn).cmdData, alone: true},
		{verb: "BDAT", run: (*Conn).cmdBdat},
		{verb: "EHLO", run: (*Conn).cmdEhlo, alone: true},
		{verb: "HELO", run: (*Conn).cmdHelo, alone: true},
		{verb: "RSET", run: (*Conn).cmdRset, empty: true},
		{verb: "QUIT", run: (*Conn).cmdQuit},
		{verb: "NOOP", run: (*Conn).cmdNoop, alone: true, empty: true},
		{verb: "VRFY", run: (*Conn).cmdVrfy, alone: true, empty: true},
		{verb: "HELP", run: (*Conn).cmdHelp, alone: true, empty: true},
		{verb: "STARTTLS", run: (*Conn).cmdStartTLS},
		{verb: "AUTH", run: (*Conn).cmdAuth, alone: true, line: authLine},
		{verb: "EXPN", run: (*Conn).cmdNotImplemented, alone: true},
		{verb: "TURN", run: (*Conn).cmdNotImplemented, alone: true},
		{verb: "ETRN", run: (*Conn).cmdNotImplemented},
		{verb: "ATRN", run: (*Conn).cmdNotImplemented, alone: true},
		{verb: "SEND", run: (*Conn).cmdNotImplemented},
		{verb: "SOML", run: (*Conn).cmdNotImplemented},
		{verb: "SAML", run: (*Conn).cmdNotImplemented},
		// A browser that was talked into posting mail commands.
		{verb: "GET", run: (*Conn).cmdForeign},
		{verb: "POST", run: (*Conn).cmdForeign},
		{verb: "PUT", run: (*Conn).cmdForeign},
		{verb: "HEAD", run: (*Conn).cmdForeign},
		{verb: "OPTIONS", run: (*Conn).cmdForeign},
		{verb: "CONNECT", run: (*Conn).cmdForeign},
	}
}

// command runs one command line.
func (c *Conn) command(line []byte) {
	for _, b := range line {
		if b < ' ' || b == 0x7f {
			c.refuseLine(line, errControl)
			return
		}
	}
	text := string(line)
	verb, arg, _ := strings.Cut(text, " ")
	cmd := find(verb)
	if cmd == nil {
		// Not named: it may be a line of a message or a password, from a peer
		// that goes on after a refusal.
		c.refuse("", "", errUnknownCommand)
		return
	}
	if len(line)+2 > max(cmd.line, plainLine) {
		c.refuseLine(line, errLongLine)
		return
	}
	if cmd.alone && len(c.in.buffered()) > 0 && !c.srv.opt.AllowPipelining {
		c.refuse(cmd.verb, "", errPipelining)
		c.stop(Closed)
		return
	}
	if gate, ok := c.session.(Gatekeeper); ok && cmd.verb != "BDAT" {
		if r := gate.Permit(cmd.verb); r != nil {
			c.refuse(cmd.verb, "", refusal(r))
			return
		}
	}
	if cmd.empty && !c.spendEmpty(cmd.verb) {
		return
	}
	cmd.run(c, strings.TrimRight(arg, " "))
}

func find(verb string) *command {
	for i := range commands {
		if strings.EqualFold(commands[i].verb, verb) {
			return &commands[i]
		}
	}
	return nil
}

// spendEmpty counts a command that sends no mail.
func (c *Conn) spendEmpty(verb string) bool {
	if c.empties++; c.empties > c.limits.EmptyCommands+c.mails {
		c.refuse(verb, "", errTooManyIdle)
		return false
	}
	return true
}

func (c *Conn) cmdEhlo(arg string) { c.hello("EHLO", arg, true) }
func (c *Conn) cmdHelo(arg string) { c.hello("HELO", arg, false) }

func (c *Conn) hello(verb, name string, extended bool) {
	if c.helo != "" && !c.spendEmpty(verb) {
		return
	}
	if name == "" {
		c.refuse(verb, "", errNeedsParameter)
		return
	}
	if strings.Contains(name, " ") || !isASCII(name) || len(name) > 260 {
		c.refuse(verb, printable(name), errHeloName)
		return
	}
	if r := c.session.Helo(c.ctx, name); r != nil && r.Code >= 400 {
		c.refuse(verb, printable(name), refusal(r))
		return
	}
	c.endTransaction(Renewed)
	c.helo, c.extended = name, extended
	if !extended {
		c.out.line(250, "", c.srv.opt.Name, true)
		return
	}
	c.announce()
}

// announce is the answer to EHLO.
func (c *Conn) announce() {
	o, l := &c.out, c.limits
	o.line(250, "", c.srv.opt.Name, false)
	o.line(250, "", "PIPELINING", false)
	o.line(250, "", "SIZE "+strconv.FormatInt(l.MessageSize, 10), false)
	o.line(250, "", "8BITMIME", false)
	o.line(250, "", "SMTPUTF8", false)
	o.line(250, "", "CHUNKING", false)
	if c.srv.opt.DSN {
		o.line(250, "", "DSN", false)
	}
	if c.srv.opt.TLS != nil && c.tls == nil {
		o.line(250, "", "STARTTLS", false)
	}
	if c.tls != nil {
		o.line(250, "", "REQUIRETLS", false)
	}
	if m := c.mechanisms(); len(m) > 0 {
		o.line(250, "", "AUTH "+strings.Join(m, " "), false)
	}
	var limits string
	if l.Messages < unlimited {
		limits += " MAILMAX=" + strconv.Itoa(l.Messages)
	}
	if l.Recipients < unlimited {
		limits += " RCPTMAX=" + strconv.Itoa(l.Recipients)
	}
	if limits != "" {
		o.line(250, "", "LIMITS"+limits, false)
	}
	o.line(250, "", "ENHANCEDSTATUSCODES", true)
}

func (c *Conn) cmdRset(arg string) {
	if arg != "" {
		c.refuse("RSET", "", errNoParameters)
		return
	}
	c.endTransaction(Renewed)
	c.say(okReset)
}

func (c *Conn) cmdNoop(string) { c.say(okNoop) }

func (c *Conn) cmdHelp(string) { c.say(okHelp) }

func (c *Conn) cmdVrfy(arg string) {
	if arg == "" {
		c.refuse("VRFY", "", errNeedsParameter)
		return
	}
	c.say(okVerify)
}

func (c *Conn) cmdQuit(arg string) {
	if arg != "" {
		c.refuse("QUIT", "", errNoParameters)
		return
	}
	c.endTransaction(Renewed)
	c.say(okQuit)
	c.stop(Renewed)
	c.linger = len(c.in.buffered()) > 0
}

func (c *Conn) cmdNotImplemented(string) { c.refuse("", "", errNotImplemented) }

func (c *Conn) cmdForeign(string) {
	c.refuse("", "", errUnknownCommand)
	c.stop(Closed)
}

// sayOr says r, or usual where the session gave nothing.
func (c *Conn) sayOr(r, usual *reply.Reply) {
	if r == nil {
		r = usual
	}
	c.say(r)
}
