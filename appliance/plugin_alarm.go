package appliance

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"hauspost/appliance/deliver"
	"hauspost/appliance/envelope"
	"hauspost/appliance/queue"
	"hauspost/plugins/host"
)

// alarms tell the owner of plugins that keep failing: in the log, and by mail to
// postmaster, of each plugin at most once a day.
type alarms struct {
	b       *Box
	reports *deliver.Reports
	now     func() time.Time

	mu   sync.Mutex
	told map[string]time.Time
	// sending are the letters under way.
	sending sync.WaitGroup
}

const alarmEvery = 24 * time.Hour

// failed is the host's Alarm: it does not wait.
func (a *alarms) failed(plugin string, f host.Failure) {
	a.b.logger.Error("a plugin failed too often and is not asked for a while: see `hauspost plugin show "+plugin+"`",
		"plugin", plugin, "failure", f.Kind, "problem", f.Text)
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if last, ok := a.told[plugin]; ok && now.Sub(last) < alarmEvery {
		return
	}
	a.told[plugin] = now
	a.sending.Go(func() { a.write(plugin, f, now) })
}

func (a *alarms) write(plugin string, f host.Failure, now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	to := envelope.Address{Local: "Postmaster"}
	_, err := a.reports.Report(ctx, to, alarmLetter(a.b, plugin, f, now), nil)
	if err != nil && !errors.Is(err, queue.ErrNobody) {
		a.b.logger.Warn("postmaster could not be told of a plugin that fails", "plugin", plugin, "error", err.Error())
	}
}

// alarmLetter says what happened, what it means for mail, and what to do.
func alarmLetter(b *Box, plugin string, f host.Failure, now time.Time) []byte {
	means := "Mail goes on without it."
	if b.plugins.Policy().OnFailure[plugin] == "tempfail" {
		means = "Mail that it must look at is put off: senders are asked to come again later."
		if after := time.Duration(b.config.Filters.QuarantineAfter); after > 0 {
			means += fmt.Sprintf(" After %s such mail is taken and kept in quarantine.", after)
		}
	}
	problem, message := f.Text, "ID"
	if c := b.plugins.complained(plugin); c != nil {
		problem, message = c.Problem, cmp.Or(c.Message, message)
	}
	var l bytes.Buffer
	for _, line := range []string{
		"From: Hauspost <postmaster@" + b.config.Hostname + ">",
		"To: <postmaster@" + b.config.Hostname + ">",
		"Subject: The plugin " + plugin + " fails",
		"Date: " + now.Format(time.RFC1123Z),
		"Message-ID: <" + string(envelope.NewID(now)) + "@" + b.config.Hostname + ">",
		"Auto-Submitted: auto-generated",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: 8bit",
		"",
		"The plugin " + plugin + " failed several times in a row and is not asked for a while.",
		"It is tried again by itself, at first after seconds, later after minutes.",
		"",
		"What went wrong the last time: " + problem + " (" + f.Kind + ")",
		means,
		"",
		"What you can do:",
		"  hauspost plugin show " + plugin + "      what it is, how often it failed",
		"  hauspost trace " + message + "   what it did about one message",
		"  hauspost plugin disable " + plugin + "   go on without it",
		"  hauspost plugin update " + plugin + " --back   use the version before",
	} {
		l.WriteString(line + "\r\n")
	}
	return l.Bytes()
}
