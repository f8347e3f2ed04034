package sendmail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/reply"
)

var errCrash = errors.New("crash")

// fakeIntake is a box that can refuse, and can crash right after its commit or
// before it.
type fakeIntake struct {
	mu     sync.Mutex
	names  map[string]bool
	took   []*Spooled
	bodies []string
	// refuse is what the next Submits say, in order; nil takes the message.
	refuse []error
	// lost makes the answer of the next commit get lost.
	lost bool
}

func newIntake() *fakeIntake { return &fakeIntake{names: make(map[string]bool)} }

func (f *fakeIntake) Submit(_ context.Context, s *Spooled) error {
	body, err := io.ReadAll(s.Content)
	if err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.refuse) > 0 {
		err := f.refuse[0]
		f.refuse = f.refuse[1:]
		if err != nil {
			return err
		}
	}
	f.names[s.Name] = true
	f.took, f.bodies = append(f.took, s), append(f.bodies, string(body))
	if f.lost {
		f.lost = false
		return errCrash
	}
	return nil
}

func (f *fakeIntake) Done(_ context.Context, name string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.names[name], nil
}

func (f *fakeIntake) Forget(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.names, name)
	return nil
}

func (f *fakeIntake) Names(context.Context) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for n := range f.names {
		names = append(names, n)
	}
	return names, nil
}

func (f *fakeIntake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.took)
}

// people is a Directory of the addresses of example.org.
type people []string

func (p people) Resolve(_ context.Context, addr envelope.Address) ([]envelope.Target, error) {
	switch {
	case addr.Local == "slow":
		return nil, reply.LocalError
	case addr.Domain != "example.org":
		return nil, reply.RelayDenied
	case addr.Local == "postmaster" || slices.Contains(p, addr.Local):
		return []envelope.Target{{Account: addr.Local, Address: addr}}, nil
	}
	return nil, reply.UnknownRecipient
}

// fakeUsers are root and www-data, and whoever runs the test.
type fakeUsers struct{}

func (fakeUsers) ByID(uid int) Caller {
	return Caller{UID: uid, Name: fmt.Sprintf("u%d", uid), Full: "Some Body"}
}

func (fakeUsers) Has(name string) bool { return name == "root" || name == "www-data" }

// bench is a Picker with all that it needs.
type bench struct {
	*Picker
	t      *testing.T
	intake *fakeIntake
	now    time.Time
	log    *strings.Builder
	spool  string
	drop   string
}

