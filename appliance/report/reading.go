package report

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hauspost/appliance/transfer"
)

// Reading says in one plain clause what an outcome means: lower-case, without a
// full stop and without what happens next, such as "their server asks new
// senders to wait: this is normal". host is the name of the other server, which
// tells the big providers apart; it may be empty. Reading is never empty, and
// nothing of the answer goes into it.
func Reading(o transfer.Outcome, host string) string {
	if o.Status == transfer.Delivered {
		return named(server(o, host)) + " took the message"
	}
	return strings.ReplaceAll(meaningOf(o, host).says, "{server}", named(server(o, host)))
}

// Advice says in full sentences what the sender, or the owner of this box, can
// do about an outcome that Reading explains. It is empty where nothing needs to
// or can be done.
func Advice(o transfer.Outcome, host string) string {
	if o.Status == transfer.Delivered {
		return ""
	}
	return meaningOf(o, host).advice
}

// meaning is what an answer comes down to.
type meaning struct {
	// says is the clause of Reading; "{server}" stands for the provider's name
	// or "their server".
	says string
	// advice is that of Advice.
	advice string
}

// sign tells by what a meaning is recognised. Every condition that is not empty
// must hold; of its values one is enough.
type sign struct {
	means string
	// at are providers, as server names them.
	at []string
	// class is '4' or '5', that of the answer's code.
	class byte
	codes []int
	// enhanced are status codes of RFC 3463, or a range such as "5.7.606-649";
	// one that begins with "." fits both classes.
	enhanced []string
	// names are those of transfer.Outcome; verbs are the answered commands.
	names, verbs []string
	// words stand in the answer, in lower-case. What this side found (Code 0) has
	// a name that tells enough: its words are read only where names are given.
	words []string
}

// providers are the big ones by the ends of their servers' names.
var providers = []struct{ suffix, name string }{
	{".google.com", "Gmail"},
	{".googlemail.com", "Gmail"},
	{".gmail.com", "Gmail"},
	{".outlook.com", "Microsoft"},
	{".hotmail.com", "Microsoft"},
	{".office365.com", "Microsoft"},
	{".mx.microsoft", "Microsoft"},
	{".yahoodns.net", "Yahoo"},
	{".yahoo.com", "Yahoo"},
	{".aol.com", "Yahoo"},
	{".icloud.com", "iCloud"},
	{".apple.com", "iCloud"},
	{".t-online.de", "T-Online"},
	{".gmx.net", "GMX"},
	{".gmx.com", "GMX"},
	{".web.de", "WEB.DE"},
	{".kundenserver.de", "IONOS"},
	{".ionos.com", "IONOS"},
	{".mimecast.com", "Mimecast"},
	{".pphosted.com", "Proofpoint"},
	{".ppe-hosted.com", "Proofpoint"},
	{".barracudanetworks.com", "Barracuda"},
	{".iphmx.com", "Cisco"},
	{".messagelabs.com", "Symantec"},
	{".zoho.com", "Zoho"},
	{".zoho.eu", "Zoho"},
	{".messagingengine.com", "Fastmail"},
	{".protonmail.ch", "Proton"},
	{".mail.ru", "Mail.ru"},
	{".yandex.ru", "Yandex"},
	{".yandex.net", "Yandex"},
	{".comcast.net", "Comcast"},
	{".ovh.net", "OVH"},
}

// server names the provider to which host belongs, or gives "".
func server(o transfer.Outcome, host string) string {
	if o.Scope == transfer.ScopeLocal {
		return ""
	}
	host = "." + strings.TrimSuffix(strings.ToLower(host), ".")
	for _, p := range providers {
		if strings.HasSuffix(host, p.suffix) {
			return p.name
		}
	}
	return ""
}

func named(provider string) string {
	if provider == "" {
		return "their server"
	}
	return provider
}

// meaningOf finds the first sign that fits. What the words of an answer say goes
// before its numbers, as servers use the same few numbers for all they mean.
func meaningOf(o transfer.Outcome, host string) meaning {
	a := answer{Outcome: o, provider: server(o, host), text: plainAnswer(o.Answer)}
	for i := range signs {
		if signs[i].fits(&a) {
			return meanings[signs[i].means]
		}
	}
	return fallback(o)
}

func fallback(o transfer.Outcome) meaning {
	switch {
	case o.Scope == transfer.ScopeLocal:
		return meanings["local"]
	case o.Code == 0:
		return meanings["trouble"]
	case o.Status == transfer.Failed:
		return meanings["refused"]
	}
	return meanings["later"]
}

// answer is an outcome prepared for fits.
type answer struct {
	transfer.Outcome
	provider, text string
}

func (s *sign) fits(a *answer) bool {
	return (len(s.at) == 0 || slices.Contains(s.at, a.provider)) &&
		(s.class == 0 || a.Code/100 == int(s.class-'0')) &&
		(len(s.codes) == 0 || slices.Contains(s.codes, a.Code)) &&
		(len(s.names) == 0 || slices.Contains(s.names, a.Name)) &&
		(len(s.verbs) == 0 || slices.ContainsFunc(s.verbs, func(v string) bool { return strings.EqualFold(v, a.Verb) })) &&
		(len(s.enhanced) == 0 || slices.ContainsFunc(s.enhanced, func(e string) bool { return isStatus(a.Enhanced, e) })) &&
		(len(s.words) == 0 || a.Code != 0 || len(s.names) > 0) &&
		(len(s.words) == 0 || slices.ContainsFunc(s.words, func(w string) bool { return strings.Contains(a.text, w) }))
}

// isStatus tells whether status is the one that the pattern of a sign means.
func isStatus(status, pattern string) bool {
	if status == "" {
		return false
	}
	if strings.HasPrefix(pattern, ".") {
		pattern = status[:1] + pattern
	}
	first, last, ok := strings.Cut(pattern, "-")
	if !ok {
		return status == pattern
	}
	dot := strings.LastIndexByte(first, '.') + 1
	detail, ok := strings.CutPrefix(status, first[:dot])
	if !ok {
		return false
	}
	n, err := strconv.Atoi(detail)
	low, _ := strconv.Atoi(first[dot:])
	high, _ := strconv.Atoi(last)
	return err == nil && low <= n && n <= high
}

// lineStart is where a line of a longer answer begins, as transfer.Sanitize
// joins them: it stands in the middle of sentences.
var lineStart = regexp.MustCompile(`\s+/\s+(?:[245]\d\d[ -])?(?:[245]\.\d{1,3}\.\d{1,3}\s+)?`)

// plainAnswer gives an answer in lower-case, as one line without the codes that
// begin each of its lines.
func plainAnswer(s string) string {
	return strings.ToLower(lineStart.ReplaceAllLiteralString(s, " "))
}
