package config

import (
	"fmt"
	"log/slog"
)

// masked stands wherever a Secret would be printed.
const masked = "***"

// Secret is a password. However it is printed, logged or encoded, "***" comes
// out (and nothing where it is empty); only Reveal gives what it is.
type Secret string

// Reveal gives the password itself.
func (s Secret) Reveal() string { return string(s) }

// String gives "***", or nothing for an empty Secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// Format implements fmt.Formatter: every verb prints what String gives, the
// wrong ones too, with which fmt would print the password.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText implements encoding.TextMarshaler, and so JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
