package imapd_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
)

func dialClient(t *testing.T, b *box, o *imapclient.Options) *imapclient.Client {
	t.Helper()
	if o == nil {
		o = &imapclient.Options{}
	}
	o.TLSConfig = &tls.Config{RootCAs: b.roots, ServerName: "localhost"}
	c, err := imapclient.DialTLS(b.secure, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// check fails the test on an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestClientFlows drives the core flows with another program's client.
func TestClientFlows(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	c := dialClient(t, b, nil)
	check(t, c.WaitGreeting())
	check(t, c.Authenticate(sasl.NewPlainClient("", ann, password)))
	for _, want := range []imap.Cap{imap.CapIMAP4rev1, imap.CapIMAP4rev2, imap.CapMove, imap.CapUIDPlus, imap.CapCondStore} {
		if !c.Caps().Has(want) {
			t.Errorf("no %s", want)
		}
	}
	check(t, c.Create("Projects/Näh", nil).Wait())
	list, err := c.List("", "*", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true, Size: true}}).Collect()
	check(t, err)
	names := []string{}
	for _, l := range list {
		names = append(names, l.Mailbox)
		if l.Status == nil && !slices.Contains(l.Attrs, imap.MailboxAttrNoSelect) {
			t.Errorf("%s has no status", l.Mailbox)
		}
	}
	if want := []string{"INBOX", "Archive", "Drafts", "Junk", "Projects", "Projects/Näh", "Sent", "Trash"}; !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}

	raw := testMessage(t, "multi")
	for range 3 {
		appendCmd := c.Append("INBOX", int64(len(raw)), &imap.AppendOptions{
			Flags: []imap.Flag{imap.FlagSeen, "$Label"}, Time: time.Date(2025, 3, 1, 8, 0, 0, 0, time.UTC),
		})
		_, err := appendCmd.Write(raw)
		check(t, err)
		check(t, appendCmd.Close())
		data, err := appendCmd.Wait()
		check(t, err)
		if data.UID == 0 || data.UIDValidity == 0 {
			t.Errorf("%+v", data)
		}
	}
	sel, err := c.Select("INBOX", &imap.SelectOptions{CondStore: true}).Wait()
	check(t, err)
	if sel.NumMessages != 3 || sel.HighestModSeq == 0 || sel.UIDNext != 4 || !slices.Contains(sel.PermanentFlags, imap.FlagWildcard) {
		t.Errorf("%+v", sel)
	}
	messages, err := c.Fetch(imap.SeqSetNum(1, 2, 3), &imap.FetchOptions{
		UID: true, Flags: true, Envelope: true, RFC822Size: true, InternalDate: true, ModSeq: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true},
		BodySection:   []*imap.FetchItemBodySection{{Peek: true}, {Part: []int{1}, Peek: true}, {Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"Subject"}, Peek: true}},
		BinarySection: []*imap.FetchItemBinarySection{{Part: []int{2}, Peek: true}},
	}).Collect()
	check(t, err)
	if len(messages) != 3 {
		t.Fatalf("%d messages", len(messages))
	}
	for _, m := range messages {
		if m.Envelope.Subject != "Fotos aus Köln" || m.RFC822Size != int64(len(raw)) || m.ModSeq == 0 {
			t.Errorf("%+v", m)
		}
		if got := m.FindBodySection(&imap.FetchItemBodySection{}); !bytes.Equal(got, raw) {
			t.Errorf("%d octets of %d are the same", len(got), len(raw))
		}
		if got := m.FindBinarySection(&imap.FetchItemBinarySection{Part: []int{2}}); !bytes.Equal(got, []byte{0, 1, 2, 3, 4, 5}) {
			t.Errorf("%x", got)
		}
		if len(m.BodyStructure.(*imap.BodyStructureMultiPart).Children) != 3 {
			t.Errorf("%+v", m.BodyStructure)
		}
	}

	found, err := c.UIDSearch(&imap.SearchCriteria{
		Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "KÖLN"}}, Body: []string{"haystack"},
	}, &imap.SearchOptions{ReturnCount: true, ReturnAll: true, ReturnMin: true}).Wait()
	check(t, err)
	if found.Count != 3 || found.Min != 1 {
		t.Errorf("%+v", found)
	}
	check(t, c.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagFlagged}}, nil).Close())
	moved, err := c.Move(imap.SeqSetNum(1), "Projects/Näh").Wait()
	check(t, err)
	if moved.UIDValidity == 0 || moved.SourceUIDs.String() != "1" {
		t.Errorf("%+v", moved)
	}
	copied, err := c.Copy(imap.UIDSetNum(2, 3), "Archive").Wait()
	check(t, err)
	if copied.DestUIDs.String() != "1:2" {
		t.Errorf("%+v", copied)
	}
	check(t, c.Store(imap.UIDSetNum(3), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close())
	gone, err := c.Expunge().Collect()
	check(t, err)
	if !slices.Equal(gone, []uint32{2}) {
		t.Errorf("%v", gone)
	}
	check(t, c.Unselect().Wait())
	check(t, c.Rename("Projects", "Work", nil).Wait())
	status, err := c.Status("Work/Näh", &imap.StatusOptions{NumMessages: true, NumUnseen: true, Size: true}).Wait()
	check(t, err)
	if *status.NumMessages != 1 || *status.NumUnseen != 0 || *status.Size != int64(len(raw)) {
		t.Errorf("%+v", status)
	}
	check(t, c.Logout().Wait())
}

