package smtpd

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/esmtp/dialogue"
	"hauspost/appliance/reply"
)

// TestDialogues plays testdata/*.txt (see package dialogue). The words are
// those of look, the keys those of applyOption and "from".
func TestDialogues(t *testing.T) {
	t.Parallel()
	dialogue.Run(t, "testdata/*.txt", func(t *testing.T, options []dialogue.Option) dialogue.Peer {
		kept := &dialogue.Keeper{}
		var peer dialogue.Peer
		h := start(t, func(o *Options) {
			o.Keep = kept.Keep
			for _, option := range options {
				if option.Key == "from" {
					peer.From = &net.TCPAddr{IP: net.ParseIP(option.Value)}
					continue
				}
				applyOption(t, o, option.Key, option.Value)
			}
		})
		peer.Addr = h.addr
		_, peer.TLS = dialogue.TLS()
		peer.Active = func() int { return h.Stats().Connections.Active }
		peer.Look = func(word string) (string, bool) { return look(h.depot.stored(), kept, word) }
		return peer
	})
}

// look gives what a dialogue asks for: the number of committed messages, the
// last one, and the steps of the last trace that was kept without a message.
func look(all []delivered, kept *dialogue.Keeper, word string) (string, bool) {
	var last delivered
	if len(all) > 0 {
		last = all[len(all)-1]
	}
	switch word {
	case "STORED":
		return fmt.Sprint(len(all)), true
	case "TRACE":
		return kept.Last(), true
	case "CONTENT":
		return last.content, true
	case "FROM":
		return last.env.From.String(), true
	case "PROTOCOL":
		return last.env.Client.Protocol, true
	case "REQUIRETLS":
		return fmt.Sprint(last.env.RequireTLS), true
	case "RUNS":
		var runs []string
		for _, r := range last.env.Runs {
			runs = append(runs, r.Stage+":"+r.Problem)
		}
		return strings.Join(runs, " "), true
	case "TO":
		var to []string
		for _, r := range last.env.To {
			to = append(to, r.Address.String())
		}
		return strings.Join(to, " "), true
	}
	return "", false
}

func applyOption(t *testing.T, o *Options, key, value string) {
	n, _ := strconv.Atoi(value)
	l, c := &o.Limits, &o.Checks
	switch key {
	case "size":
		l.MessageSize = int64(n)
	case "drop":
		l.DropSize = int64(n)
	case "recipients":
		l.Recipients = n
	case "messages":
		l.Messages = n
	case "errors":
		l.Errors = n
	case "bad-recipients":
		l.BadRecipients = n
	case "empty":
		l.EmptyCommands = n
	case "text-line":
		l.TextLine = n
	case "timeout":
		l.CommandTimeout, l.ContentTimeout = time.Duration(n)*time.Millisecond, time.Duration(n)*time.Millisecond
	case "greet-pause":
		l.GreetPause = time.Duration(n) * time.Millisecond
	case "sender-rate":
		l.SenderRate = n
	case "domain-rate":
		l.DomainRate = n
	case "exempt":
		l.Exempt = append(l.Exempt, netip.MustParsePrefix(value))
	case "tls":
		o.TLS, _ = dialogue.TLS()
	case "pipelining":
		o.AllowPipelining = true
	case "filters":
		o.Filters = &sieve{stages: value, answer: reply.New(554, "5.7.1", "filtered", "A filter said no")}
	case "filters-later":
		o.Filters = &sieve{stages: value, answer: reply.New(450, "4.7.1", "filtered-for-now", "A filter said later")}
	case "filters-yes":
		o.Filters = &sieve{stages: value, answer: reply.New(250, "", "fine", "A filter said yes")}
	case "names":
		o.Names = testZone()
	case "our-address":
		o.Addresses = append(o.Addresses, netip.MustParseAddr(value))
	case "allow-forged-helo":
		c.AllowForgedHelo = true
	case "allow-malformed-helo":
		c.AllowMalformedHelo = true
	case "require-helo-fqdn":
		c.RequireHeloFQDN = true
	case "require-reverse-dns":
		c.RequireReverseDNS = true
	case "allow-short-sender":
		c.AllowShortSender = true
	case "allow-unknown-sender":
		c.AllowUnknownSender = true
	case "defer-on-dns-trouble":
		c.DeferOnDNSTrouble = true
	case "disk-full":
		o.Intake.(*depot).writeErr = reply.StorageError
	case "commit-fails":
		o.Intake.(*depot).commitErr = fmt.Errorf("fsync /secret/path: input/output error")
	default:
		t.Fatalf("unknown option %q", key)
	}
}

func testZone() *zone {
	return &zone{
		ptr: map[string][]string{"127.0.0.2": {"liar.test.", "good.test."}, "127.0.0.3": {"liar.test."}},
		ip: map[string][]string{
			"good.test": {"127.0.0.2"}, "liar.test": {"192.0.2.1"}, "only-a.test": {"192.0.2.2"},
		},
		mx:   map[string][]string{"good.test": {"mx.good.test."}, "null.test": {"."}},
		down: []string{"down.test", "127.0.0.4"},
	}
}
