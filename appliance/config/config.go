package config

import (
	"fmt"
	"path/filepath"
)

// FileName is the name of the file inside the data folder.
const FileName = "hauspost.toml"

// Version is the version of the file that this program writes.
const Version = 1

// The ports of RFC 5321 and RFC 8314, before PortOffset moves them.
const (
	PortSMTP  = 25
	PortIMAP  = 143
	PortIMAPS = 993
	PortHTTP  = 80
	PortHTTPS = 443

	PortSubmission  = 587
	PortSubmissions = 465
)

// Config is the whole file. Default gives the values for a house.
type Config struct {
	// Version is the version of the file's form.
	Version int
	// Hostname is the true name of the box, lower case.
	Hostname string
	// Listen are IP addresses to listen at; "*" means all.
	Listen []string
	// PublicAddresses are those of the box where its sockets have others (NAT).
	PublicAddresses []string
	// PortOffset moves every listener's port.
	PortOffset int
	// Shutdown is how long sessions may take to end when the box stops.
	Shutdown Duration
	// MemoryLimit is the soft limit for the Go runtime; 0 means automatic.
	MemoryLimit Size

	Listeners  Listeners
	TLS        TLS
	Resolver   Resolver
	Mail       Mail
	SMTP       SMTP
	Checks     Checks
	Submission Submission
	Queue      Queue
	Relay      Relay
	// Routes are in the order of the file.
	Routes  []Route
	Filters Filters
	// Plugins and Services are in the order of the file.
	Plugins  []Plugin
	Services []Service
	DKIM     DKIM
	Sendmail Sendmail
	IMAP     IMAP
	Logins   Logins
	Log      Log
	Traces   Traces
}

// Listeners switches the services on and off.
type Listeners struct {
	SMTP, IMAP, IMAPS, Submission, Submissions bool
}

// TLS says where the certificate comes from.
type TLS struct {
	// Mode is one of the TLS constants.
	Mode string
	// Cert and Key are PEM files for ModeFiles, relative to the data folder.
	Cert, Key string
	// ACMEEmail and ACMEDirectory are for ModeACME.
	ACMEEmail, ACMEDirectory string
	// ACMEHTTP and ACMETLS answer the certificate authority at ports 80
	// (HTTP-01) and 443 (TLS-ALPN-01).
	ACMEHTTP, ACMETLS bool
	// ExtraRoot is a PEM file with certificates trusted beside the system's.
	ExtraRoot string
}

// The modes of TLS.
const (
	ModeSelfSigned = "self-signed"
	ModeFiles      = "files"
	ModeACME       = "acme"
)

// Resolver says which name server to ask.
type Resolver struct {
	// Address is an IP address with an optional port; empty means that of the
	// system.
	Address string
	// Timeout is for one question.
	Timeout Duration
}

// Mail holds what concerns messages, however they come in.
type Mail struct {
	// MaxSize is the largest message in octets.
	MaxSize Size
	// PlusSeparator divides person and detail in a plus-address; empty means
	// that there are none.
	PlusSeparator string
}

// Checks are the checks of the servers that hand over mail: true refuses what
// fails, false only notes it in the trace.
type Checks struct {
	// HELOSyntax, HELOOwn and HELOFull: the name is well-formed, is not the
	// box's own, and has a domain.
	HELOSyntax, HELOOwn, HELOFull bool
	// Pipelining: the peer waits for answers where it must.
	Pipelining bool
	// DNS asks the DNS at all; without it the checks below are not made.
	DNS bool
	// ReverseName: the peer's address has a name that leads back to it.
	ReverseName bool
	// SenderFull and SenderDomain: the sender's domain is a full one; it
	// exists and takes mail.
	SenderFull, SenderDomain bool
	// DeferOnTrouble answers "later" where the DNS does not answer.
	DeferOnTrouble bool
	// Timeout is for the questions of one command.
	Timeout Duration
}

// Log says what is logged and where to.
type Log struct {
	// Level is the least level that is kept in memory for `hauspost log`.
	Level string
	// Stderr is the least level that also goes to standard error, or "off".
	Stderr string
	// Format of standard error: "text" or "json".
	Format string
	// MemoryLines is how many entries are kept in memory.
	MemoryLines int
}

// Traces says for how many days the trace of a message is kept.
type Traces struct {
	KeepDays int
}

// Path gives the file inside a data folder.
func Path(dir string) string { return filepath.Join(dir, FileName) }

// Port gives the port of a service with the offset added.
func (c *Config) Port(base int) int { return base + c.PortOffset }

// File gives the path of a file named in the config, which may be relative to
// the data folder dir.
func File(dir, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// Map gives all keys with their values as nested maps, as `config show --json`
// prints them: durations and sizes are strings as in the file, passwords "***".
// A section that is a list is a list of maps.
func (c *Config) Map() map[string]any {
	top := map[string]any{}
	for _, s := range sections {
		switch {
		case s.name == "":
			c.mapKeys(s.name, top)
		case s.list:
			list := []map[string]any{}
			for _, one := range c.each(s.name) {
				into := map[string]any{}
				one.mapKeys(s.name, into)
				list = append(list, into)
			}
			top[s.name] = list
		default:
			into := map[string]any{}
			c.mapKeys(s.name, into)
			top[s.name] = into
		}
	}
	return top
}

func (c *Config) mapKeys(section string, into map[string]any) {
	for _, k := range keysOf(section) {
		_, name := split(k.name)
		switch p := k.field(c).(type) {
		case *string:
			into[name] = *p
		case *int:
			into[name] = *p
		case *bool:
			into[name] = *p
		case *float64:
			into[name] = *p
		case *Settings:
			into[name] = p.Map()
		case *[]string:
			into[name] = append([]string{}, *p...)
		case fmt.Stringer: // *Duration, *Size, *Secret
			into[name] = p.String()
		}
	}
}
