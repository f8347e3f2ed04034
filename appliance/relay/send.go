package relay

import (
	"errors"
	"fmt"
	"time"

	"hauspost/appliance/transfer"
)

// maxTogether bounds the recipients of one transaction: their commands go out
// before the first answer is read, and the answers must fit what the network
// holds meanwhile.
const maxTogether = 500

// transaction is one MAIL with all that follows.
type transaction struct {
	a *attempt
	k *conn
	// to are the recipients asked about, accepted those that the server takes,
	// by their places in the message.
	to, accepted []int
	mail         string
	// piped: commands were sent together (RFC 2920). bdat: the content goes by
	// BDAT (RFC 3030), whose length says where it ends.
	piped, bdat bool
}

// transact offers the message to a server, for all recipients that are open.
// Without a fault all of them are settled and the connection can go on; with
// one the connection is of no more use, and those that are still open may be
// offered elsewhere.
func (a *attempt) transact(k *conn) *fault {
	if k.r.Buffered() > 0 {
		// It speaks unasked, most likely to say that it leaves: what it says
		// must not be taken for an answer.
		return &fault{Outcome: *ours(transfer.Deferred, transfer.ScopeDestination, "garbage", "4.5.0", "MAIL", "the server answers what it was not asked")}
	}
	if o := a.prevented(k); o != nil {
		a.settleAll(*o)
		return nil
	}
	to := a.suited(k)
	if len(to) == 0 {
		return nil
	}
	x := &transaction{a: a, k: k, to: to, piped: k.ext.pipelining, bdat: k.ext.chunking && a.small != nil}
	x.mail = a.mailCommand(k, x.utf8())
	f := x.run()
	k.messages++
	return f
}

// prevented says why the message cannot go to this server at all.
func (a *attempt) prevented(k *conn) *transfer.Outcome {
	m := a.m
	if k.ext.maxSize > 0 && m.Size > k.ext.maxSize {
		return ours(transfer.Failed, transfer.ScopeRecipient, "too-large", "5.3.4", "EHLO",
			fmt.Sprintf("the message has %d octets, and the server takes %d", m.Size, k.ext.maxSize))
	}
	if k.ext.utf8 {
		return nil
	}
	if m.Sender.NeedsUTF8() {
		return noUTF8("the sender's address needs SMTPUTF8, which the server does not offer")
	}
	if m.SMTPUTF8 {
		ascii, err := a.headerIsASCII()
		if err != nil {
			return a.unreadable(err)
		}
		if !ascii {
			return noUTF8("the message's header needs SMTPUTF8, which the server does not offer")
		}
	}
	return nil
}

func noUTF8(text string) *transfer.Outcome {
	return ours(transfer.Failed, transfer.ScopeRecipient, "smtputf8", "5.6.7", "EHLO", text)
}

// suited are the open recipients that the server can be asked about; the others
// are settled.
func (a *attempt) suited(k *conn) (to []int) {
	most := maxTogether
	if k.ext.rcptMax > 0 {
		most = min(most, k.ext.rcptMax)
	}
	for i := range a.m.Recipients {
		switch {
		case a.settled[i]:
		case a.m.Recipients[i].Address.NeedsUTF8() && !k.ext.utf8:
			a.settle(i, *noUTF8("the recipient's address needs SMTPUTF8, which the server does not offer"))
		case len(to) >= most:
			a.settle(i, *ours(transfer.Deferred, transfer.ScopeRecipient, "too-many-recipients", "4.5.3", "RCPT",
				fmt.Sprintf("the server takes %d recipients at a time", most)))
		default:
			to = append(to, i)
		}
	}
	return to
}

// utf8 tells whether the transaction asks for SMTPUTF8.
func (x *transaction) utf8() bool {
	need := x.a.m.SMTPUTF8 || x.a.m.Sender.NeedsUTF8()
	for _, i := range x.to {
		need = need || x.a.m.Recipients[i].Address.NeedsUTF8()
	}
	return need && x.k.ext.utf8
}

