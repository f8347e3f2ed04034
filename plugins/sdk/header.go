package sdk

import "strings"

// Field is one field of a header.
type Field struct {
	// Name is as it was written. Value is without the breaks of lines (RFC 5322
	// section 2.2.3) and without white space around it; it can have octets that
	// are no UTF-8.
	Name, Value string
}

// Header is the header of a message or a part.
type Header struct{ fields []Field }

// ParseHeader reads a header up to its empty line or its end. Lines that are no
// field are passed over.
func ParseHeader(b []byte) *Header {
	h := &Header{}
	text := string(b)
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		if line = strings.TrimSuffix(line, "\r"); line == "" {
			break
		}
		// What begins with white space continues the field.
		if continues(rest) {
			var whole strings.Builder
			whole.WriteString(line)
			for continues(rest) {
				var more string
				more, rest, _ = strings.Cut(rest, "\n")
				whole.WriteString(strings.TrimSuffix(more, "\r"))
			}
			line = whole.String()
		}
		text = rest
		name, value, found := strings.Cut(line, ":")
		name = strings.TrimRight(name, " \t")
		if !found || name == "" || strings.ContainsAny(name, " \t") {
			continue
		}
		h.fields = append(h.fields, Field{Name: name, Value: strings.Trim(value, " \t")})
	}
	return h
}

func continues(rest string) bool { return rest != "" && (rest[0] == ' ' || rest[0] == '\t') }

// Fields gives all fields from the top down.
func (h *Header) Fields() []Field { return h.fields }

// Values gives the values of all fields of a name, in any case of letters.
func (h *Header) Values(name string) []string {
	var list []string
	for _, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			list = append(list, f.Value)
		}
	}
	return list
}

// Get gives the value of the topmost field of a name, empty where none is.
func (h *Header) Get(name string) string {
	for _, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Has tells whether there is a field of a name.
func (h *Header) Has(name string) bool {
	for _, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// Text is Get with the encoded words decoded; see DecodeWords.
func (h *Header) Text(name string) string { return DecodeWords(h.Get(name)) }