// TestClientIdle waits for a push with another program's client.
func TestClientIdle(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	exists := make(chan uint32, 10)
	c := dialClient(t, b, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				exists <- *d.NumMessages
			}
		},
	}})
	check(t, c.Login(ann, password).Wait())
	_, err := c.Select("INBOX", nil).Wait()
	check(t, err)
	idle, err := c.Idle()
	check(t, err)
	for want := uint32(1); want <= 3; want++ {
		b.deliver(t, "INBOX", testMessage(t, "short"))
		select {
		case got := <-exists:
			if got != want {
				t.Errorf("%d messages, not %d", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no push")
		}
	}
	check(t, idle.Close())
	check(t, idle.Wait())
	check(t, c.Noop().Wait())
}

// TestSCRAM logs in by SCRAM-SHA-256 and refuses a wrong password.
func TestSCRAM(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	for _, test := range []struct {
		password string
		good     bool
	}{{password, true}, {"wrong password", false}} {
		c := dialClient(t, b, nil)
		err := c.Authenticate(newScramClient(t, ann, test.password))
		if test.good != (err == nil) {
			t.Errorf("%s: %v", test.password, err)
		}
		if err != nil && !strings.Contains(err.Error(), "Wrong user name or password") {
			t.Error(err)
		}
	}
}

// TestStartTLS reads mail after STARTTLS.
func TestStartTLS(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	c, err := imapclient.DialStartTLS(b.plain, &imapclient.Options{TLSConfig: &tls.Config{RootCAs: b.roots, ServerName: "localhost"}})
	check(t, err)
	defer c.Close()
	check(t, c.Login(ann, password).Wait())
	st := b.server.Stats()
	if len(st.Clients) != 1 || !st.Clients[0].TLS || st.Clients[0].Account != ann || st.Clients[0].Address != "127.0.0.1" {
		t.Errorf("%+v", st)
	}
}

// TestLargeMessage streams a message that is too large to be held for nothing,
// and pieces of it.
func TestLargeMessage(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	head := "From: a@example.net\r\nSubject: large\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
	part := "--x\r\nContent-Type: application/octet-stream\r\n\r\n"
	data := strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n", 40000)
	raw := head + part + data + "--x--\r\n"
	c := dialClient(t, b, nil)
	check(t, c.Login(ann, password).Wait())
	cmd := c.Append("INBOX", int64(len(raw)), nil)
	_, err := io.WriteString(cmd, raw)
	check(t, err)
	check(t, cmd.Close())
	_, err = cmd.Wait()
	check(t, err)
	_, err = c.Select("INBOX", nil).Wait()
	check(t, err)
	sections := []*imap.FetchItemBodySection{
		{Peek: true},
		{Peek: true, Part: []int{1}},
		{Peek: true, Specifier: imap.PartSpecifierHeader},
		{Peek: true, Specifier: imap.PartSpecifierText},
		{Peek: true, Part: []int{1}, Partial: &imap.SectionPartial{Offset: 1 << 20, Size: 1000}},
		{Peek: true, Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"Subject"}},
		{Peek: true, Part: []int{2}},
	}
	body := strings.TrimSuffix(data, "\r\n")
	want := []string{raw, body, head, raw[len(head):], body[1<<20 : 1<<20+1000], "Subject: large\r\n\r\n", ""}
	messages, err := c.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{BodySection: sections}).Collect()
	check(t, err)
	for i, s := range sections {
		if got := messages[0].FindBodySection(s); string(got) != want[i] {
			t.Errorf("section %d: %d octets, not %d", i, len(got), len(want[i]))
		}
	}
}