// ask sends a command and reads its reply, or only reads where commands went
// out together.
func (x *transaction) ask(verb, line string, patience time.Duration) (*reply, *fault) {
	if x.piped {
		return x.k.answer(verb, patience)
	}
	return x.k.command(verb, patience, line)
}

// sendGroup sends all commands up to the content.
func (x *transaction) sendGroup() *fault {
	w := x.k.w
	if x.k.dirty {
		w.WriteString("RSET\r\n")
	}
	w.WriteString(x.mail)
	w.WriteString("\r\n")
	utf8 := x.utf8()
	for _, i := range x.to {
		w.WriteString(rcptCommand(x.k, &x.a.m.Recipients[i], utf8))
		w.WriteString("\r\n")
	}
	if !x.bdat {
		w.WriteString("DATA\r\n")
	}
	return x.k.flush("MAIL", x.k.c.l.Command)
}

func (x *transaction) run() *fault {
	k, patience := x.k, x.k.c.l.Command
	if x.piped {
		if f := x.sendGroup(); f != nil {
			return f
		}
	}
	if k.dirty {
		rep, f := x.ask("RSET", "RSET", patience)
		if f == nil && !rep.ok() {
			f = unexpected("RSET", rep)
		}
		if f != nil {
			return f
		}
	}
	k.dirty = true
	rep, f := x.ask("MAIL", x.mail, patience)
	if f != nil {
		return f
	}
	if !rep.ok() {
		return x.mailRefused(rep)
	}
	if f := x.recipients(patience); f != nil {
		return f
	}
	if x.bdat {
		if len(x.accepted) == 0 {
			return nil
		}
		return x.content()
	}
	return x.data()
}

// mailRefused settles everybody, but sends us elsewhere on 421.
func (x *transaction) mailRefused(rep *reply) *fault {
	if rep.code/100 < 4 {
		return unexpected("MAIL", rep)
	}
	o := theirs("MAIL", rep)
	if rep.code == 421 {
		return &fault{Outcome: o}
	}
	if rep.code == 530 && x.k.owned {
		// The owner can mend it, by a user and a password.
		o.Status, o.Scope, o.Name = transfer.Deferred, transfer.ScopeDestination, "auth-failed"
	}
	x.settle(x.to, o)
	if !x.piped {
		return nil
	}
	for range x.to {
		if _, f := x.k.answer("RCPT", x.k.c.l.Command); f != nil {
			return f
		}
	}
	if x.bdat {
		return nil
	}
	rep, f := x.k.answer("DATA", x.k.c.l.DataStart)
	if f != nil {
		return f
	}
	return x.unwanted(rep)
}

// recipients hears about each of them.
func (x *transaction) recipients(patience time.Duration) *fault {
	utf8 := x.utf8()
	for n, i := range x.to {
		line := ""
		if !x.piped {
			line = rcptCommand(x.k, &x.a.m.Recipients[i], utf8)
		}
		rep, f := x.ask("RCPT", line, patience)
		switch {
		case f != nil:
			return f
		case rep.ok():
			x.accepted = append(x.accepted, i)
			continue
		case rep.code/100 < 4:
			return unexpected("RCPT", rep)
		}
		o := theirs("RCPT", rep)
		if rep.code == 421 {
			if x.k.messages == 0 {
				x.settle(x.accepted, o)
				x.settle(x.to[n:], o)
			}
			return &fault{Outcome: o}
		}
		if o.Name == "too-many-recipients" && len(x.accepted) > 0 {
			// RFC 5321, section 4.5.3.1.10: 552 means the same.
			o.Status, o.Scope = transfer.Deferred, transfer.ScopeRecipient
		}
		x.a.settle(i, o)
	}
	return nil
}

