package report

import (
	"net/netip"
	"strconv"
	"strings"

	"hauspost/appliance/transfer"
)

// statusPart makes the content of message/delivery-status, or of
// message/global-delivery-status where global is set.
func (n *Notice) statusPart(global bool) string {
	var b strings.Builder
	if id, ok := decodeXtext(n.EnvID); ok && len(id) <= maxName {
		// RFC 3464, section 2.2.1: compared octet by octet, so never cut.
		if id = strings.TrimSpace(id); id != "" {
			field(&b, "Original-Envelope-Id", id)
		}
	}
	field(&b, "Reporting-MTA", "dns; "+n.host())
	if !n.Arrival.IsZero() {
		field(&b, "Arrival-Date", date(n.Arrival.In(n.Now.Location())))
	}
	for i := range n.Recipients {
		b.WriteString("\r\n")
		n.recipientStatus(&b, &n.Recipients[i], global)
	}
	return b.String()
}

func (n *Notice) recipientStatus(b *strings.Builder, r *Recipient, global bool) {
	action := n.action(r)
	if t, ok := originalRecipient(r.ORcpt); ok {
		field(b, "Original-Recipient", t.field(global))
	}
	field(b, "Final-Recipient", finalRecipient(r.Address).field(global))
	field(b, "Action", string(known(action)))
	field(b, "Status", status(action, r))
	if host := hostName(r.Host); host != "" {
		if ip, err := netip.ParseAddr(host); err == nil {
			if host = ip.String(); ip.Is6() {
				host = "IPv6:" + host
			}
			host = "[" + host + "]"
		}
		field(b, "Remote-MTA", "dns; "+host)
	}
	if d := diagnostic(&r.Outcome); d != "" {
		if !global {
			d = ascii(d)
		}
		field(b, "Diagnostic-Code", d)
	}
	if !r.LastAttempt.IsZero() {
		field(b, "Last-Attempt-Date", date(r.LastAttempt.In(n.Now.Location())))
	}
	if id := idText(n.Message); id != "" {
		field(b, "Final-Log-ID", id)
	}
	if action == Delayed && !r.RetryUntil.IsZero() {
		field(b, "Will-Retry-Until", date(r.RetryUntil.In(n.Now.Location())))
	}
}

// known gives an action that RFC 3464 knows.
func known(a Action) Action {
	switch a {
	case Delayed, Relayed, Delivered, Expanded:
		return a
	}
	return Failed
}

// statusOf are the details of RFC 3463 for what was found without one.
var statusOf = map[string]string{
	"unknown-recipient": "1.1", "mailbox-full": "2.2", "refused-content": "6.0", "blocked": "7.1",
	"rate-limited": "7.0", "greylisted": "7.1", "no-server": "4.1", "dns-trouble": "4.3", "dns-missing": "1.2",
	"null-mx": "1.10", "timeout": "4.2", "lost": "4.2", "tls-required": "7.10", "requiretls": "7.30",
	"auth-failed": "7.8", "too-large": "3.4", "loop": "4.6", "garbage": "5.0", "too-many-recipients": "5.3",
	"smtputf8": "6.7", "local": "3.0",
}

// status gives the status code of RFC 3463. Its class is that of the action; a
// recipient that was given up keeps the 4 of the last attempt, with the cause
// of that rather than 4.4.7 (RFC 3463, section 3.5).
func status(action Action, r *Recipient) string {
	detail, given := detailOf(&r.Outcome)
	switch known(action) {
	case Relayed, Delivered, Expanded:
		if given == '2' {
			return "2." + detail
		}
		return "2.0.0"
	case Delayed:
		return "4." + failureDetail(detail, given, &r.Outcome, "0.0")
	}
	if r.Expired {
		return "4." + failureDetail(detail, given, &r.Outcome, "4.7")
	}
	return "5." + failureDetail(detail, given, &r.Outcome, "0.0")
}

func failureDetail(detail string, class byte, o *transfer.Outcome, other string) string {
	if (class == '4' || class == '5') && detail != "0.0" {
		return detail
	}
	if d := statusOf[o.Name]; d != "" {
		return d
	}
	return other
}

// detailOf splits the enhanced code of o into its class and the rest; class is
// 0 where it is none.
func detailOf(o *transfer.Outcome) (detail string, class byte) {
	parts := strings.Split(o.Enhanced, ".")
	if len(parts) != 3 || len(parts[0]) != 1 || !strings.Contains("245", parts[0]) {
		return "", 0
	}
	for i, p := range parts[1:] {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n > 999 {
			return "", 0
		}
		parts[i+1] = strconv.FormatUint(n, 10)
	}
	return parts[1] + "." + parts[2], parts[0][0]
}

// fullAnswer gives the answer with the code it began with, clean.
func fullAnswer(o *transfer.Outcome) string {
	text := clean(o.Answer, 1100)
	if o.Code == 0 {
		return text
	}
	code := strconv.Itoa(o.Code)
	switch enhanced, class := detailOf(o); {
	case strings.HasPrefix(text, code):
		return text
	case class != 0 && !strings.HasPrefix(text, o.Enhanced):
		return strings.TrimSpace(code + " " + string(class) + "." + enhanced + " " + text)
	}
	return strings.TrimSpace(code + " " + text)
}

// diagnostic gives the value of Diagnostic-Code: that of another server has the
// type "smtp"; what this side found has a type of its own (RFC 3464, section
// 2.3.6 and 2.1.1).
func diagnostic(o *transfer.Outcome) string {
	text := fullAnswer(o)
	switch {
	case text == "":
		return ""
	case o.Code == 0:
		return "X-Hauspost; " + text
	}
	return "smtp; " + text
}
