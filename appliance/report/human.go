package report

import "strings"

// text makes the part for people: what became of whom, why, what happens next
// and what can be done; after that, what the other servers answered.
func (n *Notice) text() string {
	var b strings.Builder
	header, cut := n.header()
	paragraph(&b, "", n.opening(subject(header)))
	for i := range n.Recipients {
		b.WriteString("\r\n")
		n.say(&b, &n.Recipients[i])
	}
	if n.Alias.Local != "" {
		b.WriteString("\r\n")
		paragraph(&b, "", "You get this notice because "+clean(n.Alias.String(), 2*maxName)+
			" leads out of this box: the sender was not told. If the address behind it is out of use, change or remove the alias.")
	}
	n.answers(&b)

	b.WriteString("\r\n-- \r\n")
	paragraph(&b, "", "This was written by the mail box "+n.host()+" on its own. An answer to it reaches the person who runs the box.")
	switch {
	case len(header) == 0:
	case n.full(header):
		paragraph(&b, "", "The message is attached.")
	case cut:
		paragraph(&b, "", "The beginning of the message's header is attached.")
	default:
		paragraph(&b, "", "The header of the message is attached, without its text.")
	}
	return b.String()
}

// opening is the first sentence.
func (n *Notice) opening(subject string) string {
	var s strings.Builder
	forward, whose := n.Alias.Local != "", "Your"
	if forward {
		whose = "A"
	}
	s.WriteString(whose + " message")
	if subject != "" {
		s.WriteString(` "` + subject + `"`)
	}
	if from := clean(n.Sender.String(), 2*maxName); forward && from != "" {
		s.WriteString(" from " + from)
	}
	if !n.Arrival.IsZero() {
		s.WriteString(" of " + n.moment(n.Arrival))
	}
	if forward {
		s.WriteString(", which " + clean(n.Alias.String(), 2*maxName) + " forwards,")
	}
	switch known(n.Kind) {
	case Delayed:
		s.WriteString(" was not delivered yet. This box keeps trying: do not send it again.")
	case Delivered:
		s.WriteString(" was delivered.")
	case Relayed, Expanded:
		s.WriteString(" was sent on.")
	default:
		s.WriteString(" was not delivered. Recipients that are not named here are not concerned.")
	}
	return s.String()
}

// say tells of one recipient.
func (n *Notice) say(b *strings.Builder, r *Recipient) {
	paragraph(b, "", "To: "+clean(r.Address.String(), 2*maxName))
	action := known(n.action(r))
	label := func(name, text string) {
		if text != "" {
			paragraph(b, "  ", name+": "+text)
		}
	}
	if known(n.Kind) != action {
		label("What happened", outcomes[action])
	}
	if action == Failed || action == Delayed {
		label("Why", Reading(r.Outcome, r.Host)+".")
	}
	label("On the way", clean(r.Note, 300))
	label("What happens next", n.next(action, r))
	if action == Failed || action == Delayed {
		label("What you can do", Advice(r.Outcome, r.Host))
	}
}

// outcomes say what became of a recipient in a report that is mainly on others.
var outcomes = map[Action]string{
	Failed: "not delivered.", Delayed: "not delivered yet.", Delivered: "delivered.",
	Relayed: "sent on.", Expanded: "sent on.",
}

// next says what happens with a recipient from here on.
func (n *Notice) next(action Action, r *Recipient) string {
	switch action {
	case Delayed:
		s := "this box keeps trying"
		if !r.RetryUntil.IsZero() {
			s += " until " + n.moment(r.RetryUntil)
		}
		return s + " and tells you if it gives up."
	case Delivered:
		return "nothing, it is in the mailbox. Whether it was read is not known."
	case Relayed:
		if host := hostName(r.Host); host != "" {
			return "the server " + host + " has it now. That server does not tell whether it arrives; you hear more only if it fails."
		}
		return "another server has it now. That server does not tell whether it arrives; you hear more only if it fails."
	case Expanded:
		return "it goes to the addresses behind this one; you hear more only if it fails."
	}
	if !r.Expired {
		return "nothing, this box does not try again."
	}
	if tried := n.Now.Sub(n.Arrival); !n.Arrival.IsZero() && tried > 0 {
		return "nothing, this box tried for " + span(tried) + " and has given up."
	}
	return "nothing, the time for trying is over and this box has given up."
}

// answers tells what the other servers said, word for word.
func (n *Notice) answers(b *strings.Builder) {
	first := true
	for i := range n.Recipients {
		r := &n.Recipients[i]
		answer := fullAnswer(&r.Outcome)
		if answer == "" {
			continue
		}
		if first {
			b.WriteString("\r\nFor those who want to know more:\r\n")
			first = false
		}
		b.WriteString("\r\n")
		paragraph(b, "", n.whoSaid(r))
		paragraph(b, "    ", answer)
	}
}

func (n *Notice) whoSaid(r *Recipient) string {
	var s strings.Builder
	s.WriteString(clean(r.Address.String(), 2*maxName))
	if host := hostName(r.Host); host != "" && r.Outcome.Code != 0 {
		s.WriteString(", answer of " + host)
		if verb := clean(r.Outcome.Verb, 20); verb != "" {
			s.WriteString(" to " + verb)
		}
	} else if r.Outcome.Code != 0 {
		s.WriteString(", answer of the other server")
	} else {
		s.WriteString(", found by this box")
	}
	if !r.LastAttempt.IsZero() {
		s.WriteString(", " + n.moment(r.LastAttempt))
	}
	return s.String() + ":"
}
