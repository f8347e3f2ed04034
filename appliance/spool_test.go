package appliance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/sendmail"
)

// TestSpoolWithManyWrongRecipients holds that a message is dealt with at once
// whose report is more than the commit that takes it could hold.
func TestSpoolWithManyWrongRecipients(t *testing.T) {
	t.Parallel()
	b := newTestBox(t)
	core := b.core
	anna, err := core.accounts.Add(t.Context(), "anna@example.test", "a long password for anna")
	if err != nil {
		t.Fatal(err)
	}
	log := maillog.Log{}
	in := &spoolIntake{core: core, out: b.newOutbound(log), reports: core.reports(b.config, log), config: b.config, log: log,
		keep: func(envelope.ID, []maillog.Entry) {}}
	for name, n := range map[string]int{"drop/few": 3, "drop/many": 2000} {
		m := &sendmail.Spooled{Name: name, User: "www-data", Via: "sendmail", Sender: envelope.MustAddress("anna@example.test"), Written: time.Now(),
			Recipients: []envelope.Recipient{{Address: envelope.MustAddress("anna@example.test")}},
			Content:    strings.NewReader("From: anna@example.test\r\nSubject: news\r\n\r\nhello\r\n")}
		for i := range n {
			m.Recipients = append(m.Recipients, envelope.Recipient{Address: envelope.MustAddress(fmt.Sprintf("nobody.of.the.name.%d@example.test", i))})
		}
		if err := in.Submit(t.Context(), m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if done, err := in.Done(t.Context(), name); !done || err != nil {
			t.Errorf("%s: not done: %v", name, err)
		}
	}
	// The first message and its report; the report on the second, which went to nobody.
	box, err := core.store.Mailbox(t.Context(), anna.ID, "INBOX")
	if err != nil || box.Messages != 3 {
		t.Errorf("anna has %d messages, %v", box.Messages, err)
	}
}