// data brings DATA to its 354 and sends the content.
func (x *transaction) data() *fault {
	if len(x.accepted) == 0 && !x.piped {
		return nil
	}
	rep, f := x.ask("DATA", "DATA", x.k.c.l.DataStart)
	switch {
	case f != nil:
		return f
	case len(x.accepted) == 0:
		return x.unwanted(rep)
	case rep.code == 354:
		return x.content()
	case rep.code/100 < 4:
		return unexpected("DATA", rep)
	}
	o := theirs("DATA", rep)
	if rep.code == 421 {
		if x.k.messages == 0 {
			x.settle(x.accepted, o)
		}
		return &fault{Outcome: o}
	}
	x.settle(x.accepted, o)
	return nil
}

// unwanted ends a DATA that went out together with recipients of whom none was
// accepted (RFC 2920, section 3.1).
func (x *transaction) unwanted(rep *reply) *fault {
	if rep.code != 354 {
		return nil
	}
	_, f := x.k.command("content", x.k.c.l.Command, ".")
	return f
}

// content sends the message and hears what becomes of it.
func (x *transaction) content() *fault {
	a, k := x.a, x.k
	var err error
	if x.bdat {
		err = a.sendChunk(k)
	} else {
		err = a.sendData(k)
	}
	if err == nil {
		// The last octets wait in the buffer: what happens before they leave
		// cannot have sent the message.
		a.allSent(k)
		err = k.w.Flush()
	}
	switch {
	case errors.Is(err, errUnreadable), errors.Is(err, errMalformed):
		// Without its end the message is none to the server.
		o := own(err)
		x.settle(x.accepted, *o)
		return &fault{Outcome: *o}
	case err != nil:
		return x.cutShort(err)
	}
	rep, err := k.readReply()
	if err == nil {
		return x.final(rep)
	}
	f := k.broken("content", err)
	if f.Scope = transfer.ScopeRecipient; k.gone.Load() {
		f.Outcome = *a.calledOff("content")
	}
	// It may have been taken: only the schedule may offer it again.
	x.settle(x.accepted, f.Outcome)
	return f
}

// cutShort deals with content that could not be sent to its end. A server that
// breaks off may have said why.
func (x *transaction) cutShort(err error) *fault {
	k := x.k
	k.nc.SetDeadline(time.Now().Add(k.c.l.Farewell))
	if rep, rerr := k.readReply(); rerr == nil && rep.code/100 >= 4 {
		o := theirs("content", rep)
		x.settle(x.accepted, o)
		return &fault{Outcome: o}
	}
	return k.broken("content", err)
}

// final settles those who were accepted by the last reply.
func (x *transaction) final(rep *reply) *fault {
	k := x.k
	switch {
	case rep.ok():
		k.dirty = false
		x.settle(x.accepted, transfer.Outcome{
			Status: transfer.Delivered, Code: rep.code, Enhanced: rep.enhanced(), Answer: rep.text(), Verb: "content", RelaysDSN: k.ext.dsn,
		})
		k.c.countMessage(k)
		return nil
	case rep.code/100 < 4:
		f := unexpected("content", rep)
		f.Scope = transfer.ScopeRecipient
		x.settle(x.accepted, f.Outcome)
		return f
	}
	// After a refused BDAT the transaction may be open (RFC 3030, section 2).
	k.dirty = x.bdat
	o := theirs("content", rep)
	x.settle(x.accepted, o)
	if rep.code == 421 {
		return &fault{Outcome: o}
	}
	return nil
}

func (x *transaction) settle(which []int, o transfer.Outcome) {
	for _, i := range which {
		x.a.settle(i, o)
	}
}

func (c *Client) countMessage(k *conn) {
	c.messages.Add(1)
	if k.messages > 0 {
		c.reused.Add(1)
	}
	switch {
	case k.tls == "":
		c.plain.Add(1)
	default:
		c.encrypted.Add(1)
		if k.verified {
			c.verified.Add(1)
		}
	}
}