func newBench(t *testing.T, adjust func(o *PickerOptions)) *bench {
	t.Helper()
	b := &bench{
		t: t, intake: newIntake(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), log: &strings.Builder{},
		spool: newSpool(t), drop: filepath.Join(t.TempDir(), "drop"),
	}
	if err := makePrivate(b.spool, -1, -1); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(b.drop, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(b.drop, dropMode); err != nil {
		t.Fatal(err)
	}
	o := PickerOptions{
		Private: b.spool, Drop: b.drop, Intake: b.intake, Directory: people{"anna"}, Users: fakeUsers{},
		Facts: func(context.Context) (Facts, error) {
			return Facts{Hostname: "mail.example.org", Domains: []string{"example.org"}, MaxSize: 1 << 20}, nil
		},
		Now: func() time.Time { return b.now }, Logger: slog.New(slog.NewTextHandler(b.log, nil)),
		Host: func() (string, error) { return "pi", nil },
	}
	if adjust != nil {
		adjust(&o)
	}
	b.Picker = NewPicker(o)
	return b
}

// send runs the command into the private folder.
func (b *bench) send(in string, args ...string) {
	b.t.Helper()
	newCommand(b.spool, in, args...).run(b.t, ExitOK)
}

// let puts a message into the drop folder as another user does (if the test may
// become one), and gives its name there.
func (b *bench) let(in string, args ...string) string {
	b.t.Helper()
	c := newCommand("", in, args...)
	c.Drop = b.drop
	before := files(b.t, b.drop, endingReady)
	c.run(b.t, ExitOK)
	// Names of the same millisecond are in no order.
	fresh := slices.DeleteFunc(files(b.t, b.drop, endingReady), func(name string) bool { return slices.Contains(before, name) })
	if len(fresh) != 1 {
		b.t.Fatalf("the command left %q", fresh)
	}
	name := fresh[0]
	if os.Geteuid() == 0 {
		if err := os.Chown(name, stranger, -1); err != nil {
			b.t.Fatal(err)
		}
	}
	return name
}

const stranger = 4711

func (b *bench) scanAll() time.Time { return b.scan(b.t.Context()) }

func TestPickUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.send("To: root, Ben <ben@example.net>\nBcc: anna, www-data\nSubject: x\n\nbody\n", "-t", "-R", "hdrs", "-V", "id", "-N", "delay", "-F", "Web Shop")
	b.scanAll()
	if b.intake.count() != 1 {
		t.Fatalf("taken: %d; the log says %s", b.intake.count(), b.log)
	}
	s := b.intake.took[0]
	var to []string
	for _, r := range s.Recipients {
		to = append(to, r.Address.String()+" "+r.Notify)
	}
	if got := strings.Join(to, ", "); got != "postmaster@example.org DELAY, ben@example.net DELAY, anna@example.org DELAY" {
		t.Errorf("recipients are %s", got)
	}
	if s.Sender.String() != "postmaster@example.org" || s.User != "www-data" || s.UID != os.Getuid() || !s.Trusted ||
		s.Ret != "HDRS" || s.EnvID != "id" || s.Via != "sendmail" || !strings.HasPrefix(s.Name, "spool/") {
		t.Errorf("the envelope is %+v", s)
	}
	want := "To: postmaster@example.org, Ben <ben@example.net>\r\nBcc: anna@example.org, postmaster@example.org\r\nSubject: x\r\nFrom: \"Web Shop\" <postmaster@example.org>\r\n\r\nbody\r\n"
	if got := b.intake.bodies[0]; got != want {
		t.Errorf("the content is\n%q, want\n%q", got, want)
	}
	if left := files(t, b.spool, endingReady); len(left) > 0 || len(b.intake.names) > 0 {
		t.Errorf("left over: %q, names %v", left, b.intake.names)
	}
	if st := b.Stats(); st != (PickerStats{Taken: 1}) {
		t.Errorf("the counts are %+v", st)
	}
}

func TestPickUpInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for i := range 5 {
		c := newCommand(b.spool, fmt.Sprintf("Subject: %d\n\n", i), "anna")
		c.Now = func() time.Time { return b.now.Add(time.Duration(i) * time.Millisecond) }
		c.run(t, ExitOK)
	}
	b.scanAll()
	for i, body := range b.intake.bodies {
		if !strings.HasPrefix(body, fmt.Sprintf("Subject: %d", i)) {
			t.Errorf("message %d is %q", i, body)
		}
	}
	if b.intake.count() != 5 {
		t.Errorf("taken: %d", b.intake.count())
	}
}

// The kernel says whose a file in the drop folder is, not the file.
func TestDropFolder(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	name := b.let("Subject: x\n\nbody\n", "anna")
	if st, err := os.Stat(name); err != nil || st.Mode().Perm() != dropFileMode {
		t.Errorf("the file in the drop folder: %v %v", st, err)
	}
	b.scanAll()
	if b.intake.count() != 1 {
		t.Fatalf("nothing was taken; the log says %s", b.log)
	}
	s, uid := b.intake.took[0], os.Geteuid()
	if uid == 0 {
		uid = stranger
	}
	if want := fmt.Sprintf("u%d", uid); s.UID != uid || s.User != want || s.Trusted != (uid != stranger) || s.Sender.Local != "postmaster" {
		t.Errorf("the author is %+v, want the user %d", s, uid)
	}
	if raw, err := os.ReadFile(filepath.Join(b.drop, factsFile)); err != nil || !strings.Contains(string(raw), "example.org") {
		t.Errorf("the facts in the drop folder: %q, %v", raw, err)
	}
}

