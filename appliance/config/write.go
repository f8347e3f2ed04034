package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const preamble = `# Hauspost: the settings of this box. Check changes with "hauspost config check";
# they take effect when the box is started again. A line that begins with "#" and
# a key shows the default: remove the "#" to change it. Durations are written as
# "90s", "5m", "1h30m" or "7d", sizes as "64KiB" or "50MiB".
`

// Write gives the file: every key with its explanation, passwords included.
// Keys that have their default are written as comments, so that a better
// default of a later version takes effect.
func (c *Config) Write() []byte { return c.write(literal) }

// Show gives the file as people may see it: passwords are "***".
func (c *Config) Show() []byte {
	return c.write(func(field any) string {
		switch p := field.(type) {
		case *Secret:
			return quote(p.String())
		case *Settings:
			return p.inline(true)
		case *Setting:
			return p.literal(true)
		}
		return literal(field)
	})
}

func (c *Config) write(literal func(field any) string) []byte {
	var b bytes.Buffer
	b.WriteString(preamble)
	for _, s := range sections {
		if s.name != "" {
			b.WriteString("\n")
			comment(&b, s.doc)
		}
		if s.list {
			c.writeList(&b, s.name, literal)
			continue
		}
		if s.name != "" {
			fmt.Fprintf(&b, "[%s]\n", s.name)
		}
		for _, k := range keysOf(s.name) {
			_, name := split(k.name)
			value := literal(k.field(c))
			b.WriteString("\n")
			comment(&b, k.doc+" Allowed: "+k.allowed+".")
			if !k.always && value == literal(k.field(defaults)) {
				b.WriteString("#")
			}
			fmt.Fprintf(&b, "%s = %s\n", name, value)
		}
	}
	return b.Bytes()
}

// writeList writes a section that is a list: an example as comments, with the
// explanations, and then what there is.
func (c *Config) writeList(b *bytes.Buffer, section string, literal func(field any) string) {
	fmt.Fprintf(b, "#[[%s]]\n", section)
	for _, k := range keysOf(section) {
		_, name := split(k.name)
		b.WriteString("\n")
		comment(b, k.doc+" Allowed: "+k.allowed+".")
		fmt.Fprintf(b, "#%s = %s\n", name, k.example)
	}
	for _, one := range c.each(section) {
		fmt.Fprintf(b, "\n[[%s]]\n", section)
		full, implied := lists[section].written(one)
		for _, k := range keysOf(section) {
			_, name := split(k.name)
			value := literal(k.field(full))
			if settings, free := k.field(full).(*Settings); free && len(*settings) > 0 {
				fmt.Fprintf(b, "\n[%s]\n", k.name)
				for _, s := range *settings {
					fmt.Fprintf(b, "%s = %s\n", s.key(), literal(&s))
				}
			} else if value != literal(k.field(implied)) {
				fmt.Fprintf(b, "%s = %s\n", name, value)
			}
		}
	}
}

// comment writes text as comment lines of at most 78 columns.
func comment(b *bytes.Buffer, text string) {
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > 78 && line != "#" {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

func literal(field any) string {
	switch p := field.(type) {
	case *string:
		return quote(*p)
	case *Secret:
		return quote(p.Reveal())
	case *int:
		return strconv.Itoa(*p)
	case *bool:
		return strconv.FormatBool(*p)
	case *float64:
		return strconv.FormatFloat(*p, 'f', -1, 64)
	case *Settings:
		return p.inline(false)
	case *Setting:
		return p.literal(false)
	case *[]string:
		words := make([]string, len(*p))
		for i, w := range *p {
			words[i] = quote(w)
		}
		return "[" + strings.Join(words, ", ") + "]"
	case fmt.Stringer:
		return quote(p.String())
	}
	panic(fmt.Sprintf("config: a key of type %T", field))
}

// quote writes a basic string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Save writes the file of a data folder: to a new file, flushed and renamed over
// the old one, so that a crash leaves either the old or the new. The config is
// checked first; Faults, and the old file unchanged, if it is bad.
func (c *Config) Save(dir string) (err error) {
	path, data := Path(dir), c.Write()
	if _, err := Parse(path, data); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+FileName+".*") // created with mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
