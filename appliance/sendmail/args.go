package sendmail

import (
	"strings"
	"unicode"

	"hauspost/appliance/envelope"
	"hauspost/appliance/message"
)

// mode is what the command is to do.
type mode uint8

const (
	modeDeliver mode = iota // take a message from the standard input
	modeSMTP                // -bs: speak SMTP on the standard streams
	modeList                // -bp: list the queue
	modeNothing             // -bi, -q: there is nothing to be done
	modeHelp
)

// invocation is what the arguments ask for.
type invocation struct {
	mode mode
	// ignoreDots takes a line of a single dot for text.
	ignoreDots bool
	// extract takes recipients from the header as well.
	extract bool
	// flush asks for another try of the queue, which the box does by itself.
	flush bool
	// sender is the argument of -f, nil where it was not given; empty is the
	// null reverse-path.
	sender *string
	// name is the argument of -F.
	name string
	// notify, ret, envid and body are as SMTP writes them.
	notify, ret, envid, body string
	// recipients are addresses with or without a domain.
	recipients []string
}

// usage is how the command is used, for -? and errors.
const usage = `Usage: sendmail [-t] [-i] [-f SENDER] [-F NAME] [RECIPIENT...] < MESSAGE
  -t            take recipients from To, Cc and Bcc as well
  -i, -oi       a line of a single dot does not end the message
  -f, -r ADDR   the sender, to whom errors are reported; "" is nobody
  -F NAME       the name in From, where the message has no From
  -bs           speak SMTP on standard input and output
  -bp           list the queue
  -N WHEN       report: never, or a list of success, failure, delay
  -R full|hdrs  how much of the message a report returns
  -V ID         an identifier that reports repeat
  -B 7BIT|8BITMIME
Other options of sendmail are taken and ignored where that does no harm.`

// wants says of each option letter whether it has an argument: 0 none, 1 one
// that may stand in the next word, 2 only one that is attached.
var wants = map[byte]int{
	'A': 1, 'B': 1, 'C': 1, 'F': 1, 'L': 1, 'N': 1, 'O': 1, 'R': 1, 'V': 1, 'X': 1,
	'b': 1, 'e': 1, 'f': 1, 'h': 1, 'o': 1, 'p': 1, 'r': 1,
	'd': 2, 'q': 2, 'M': 2,
	'G': 0, 'I': 0, 'U': 0, 'c': 0, 'i': 0, 'm': 0, 't': 0, 'v': 0, 'x': 0,
}

// parse reads the arguments. Options end at the first word that is none, or at
// "--": a recipient can never become an option.
func parse(args []string) (*invocation, *failure) {
	inv := &invocation{}
	if len(args) == 1 && (args[0] == "--help" || args[0] == "-?") {
		inv.mode = modeHelp
		return inv, nil
	}
	for len(args) > 0 {
		word := args[0]
		if len(word) < 2 || word[0] != '-' {
			break
		}
		args = args[1:]
		if word == "--" {
			break
		}
		var err *failure
		if args, err = inv.word(word[1:], args); err != nil {
			return nil, err
		}
	}
	for _, arg := range args {
		list, err := addresses(arg)
		if err != nil {
			return nil, err
		}
		inv.recipients = append(inv.recipients, list...)
	}
	if inv.mode == modeDeliver && len(inv.recipients) == 0 && !inv.extract {
		if inv.flush {
			inv.mode = modeNothing
			return inv, nil
		}
		return nil, fail(ExitUsage, "say to whom: name recipients, or use -t to take them from the message")
	}
	return inv, nil
}

// word reads one word of options, such as "ti" or "oem"; rest are the words
// after it.
func (inv *invocation) word(word string, rest []string) ([]string, *failure) {
	for word != "" {
		letter := word[0]
		word = word[1:]
		kind, known := wants[letter]
		if !known {
			return nil, fail(ExitUsage, "the option -%c is not known here", printable(letter))
		}
		if kind == 0 {
			if err := inv.option(letter, ""); err != nil {
				return nil, err
			}
			continue
		}
		value := word
		if value == "" && kind == 1 {
			if len(rest) == 0 {
				return nil, fail(ExitUsage, "the option -%c needs a value", letter)
			}
			value, rest = rest[0], rest[1:]
		}
		return rest, inv.option(letter, value)
	}
	return rest, nil
}

func printable(c byte) byte {
	if c <= ' ' || c > '~' {
		return '?'
	}
	return c
}

