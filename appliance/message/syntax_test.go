package message

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// The reader below knows nothing of the package: it checks what was rendered
// against the grammar of RFC 9051, section 9.

// sexp is a list, a string, a number or nil for NIL.
type sexp any

var errSyntax = errors.New("not IMAP syntax")

// readAll reads one value that fills b.
func readAll(b []byte, wide bool) (sexp, error) {
	v, rest, err := readValue(b, wide)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %q is left over", errSyntax, rest)
	}
	return v, err
}

func readValue(b []byte, wide bool) (v sexp, rest []byte, err error) {
	switch {
	case len(b) == 0:
		return nil, nil, fmt.Errorf("%w: cut short", errSyntax)
	case b[0] == '(':
		return readList(b[1:], wide)
	case b[0] == '"':
		return readQuoted(b[1:], wide)
	case b[0] == '{':
		return readLiteral(b[1:])
	case bytes.HasPrefix(b, []byte("NIL")):
		return nil, b[3:], nil
	}
	i := 0
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	n, err := strconv.Atoi(string(b[:i]))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: at %.20q", errSyntax, b)
	}
	return n, b[i:], nil
}

// readList takes a space between values, none between two lists: so the
// envelope's addresses and the parts of a multipart are written.
func readList(b []byte, wide bool) (sexp, []byte, error) {
	list := []sexp{}
	for {
		if len(b) > 0 && b[0] == ')' && len(list) > 0 {
			return list, b[1:], nil
		}
		if len(list) > 0 {
			if len(b) > 1 && b[0] == ' ' && b[1] != ' ' {
				b = b[1:]
			} else if _, ok := list[len(list)-1].([]sexp); !ok || len(b) == 0 || b[0] != '(' {
				return nil, nil, fmt.Errorf("%w: no space at %.20q", errSyntax, b)
			}
		}
		v, rest, err := readValue(b, wide)
		if err != nil {
			return nil, nil, err
		}
		list, b = append(list, v), rest
	}
}

func readQuoted(b []byte, wide bool) (sexp, []byte, error) {
	var out []byte
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			if !utf8.Valid(out) {
				return nil, nil, fmt.Errorf("%w: %q is not UTF-8", errSyntax, out)
			}
			return string(out), b[i+1:], nil
		case c == '\\':
			if i++; i == len(b) || b[i] != '\\' && b[i] != '"' {
				return nil, nil, fmt.Errorf("%w: bad quoted pair", errSyntax)
			}
			out = append(out, b[i])
		case c < ' ' && c != '\t' || c == 0x7f || c >= 0x80 && !wide:
			return nil, nil, fmt.Errorf("%w: %#x in a quoted string", errSyntax, c)
		default:
			out = append(out, c)
		}
	}
	return nil, nil, fmt.Errorf("%w: quoted string without end", errSyntax)
}

func readLiteral(b []byte) (sexp, []byte, error) {
	head, rest, ok := bytes.Cut(b, []byte("}\r\n"))
	n, err := strconv.Atoi(string(head))
	if !ok || err != nil || n > len(rest) {
		return nil, nil, fmt.Errorf("%w: bad literal {%.20q", errSyntax, b)
	}
	if bytes.IndexByte(rest[:n], 0) >= 0 {
		return nil, nil, fmt.Errorf("%w: NUL in a literal", errSyntax)
	}
	return string(rest[:n]), rest[n:], nil
}

// isNString tells strings and NIL from the rest.
func isNString(v sexp) bool {
	_, ok := v.(string)
	return ok || v == nil
}

// checkEnvelope holds v against "envelope".
func checkEnvelope(v sexp) error {
	list, ok := v.([]sexp)
	if !ok || len(list) != 10 {
		return fmt.Errorf("%w: envelope %v", errSyntax, v)
	}
	for i, f := range list {
		if i < 2 || i > 7 {
			if !isNString(f) {
				return fmt.Errorf("%w: envelope field %d is %v", errSyntax, i, f)
			}
			continue
		}
		addresses, ok := f.([]sexp)
		if f != nil && !ok {
			return fmt.Errorf("%w: addresses %v", errSyntax, f)
		}
		groups := 0
		for _, a := range addresses {
			parts, ok := a.([]sexp)
			if !ok || len(parts) != 4 {
				return fmt.Errorf("%w: address %v", errSyntax, a)
			}
			for _, p := range parts {
				if !isNString(p) {
					return fmt.Errorf("%w: address %v", errSyntax, a)
				}
			}
			if parts[3] == nil {
				if groups++; (parts[2] != nil) != (groups%2 == 1) {
					return fmt.Errorf("%w: groups of %v", errSyntax, f)
				}
			}
		}
		if groups%2 != 0 {
			return fmt.Errorf("%w: a group of %v does not end", errSyntax, f)
		}
	}
	return nil
}

