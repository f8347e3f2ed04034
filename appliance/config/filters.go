package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Filters holds what the box makes of what its plugins find.
type Filters struct {
	// JunkAt, QuarantineAt and RejectAt are sums of points from which on a
	// message goes to Junk, is kept apart, is refused; 0 means never.
	JunkAt, QuarantineAt, RejectAt float64
	// Time and Memory are the most that one plugin gets for one message,
	// whatever its manifest asks for.
	Time   Duration
	Memory Size
	// Parallel is how many messages one worker looks at at the same time; 0 is
	// automatic.
	Parallel int
	// QuarantineAfter is how long senders are asked to come again because a
	// plugin fails; after that their mail is taken into quarantine.
	QuarantineAfter Duration
}

// Plugin is what the owner sets for one plugin. Which plugins there are, their
// order and what they may do is in the lock file, not here.
type Plugin struct {
	ID string
	// Weight multiplies its points.
	Weight float64
	// MaxPoints is the most that it adds or takes for one message; 0 means
	// no limit of the owner's.
	MaxPoints float64
	// OnFailure is "skip" or "tempfail", or empty: as its manifest says.
	OnFailure string
	Settings  Settings
}

// Service is a program that plugins with a grant may ask by name.
type Service struct {
	Name string
	// Kind is one of the Service constants.
	Kind string
	// Address is "host:port", "unix:/path", or a URL for ServiceHTTP.
	Address string
	Timeout Duration
	// MaxSize is the largest part that is handed over.
	MaxSize Size
}

// The kinds of services.
const (
	// ServiceClamd speaks the protocol of ClamAV's daemon.
	ServiceClamd = "clamd"
	// ServiceStream takes the request, then the part, and answers.
	ServiceStream = "stream"
	// ServiceHTTP takes a POST.
	ServiceHTTP = "http"
)

// The words for Plugin.OnFailure.
const (
	OnFailureSkip     = "skip"
	OnFailureTempfail = "tempfail"
)

var filterDefaults = Filters{JunkAt: 5, RejectAt: 15, Time: 10 * second, Memory: 64 << 20, QuarantineAfter: 4 * hour}

// What the keys of a list are where they are not written.
var (
	newPlugin  = Plugin{Weight: 1}
	newService = Service{Kind: ServiceClamd, Timeout: 30 * second, MaxSize: 25 << 20}
)

// NewPlugin gives what counts for a plugin of which the file says nothing.
func NewPlugin(id string) Plugin {
	p := newPlugin
	p.ID = id
	return p
}

// ofPlugin and ofService make fields of the element that is being read or
// written, as ofRoute does.
func ofPlugin[T any](field func(*Plugin) *T) func(*Config) *T {
	return ofLast(func(c *Config) []Plugin { return c.Plugins }, newPlugin, field)
}

func ofService[T any](field func(*Service) *T) func(*Config) *T {
	return ofLast(func(c *Config) []Service { return c.Services }, newService, field)
}