func (inv *invocation) option(letter byte, value string) *failure {
	switch letter {
	case 'i':
		inv.ignoreDots = true
	case 't':
		inv.extract = true
	case 'f', 'r':
		return inv.setSender(value)
	case 'F':
		inv.name = value
	case 'I':
		inv.mode = modeNothing
	case 'q':
		inv.flush = true
	case 'o':
		inv.ignoreDots = inv.ignoreDots || value == "i"
	case 'b':
		return inv.setMode(value)
	case 'N', 'R', 'V', 'B':
		return inv.setReport(letter, value)
	}
	return nil
}

func (inv *invocation) setMode(value string) *failure {
	switch value {
	case "m":
		inv.mode = modeDeliver
	case "s":
		inv.mode = modeSMTP
	case "p":
		inv.mode = modeList
	case "i":
		inv.mode = modeNothing
	case "d", "D":
		return fail(ExitUsage, "the box is started with `hauspost serve`, not with -b%s", value)
	default:
		return fail(ExitUsage, "the mode -b%.20q is not known here; -bm, -bs and -bp are", value)
	}
	return nil
}

func (inv *invocation) setSender(value string) *failure {
	sender := ""
	if v := strings.TrimSpace(value); v != "" && v != "<>" {
		list, err := addresses(v)
		if err != nil {
			return err
		}
		if len(list) != 1 {
			return fail(ExitData, "the sender %.100q is not one address", value)
		}
		sender = list[0]
	}
	inv.sender = &sender
	return nil
}

// setReport reads what concerns delivery reports (RFC 3461) and the form of the
// body (RFC 6152).
func (inv *invocation) setReport(letter byte, value string) *failure {
	upper := strings.ToUpper(value)
	ok := true
	switch letter {
	case 'N':
		inv.notify, ok = upper, isNotify(upper)
	case 'R':
		inv.ret, ok = upper, upper == "FULL" || upper == "HDRS"
	case 'B':
		inv.body, ok = upper, upper == "7BIT" || upper == "8BITMIME"
	case 'V':
		inv.envid, ok = xtext(value)
	}
	if !ok {
		return fail(ExitUsage, "%.100q cannot be the value of -%c", value, letter)
	}
	return nil
}

// isNotify checks the values of NOTIFY (RFC 3461, section 4.1).
func isNotify(s string) bool {
	if s == "NEVER" {
		return true
	}
	seen := map[string]bool{}
	for word := range strings.SplitSeq(s, ",") {
		if word != "SUCCESS" && word != "FAILURE" && word != "DELAY" || seen[word] {
			return false
		}
		seen[word] = true
	}
	return true
}

// xtext encodes a value for ENVID (RFC 3461, section 4); it may have up to 100
// octets then.
func xtext(s string) (string, bool) {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c > '~':
			return "", false
		case c == '+' || c == '=' || c == ' ':
			b.Write([]byte{'+', hex[c>>4], hex[c&15]})
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), b.Len() > 0 && b.Len() <= 100
}

// addresses reads an argument that names one or more addresses, in the forms of
// a To field: "root", "a@b.test, c@d.test", "Anna <anna@b.test>".
func addresses(arg string) ([]string, *failure) {
	if strings.ContainsAny(arg, "\r\n\x00") {
		return nil, fail(ExitData, "%.100q is not a mail address", arg)
	}
	list := []string{arg}
	if strings.ContainsAny(arg, ", \t<>():;\"") { // else the forgiving reader of fields could take a part for the whole
		list = message.Recipients([]byte("To: " + arg + "\r\n\r\n"))
	}
	if len(list) == 0 {
		return nil, fail(ExitData, "%.100q is not a mail address", arg)
	}
	for _, a := range list {
		if _, _, err := splitAddress(a); err != nil {
			return nil, fail(ExitData, "%.100q is not a mail address", arg)
		}
	}
	return list, nil
}

// splitAddress reads an address as the spool keeps it: with a domain, or bare,
// a name of this machine that the box is to complete. Mail goes to names, not to
// IP addresses.
func splitAddress(s string) (addr envelope.Address, bare bool, err error) {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return addr, false, envelope.ErrAddress
	}
	addr, err = envelope.ParseAddress(s)
	if addr.IsLiteral() {
		return envelope.Address{}, false, envelope.ErrAddress
	}
	if err == nil {
		return addr, false, nil
	}
	if addr, bareErr := envelope.ParseAddress(s + "@bare.invalid"); bareErr == nil && addr.Domain == "bare.invalid" {
		return envelope.Address{Local: addr.Local}, true, nil
	}
	return envelope.Address{}, false, err
}