// A crash between the steps neither loses a message nor sends it twice.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.send(letter, "anna")
	b.intake.lost = true // committed, and then the power went
	b.scanAll()
	if len(files(t, b.spool, endingReady)) != 1 || len(b.intake.names) != 1 {
		t.Fatalf("after the crash: %v", b.intake.names)
	}
	after := NewPicker(b.o)
	after.scan(t.Context())
	if b.intake.count() != 1 || len(files(t, b.spool, endingReady)) != 0 || len(b.intake.names) != 0 {
		t.Errorf("after the restart: taken %d, names %v", b.intake.count(), b.intake.names)
	}
	// The file went, and its name was not forgotten any more.
	b.intake.names["spool/"+string(envelope.NewID(b.now))+endingReady] = true
	b.intake.names["drop/"+string(envelope.NewID(b.now))+endingReady] = true
	after.tidyNames(t.Context())
	if len(b.intake.names) != 0 {
		t.Errorf("names of files that are gone: %v", b.intake.names)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.send(letter, "anna")
	b.intake.refuse = []error{reply.StorageError, errors.New("something inside"), nil}
	for i, wait := range []time.Duration{5 * time.Second, 10 * time.Second} {
		if due := b.scanAll(); due.Sub(b.now) != wait || b.intake.count() != 0 {
			t.Fatalf("refusal %d: the next try is in %v, want %v", i, due.Sub(b.now), wait)
		}
		if b.scanAll(); len(b.intake.refuse) != 2-i {
			t.Fatalf("refusal %d: it was tried again too early", i)
		}
		b.now = b.now.Add(wait)
	}
	if b.scanAll(); b.intake.count() != 1 {
		t.Errorf("it was not taken in the end: %s", b.log)
	}
	b.send(letter, "anna")
	b.intake.refuse = []error{reply.TooManyHops}
	if b.scanAll(); b.Stats().Bad != 1 || len(files(t, filepath.Join(b.spool, badFolder), endingReady)) != 1 {
		t.Errorf("refused for good: %+v", b.Stats())
	}
	// A directory that cannot be asked: the message waits.
	b.send(letter, "slow")
	if b.scanAll(); b.Stats().Waiting != 1 {
		t.Errorf("the counts are %+v", b.Stats())
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *PickerOptions) { o.MessagesPerHour = 2 })
	trusted := 0
	if os.Geteuid() != 0 {
		trusted = 3 // there is no other user
	}
	for range 3 {
		b.let(letter, "anna")
	}
	b.send(letter, "anna") // root and the box's own user have no limit
	due := b.scanAll()
	if want := max(3, trusted+1); b.intake.count() != want {
		t.Fatalf("taken: %d, want %d", b.intake.count(), want)
	}
	if trusted > 0 {
		return
	}
	if due.Sub(b.now) > 30*time.Minute || b.Stats().Waiting != 1 {
		t.Errorf("the next look is in %v, %+v", due.Sub(b.now), b.Stats())
	}
	b.now = b.now.Add(30 * time.Minute)
	if b.scanAll(); b.intake.count() != 4 {
		t.Errorf("after half an hour taken: %d", b.intake.count())
	}
}

func TestOldLeftovers(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for name, age := range map[string]time.Duration{"fresh": time.Hour, "old": 25 * time.Hour} {
		path := filepath.Join(b.spool, name+endingNew)
		at := b.now.Add(-age)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	b.scanAll()
	if left := files(t, b.spool, endingNew); len(left) != 1 || filepath.Base(left[0]) != "fresh"+endingNew {
		t.Errorf("left: %q", left)
	}
}

// What comes while the box runs is taken at once, in both folders, without a
// look at the clock: the regular look is an hour away.
func TestWatch(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *PickerOptions) { o.Rescan, o.Now = time.Hour, time.Now })
	b.send(letter, "anna")
	ctx, cancel := contextWithCancel(t)
	done := make(chan error)
	go func() { done <- b.Watch(ctx) }()
	until(t, "what lay there was taken", func() bool { return b.intake.count() == 1 })
	for i := range 5 {
		b.send(letter, "anna")
		until(t, "a message was taken", func() bool { return b.intake.count() == 2*i+2 })
		newDrop := newCommand("", letter, "anna")
		newDrop.Drop = b.drop
		newDrop.run(t, ExitOK)
		until(t, "a message in the drop folder was taken", func() bool { return b.intake.count() == 2*i+3 })
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWatchWithoutFolder(t *testing.T) {
	t.Parallel()
	p := NewPicker(PickerOptions{Private: filepath.Join(t.TempDir(), "no", "spool")})
	if err := p.Watch(t.Context()); err == nil {
		t.Error("it watches a folder that cannot be made")
	}
}
