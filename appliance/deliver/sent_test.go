package deliver

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/queue"
	"hauspost/appliance/reply"
)

// filed submits a message whose copy is to be filed, and gives the row of it.
func filed(t *testing.T, content string) (*office, *queue.Item) {
	t.Helper()
	f := newOffice(t, func(o *OutboundOptions) {
		o.SentAfter = func(context.Context, string) time.Duration { return time.Minute }
	})
	if err := f.submit(t, alice, submission("eve@away.example"), content, 1000); err != nil {
		t.Fatal(err)
	}
	item, err := queue.ItemOf(&f.rows[1])
	if err != nil {
		t.Fatal(err)
	}
	return f, item
}

// TestSentWhereOnlyTheNameIsLeft holds that a copy is filed also where somebody
// deleted Sent and left mailboxes below it.
func TestSentWhereOnlyTheNameIsLeft(t *testing.T) {
	t.Parallel()
	f, item := filed(t, letter)
	for _, name := range []string{"Sent", "Sent/2025"} {
		if _, err := f.store.CreateMailbox(t.Context(), "a", name, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.store.DeleteMailbox(t.Context(), "a", "Sent"); err != nil {
		t.Fatal(err)
	}
	sent := &Sent{Store: f.store, Now: func() time.Time { return at }}
	if err := sent.File(t.Context(), item); err != nil {
		t.Fatal(err)
	}
	if got := read(t, f.store, "a", "Sent"); len(got) != 1 {
		t.Errorf("Sent has %q", got)
	}
}

// TestLongFieldsAreTaken holds that long fields, of which the row for Sent keeps
// a copy, are no reason to refuse a message.
func TestLongFieldsAreTaken(t *testing.T) {
	t.Parallel()
	f, item := filed(t, "From: alice@example.test\r\nBcc: "+strings.Repeat("<someone@away.example>,\r\n ", 4000)+"<last@away.example>\r\n\r\nhello\r\n")
	sent := &Sent{Store: f.store, Now: func() time.Time { return at }}
	if err := sent.File(t.Context(), item); err != nil {
		t.Fatal(err)
	}
	if got := read(t, f.store, "a", "Sent"); len(got) != 1 || !strings.Contains(got[0], "\r\n\r\nhello") {
		t.Errorf("Sent has %q", got)
	}
	for _, id := range []string{strings.Repeat("<", 12000), strings.Repeat("x", 90000)} {
		if err := f.submit(t, alice, submission("eve@away.example"), "From: alice@example.test\r\nMessage-ID: <"+id+"@away.example>\r\n\r\nhello\r\n", 1000); err != nil {
			t.Error(err)
		}
	}
}

// TestMoreRecipientsThanACommitTakes holds that the sender of a message for
// thousands hears for good that there are too many.
func TestMoreRecipientsThanACommitTakes(t *testing.T) {
	t.Parallel()
	f := newOffice(t, nil)
	env := submission()
	far := strings.Repeat("a-long-name.", 18) + "example"
	for i := range 3000 {
		a := envelope.MustAddress(fmt.Sprintf("somebody-%d@%s", i, far))
		env.To = append(env.To, envelope.Recipient{Address: a, ORcpt: "rfc822;" + strings.Repeat("x", 490)})
	}
	err := f.submit(t, alice, env, letter, 1000)
	if r := reply.Of(err); err == nil || r.Temporary() || r.Name != "too-many-recipients" {
		t.Errorf("%v", err)
	}
	if err := f.submit(t, alice, submission("eve@away.example"), letter, 1000); err != nil {
		t.Error(err)
	}
}