// filterKeys are the keys of [filters], [[plugin]] and [[service]].
var filterKeys = []key{
	number("filters.junk_at", "The sum of points from which on a message is filed in Junk; 0 means never.",
		func(c *Config) *float64 { return &c.Filters.JunkAt }, 0, 1000),
	number("filters.quarantine_at", "The sum of points from which on a message is kept away from its recipient until somebody releases it; 0 means never.",
		func(c *Config) *float64 { return &c.Filters.QuarantineAt }, 0, 1000),
	number("filters.reject_at", "The sum of points from which on a message is refused while the other server is still there, so that its sender learns of it; 0 means never.",
		func(c *Config) *float64 { return &c.Filters.RejectAt }, 0, 1000),
	duration("filters.time", "The most time that one plugin gets for one message, whatever it asks for.",
		func(c *Config) *Duration { return &c.Filters.Time }, second/100, minute),
	size("filters.memory", "The most memory that one plugin gets, whatever it asks for.",
		func(c *Config) *Size { return &c.Filters.Memory }, 1<<20, 512<<20),
	count("filters.parallel", "Messages that the plugins look at at the same time. 0 chooses by the size of the machine.",
		func(c *Config) *int { return &c.Filters.Parallel }, 0, 64),
	duration("filters.quarantine_after", "How long senders are asked to come again because a plugin that must look at mail fails; after that mail is taken and kept in quarantine.",
		func(c *Config) *Duration { return &c.Filters.QuarantineAfter }, 0, 5*24*hour),

	text("plugin.id", "The plugin, as `hauspost plugin list` names it.",
		ofPlugin(func(p *Plugin) *string { return &p.ID }), "the ID of a plugin: small letters, digits and -", "hello", pluginID.MatchString),
	number("plugin.weight", "Its points are multiplied by this: 0.5 halves them, 0 has it speak without a vote.",
		ofPlugin(func(p *Plugin) *float64 { return &p.Weight }), 0, 100),
	number("plugin.max_points", "The most points that it adds or takes for one message; 0 means as many as it was granted.",
		ofPlugin(func(p *Plugin) *float64 { return &p.MaxPoints }), 0, 1000),
	choice("plugin.on_failure", "What happens to a message when it fails: \"skip\" goes on without it, \"tempfail\" asks the sender to come again later. Empty: as the plugin says.",
		ofPlugin(func(p *Plugin) *string { return &p.OnFailure }), "", OnFailureSkip, OnFailureTempfail),
	{name: "plugin.settings", doc: "Its own settings: `hauspost plugin show ID` lists them. They can also stand one a line below [plugin.settings].",
		field:   func(c *Config) any { return ofPlugin(func(p *Plugin) *Settings { return &p.Settings })(c) },
		allowed: "a table of texts, numbers, truth values and lists", example: `{ greeting = "Good morning" }`},

	text("service.name", "The name by which plugins ask for it.",
		ofService(func(s *Service) *string { return &s.Name }), "a name of small letters, digits, - and _, the first one a letter", "clamav", serviceName.MatchString),
	choice("service.kind", "\"clamd\" is ClamAV's daemon, \"stream\" any program that reads a request and a part from a socket and answers, \"http\" one that takes a POST.",
		ofService(func(s *Service) *string { return &s.Kind }), ServiceClamd, ServiceStream, ServiceHTTP),
	text("service.address", "Where it is: \"unix:\" and the path of a socket, a host and a port, or a URL for the kind \"http\".",
		ofService(func(s *Service) *string { return &s.Address }), "unix:/path, host:port, or a URL", "unix:/run/clamav/clamd.ctl", validServiceAddress),
	duration("service.timeout", "How long one answer may take.",
		ofService(func(s *Service) *Duration { return &s.Timeout }), second/10, minute/2),
	size("service.max_size", "The largest part of a message that is handed over; plugins learn that a larger one was not.",
		ofService(func(s *Service) *Size { return &s.MaxSize }), 1<<10, 1<<30),
}

// pluginID is what pack lets a plugin be called.
var (
	pluginID    = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}$`)
	serviceName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)
)

func validServiceAddress(s string) bool { return isSocket(s) || isURL(s) }

func isSocket(s string) bool {
	if path, unix := strings.CutPrefix(s, "unix:"); unix {
		return filepath.IsAbs(path) && validFile(path)
	}
	host, port, err := net.SplitHostPort(s)
	n, perr := strconv.Atoi(port)
	return err == nil && perr == nil && host != "" && n > 0 && n < 65536 && !strings.ContainsAny(host, "/ \x00\n")
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

// filters faults what does not fit each other in [filters], [[plugin]] and
// [[service]].
func (p *parser) filters() {
	f := p.config.Filters
	for _, o := range []struct {
		small, large string
		a, b         float64
	}{
		{"filters.junk_at", "filters.quarantine_at", f.JunkAt, f.QuarantineAt},
		{"filters.quarantine_at", "filters.reject_at", f.QuarantineAt, f.RejectAt},
		{"filters.junk_at", "filters.reject_at", f.JunkAt, f.RejectAt},
	} {
		if o.a > o.b && o.b > 0 {
			p.order(o.small, o.large)
		}
	}
	p.named("plugin.id", `add for example id = "hello"`, len(p.config.Plugins), func(i int) string { return p.config.Plugins[i].ID })
	p.named("service.name", `add for example name = "clamav"`, len(p.config.Services), func(i int) string { return p.config.Services[i].Name })
	for i, s := range p.config.Services {
		where := p.whereIn("service", "service.address", i)
		wants, example := "host:port or unix:/path", `address = "127.0.0.1:3310"`
		if s.Kind == ServiceHTTP {
			wants, example = "a URL", `address = "http://127.0.0.1:8080/check"`
		}
		switch {
		case !p.has(inList("service.address", i)):
			p.fault("service.address", where, "missing: it says where the service is", "add for example "+example)
		case validServiceAddress(s.Address) && isURL(s.Address) != (s.Kind == ServiceHTTP):
			p.fault("service.address", where, fmt.Sprintf("must be %s, because kind is %q", wants, s.Kind), "write for example "+example)
		}
	}
}

// named faults elements of a list without a name or with one that another has.
func (p *parser) named(name, example string, n int, of func(i int) string) {
	list, last := split(name)
	first := map[string]int{}
	for i := range n {
		where := p.whereIn(list, name, i)
		j, twice := first[of(i)]
		switch {
		case !p.has(inList(name, i)):
			p.fault(name, where, "missing: it says which "+list+" is meant", example)
		case twice && of(i) != "":
			p.fault(name, where, fmt.Sprintf("the %s [[%s]] has this %s already", ordinal(j), list, last), "keep one of the two")
		default:
			first[of(i)] = i
		}
	}
}
