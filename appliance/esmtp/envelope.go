package esmtp

import (
	"strings"

	"hauspost/appliance/envelope"
	"hauspost/appliance/reply"
)

// cutCommand takes the prefix ("FROM:", "TO:") and the path off the argument of
// MAIL or RCPT. Spaces after the colon are not in RFC 5321 but in real mail.
func cutCommand(arg, prefix string) (path, params string, ok bool) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return "", "", false
	}
	return cutPath(strings.TrimLeft(arg[len(prefix):], " "))
}

// checkParams checks what may follow a path: nothing, or after EHLO a space and
// parameters.
func (c *Conn) checkParams(params string) *reply.Reply {
	switch {
	case params == "":
		return nil
	case params[0] != ' ':
		return errSyntax
	case !c.extended:
		return errUnknownParam
	}
	return nil
}

// cmdMail is MAIL (RFC 5321, section 4.1.1.2).
func (c *Conn) cmdMail(arg string) {
	m, name, r := c.parseMail(arg)
	if r != nil {
		c.refuse("MAIL", name, r)
		return
	}
	c.open = true
	r = c.session.Mail(c.ctx, m)
	if r != nil && r.Code >= 400 {
		c.refuse("MAIL", name, r)
		c.endTransaction(Answered)
		return
	}
	c.mail, c.utf8 = true, m.SMTPUTF8
	c.mails++
	c.sayOr(r, okSender)
}

// offered tells which parameters of MAIL are known at this moment.
func (c *Conn) offered() offered {
	return offered{
		auth: c.authed || len(c.mechanisms()) > 0,
		dsn:  c.srv.opt.DSN,
		tls:  c.srv.opt.TLS != nil,
	}
}

// parseMail checks all that does not need the session. name is the address as
// it was spelled, for the log.
func (c *Conn) parseMail(arg string) (m Mail, name string, r *reply.Reply) {
	switch {
	case c.helo == "":
		return m, "", errNoHelo
	case c.mail:
		return m, "", errNested
	case c.mails >= c.limits.Messages:
		return m, "", errTooManyMails
	}
	path, params, ok := cutCommand(arg, "FROM:")
	if !ok {
		return m, printable(arg), errSenderSyntax
	}
	name = printable(path)
	if path != "" {
		if m.From, ok = parsePath(path); !ok {
			return m, name, errSenderSyntax
		}
	}
	if r := c.checkParams(params); r != nil {
		return m, name, r
	}
	if r := mailParams(params, &m, c.offered()); r != nil {
		return m, name, r
	}
	switch {
	case !m.SMTPUTF8 && !isASCII(path):
		return m, name, errNeedsUTF8
	case m.RequireTLS && c.tls == nil:
		return m, name, errTLSFirst
	case m.Size > c.limits.MessageSize:
		return m, name, errTooLarge
	}
	return m, name, nil
}

// cmdRcpt is RCPT (RFC 5321, section 4.1.1.3).
func (c *Conn) cmdRcpt(arg string) {
	rcpt, name, r := c.parseRcpt(arg)
	if r == nil {
		r = c.session.Rcpt(c.ctx, rcpt)
		if r == nil || r.Code < 400 {
			c.rcpts++
			c.sayOr(r, okRcpt)
			return
		}
	}
	c.refuse("RCPT", name, r)
}

func (c *Conn) parseRcpt(arg string) (rcpt envelope.Recipient, name string, r *reply.Reply) {
	switch {
	case !c.mail:
		return rcpt, "", errNoMail
	case c.content:
		return rcpt, "", errInContent
	}
	path, params, ok := cutCommand(arg, "TO:")
	if !ok {
		return rcpt, printable(arg), errRcptSyntax
	}
	name = printable(path)
	if strings.EqualFold(path, "postmaster") {
		rcpt.Address.Local = path
	} else if rcpt.Address, ok = parsePath(path); !ok {
		return rcpt, name, errRcptSyntax
	}
	if r := c.checkParams(params); r != nil {
		return rcpt, name, r
	}
	if r := rcptParams(params, &rcpt, c.srv.opt.DSN); r != nil {
		return rcpt, name, r
	}
	switch {
	case !c.utf8 && (!isASCII(path) || !isASCII(rcpt.ORcpt)):
		return rcpt, name, errNeedsUTF8
	case c.rcpts >= c.limits.Recipients:
		return rcpt, name, errTooManyRcpts
	}
	return rcpt, name, nil
}