// checkBody holds v against "body"; global tells that message/global is a
// message.
func checkBody(v sexp, extended, global bool) error {
	list, ok := v.([]sexp)
	if !ok || len(list) == 0 {
		return fmt.Errorf("%w: body %v", errSyntax, v)
	}
	if _, ok := list[0].([]sexp); ok {
		return checkMultipart(list, extended, global)
	}
	if len(list) < 7 || !isParams(list[2]) || !isNString(list[3]) || !isNString(list[4]) {
		return fmt.Errorf("%w: body %v", errSyntax, v)
	}
	typ, ok1 := list[0].(string)
	subtype, ok2 := list[1].(string)
	_, ok3 := list[5].(string)
	_, ok4 := list[6].(int)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return fmt.Errorf("%w: body %v", errSyntax, v)
	}
	rest := list[7:]
	message := equalFold(typ, "message") && (equalFold(subtype, "rfc822") || global && equalFold(subtype, "global"))
	if message {
		if len(rest) < 2 {
			return fmt.Errorf("%w: message %v", errSyntax, v)
		}
		if err := errors.Join(checkEnvelope(rest[0]), checkBody(rest[1], extended, global)); err != nil {
			return err
		}
		rest = rest[2:]
	}
	if message || equalFold(typ, "text") {
		if len(rest) == 0 {
			return fmt.Errorf("%w: no lines in %v", errSyntax, v)
		}
		if _, ok := rest[0].(int); !ok {
			return fmt.Errorf("%w: lines of %v", errSyntax, v)
		}
		rest = rest[1:]
	}
	if !extended {
		if len(rest) > 0 {
			return fmt.Errorf("%w: %v is left over", errSyntax, rest)
		}
		return nil
	}
	if len(rest) != 4 || !isNString(rest[0]) {
		return fmt.Errorf("%w: extension data %v", errSyntax, rest)
	}
	return checkExtension(rest[1:])
}

func checkMultipart(list []sexp, extended, global bool) error {
	i := 0
	for ; i < len(list); i++ {
		if _, ok := list[i].([]sexp); !ok {
			break
		}
		if err := checkBody(list[i], extended, global); err != nil {
			return err
		}
	}
	rest := list[i:]
	if len(rest) == 0 {
		return fmt.Errorf("%w: no subtype", errSyntax)
	}
	if _, ok := rest[0].(string); !ok {
		return fmt.Errorf("%w: subtype %v", errSyntax, rest[0])
	}
	rest = rest[1:]
	if !extended && len(rest) == 0 {
		return nil
	}
	if !extended || len(rest) != 4 || !isParams(rest[0]) {
		return fmt.Errorf("%w: extension data %v", errSyntax, rest)
	}
	return checkExtension(rest[1:])
}

// checkExtension holds disposition, language and location.
func checkExtension(rest []sexp) error {
	if d, ok := rest[0].([]sexp); ok {
		if len(d) != 2 || !isParams(d[1]) {
			return fmt.Errorf("%w: disposition %v", errSyntax, d)
		}
		if _, ok := d[0].(string); !ok {
			return fmt.Errorf("%w: disposition %v", errSyntax, d)
		}
	} else if rest[0] != nil {
		return fmt.Errorf("%w: disposition %v", errSyntax, rest[0])
	}
	if tags, ok := rest[1].([]sexp); ok {
		for _, tag := range tags {
			if _, ok := tag.(string); !ok {
				return fmt.Errorf("%w: language %v", errSyntax, tags)
			}
		}
	} else if !isNString(rest[1]) {
		return fmt.Errorf("%w: language %v", errSyntax, rest[1])
	}
	if !isNString(rest[2]) {
		return fmt.Errorf("%w: location %v", errSyntax, rest[2])
	}
	return nil
}

func isParams(v sexp) bool {
	list, ok := v.([]sexp)
	if !ok {
		return v == nil
	}
	for _, p := range list {
		if _, ok := p.(string); !ok {
			return false
		}
	}
	return len(list)%2 == 0
}

func equalFold(a, b string) bool { return bytes.EqualFold([]byte(a), []byte(b)) }
