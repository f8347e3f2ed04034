package sendmail

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp"
	"hauspost/appliance/reply"
)

// Intake takes messages of the spool over, each exactly once.
type Intake interface {
	// Submit takes a message over for good: it is durable, and s.Name is kept
	// in the same commit. What is refused for good (a foreign sender, an
	// unknown recipient) is taken over too, and reported to its sender. An
	// error leaves the message in the spool: it is tried again later, unless
	// reply.Of(err) is for good: then it is put away in bad/.
	Submit(ctx context.Context, s *Spooled) error
	// Done tells whether Submit kept the name: the file is a leftover then.
	Done(ctx context.Context, name string) (bool, error)
	// Forget drops a name whose file is gone. A name that is not known is no
	// error.
	Forget(ctx context.Context, name string) error
	// Names gives all names that are kept.
	Names(ctx context.Context) ([]string, error)
}

// PickerOptions are the parts of a Picker. Private, Intake, Directory and Facts
// are needed.
type PickerOptions struct {
	// Private is the private folder; it is made if only its parent is there.
	Private string
	// Drop is the drop folder, or empty. It is only used while it is there,
	// belongs to this user and is no more open than a drop folder has to be.
	Drop      string
	Intake    Intake
	Directory Directory
	// Facts gives what the command may know of the box.
	Facts func(ctx context.Context) (Facts, error)
	// MessagesPerHour is for each user of the machine but root and the box's
	// own one, in bursts of the same number; 0 means no limit. What is above it
	// waits.
	MessagesPerHour int
	// Rescan is how often the folders are read when nothing tells of changes;
	// 0 means 30 s.
	Rescan time.Duration
	// Retry and RetryMax are the first and the longest wait after a temporary
	// refusal; 0 means 5 s and 10 minutes.
	Retry, RetryMax time.Duration
	// Logger hears what went wrong; nil is silent.
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Users looks up the users of the machine; nil means its register.
	Users Users
	// Host is the name of the machine, nil asks the system.
	Host func() (string, error)
}

// Users is the register of the machine's users.
type Users interface {
	// ByID gives the user of a number; without one the name is made of it.
	ByID(uid int) Caller
	// Has tells whether there is a user of that name.
	Has(name string) bool
}

type systemUsers struct{}

// SystemUsers is the register of users of this machine.
func SystemUsers() Users { return systemUsers{} }

// ByID implements Users.
func (systemUsers) ByID(uid int) Caller {
	c := Caller{UID: uid, Name: "user" + strconv.Itoa(uid)}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		c.Name = u.Username
		c.Full, _, _ = strings.Cut(u.Name, ",")
	}
	return c
}

// Has implements Users.
func (systemUsers) Has(name string) bool {
	_, err := user.Lookup(name)
	return err == nil
}

// Picker takes the messages of the spool up. Watch runs it.
type Picker struct {
	o       PickerOptions
	folders []*folder
	rates   *esmtp.Buckets[int]
	host    string
	euid    int

	mu    sync.Mutex
	stats PickerStats
}

// PickerStats count since the start; Waiting is of the last look.
type PickerStats struct {
	// Waiting messages lie in the spool, Taken ones were taken over, Bad files
	// were put away.
	Waiting    int
	Taken, Bad uint64
}

// NewPicker makes a Picker from its parts.
func NewPicker(o PickerOptions) *Picker {
	if o.Rescan == 0 {
		o.Rescan = 30 * time.Second
	}
	if o.Retry == 0 {
		o.Retry = 5 * time.Second
	}
	if o.RetryMax == 0 {
		o.RetryMax = 10 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Users == nil {
		o.Users = systemUsers{}
	}
	if o.Host == nil {
		o.Host = os.Hostname
	}
	p := &Picker{o: o, euid: os.Geteuid()}
	p.folders = []*folder{{path: o.Private, kind: "spool", private: true, entries: make(map[string]*entry)}}
	if o.Drop != "" && o.Drop != o.Private {
		p.folders = append(p.folders, &folder{path: o.Drop, kind: "drop", entries: make(map[string]*entry)})
	}
	if o.MessagesPerHour > 0 {
		p.rates = esmtp.NewBuckets[int](o.MessagesPerHour, time.Hour, 10000)
	}
	if name, err := o.Host(); err == nil {
		p.host = name
	}
	return p
}

// Stats gives the counts of the moment.
func (p *Picker) Stats() PickerStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Watch takes messages up until ctx ends: what lies there at once, and what
// comes as soon as it comes. It fails only where the private folder cannot be
// made or watched.
func (p *Picker) Watch(ctx context.Context) error {
	if err := makePrivate(p.o.Private, -1, -1); err != nil {
		return spoolFailure(p.o.Private, true, err)
	}
	w, err := newWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	p.tidyNames(ctx)
	for {
		for _, f := range p.folders {
			w.Add(f.path) // again each time: the folder may be a new one
		}
		due := p.scan(ctx)
		wait := time.NewTimer(min(p.o.Rescan, max(due.Sub(p.o.Now()), 0)))
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-w.Changed:
		case <-wait.C:
		}
		wait.Stop()
	}
}

// tidyNames forgets names whose files are gone: a crash came between.
func (p *Picker) tidyNames(ctx context.Context) {
	names, err := p.o.Intake.Names(ctx)
	if err != nil {
		p.o.Logger.Warn("the names of the spool cannot be read", "error", err)
		return
	}
	for _, f := range p.folders {
		var gone []string
		for _, name := range names {
			base, ok := strings.CutPrefix(name, f.kind+"/")
			if _, err := os.Lstat(f.file(base)); ok && isMessage(base) && os.IsNotExist(err) {
				gone = append(gone, name)
			}
		}
		p.finish(ctx, f, gone)
	}
}

func (p *Picker) forget(ctx context.Context, names []string) {
	for _, name := range names {
		if err := p.o.Intake.Forget(ctx, name); err != nil && ctx.Err() == nil {
			p.o.Logger.Warn("the name of a spool file cannot be forgotten", "file", name, "error", err)
		}
	}
}

// scan looks through the folders and takes what is due. It gives the time when
// something more will be.
func (p *Picker) scan(ctx context.Context) (due time.Time) {
	due = p.o.Now().Add(p.o.Rescan)
	facts, err := p.o.Facts(ctx)
	if err != nil {
		p.o.Logger.Warn("the spool has to wait", "error", err)
		return p.o.Now().Add(p.o.Retry)
	}
	waiting := 0
	for _, f := range p.folders {
		if err := f.look(p); err != nil {
			f.tell(p, "", err)
			continue
		}
		if f.absent {
			continue
		}
		f.tell(p, "", writeFacts(f.path, facts))
		var gone []string
		for _, name := range f.sorted() {
			if e := f.entries[name]; !e.due.After(p.o.Now()) && ctx.Err() == nil && p.take(ctx, f, name, facts) {
				gone = append(gone, f.kind+"/"+name)
			}
		}
		p.finish(ctx, f, gone)
		for _, e := range f.entries {
			if waiting++; e.due.Before(due) {
				due = e.due
			}
		}
	}
	p.mu.Lock()
	p.stats.Waiting = waiting
	p.mu.Unlock()
	return due
}

// finish makes durable that files are gone, and only then forgets their names:
// otherwise a power cut could bring a file back that nobody remembers.
func (p *Picker) finish(ctx context.Context, f *folder, gone []string) {
	if len(gone) == 0 {
		return
	}
	if err := (osFS{}).SyncDir(f.path, nil); err != nil {
		p.o.Logger.Warn("a spool folder cannot be flushed", "folder", f.path, "error", err)
		return
	}
	p.forget(ctx, gone)
}

// take deals with one file. It tells whether the message is taken over and its
// file gone.
func (p *Picker) take(ctx context.Context, f *folder, base string, facts Facts) (gone bool) {
	name, e := f.kind+"/"+base, f.entries[base]
	done, err := p.o.Intake.Done(ctx, name)
	if err == nil && !done {
		err = p.submit(ctx, f, base, facts)
	}
	var bad errMalformed
	var over *overRate
	switch {
	case err == nil:
		if err := os.Remove(f.file(base)); err != nil && !os.IsNotExist(err) {
			p.o.Logger.Error("a spool file cannot be removed", "file", f.file(base), "error", err)
			e.later(p)
			return false
		}
		delete(f.entries, base)
		p.count(func(s *PickerStats) { s.Taken++ })
		return true
	case errors.Is(err, errGone):
		delete(f.entries, base)
	case errors.As(err, &over):
		e.due = over.until
	case errors.As(err, &bad):
		p.putAway(f, base, string(bad))
	case ctx.Err() == nil && !reply.Of(err).Temporary():
		p.putAway(f, base, err.Error())
	default:
		if e.later(p); ctx.Err() == nil {
			p.o.Logger.Warn("a message of the spool has to wait", "file", f.file(base), "until", e.due, "error", err)
		}
	}
	return false
}

func (p *Picker) count(add func(s *PickerStats)) {
	p.mu.Lock()
	add(&p.stats)
	p.mu.Unlock()
}

// errGone: somebody removed the file.
var errGone = errors.New("the spool file is gone")

// overRate says that a user of the machine has sent enough for the moment.
type overRate struct{ until time.Time }

func (*overRate) Error() string { return "too many messages of one user" }

// submit hands one message to the Intake.
func (p *Picker) submit(ctx context.Context, f *folder, base string, facts Facts) error {
	file, err := openSpooled(f.file(base), f.private, facts.limit(), p.euid)
	if errors.Is(err, os.ErrNotExist) {
		return errGone
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if !f.private {
		c := p.o.Users.ByID(file.uid)
		file.head.User = c.Name
		if file.head.Full == "" {
			file.head.Full = c.Full
		}
	}
	s, err := p.spooled(ctx, f, base, file, facts)
	if err != nil {
		return err
	}
	if e := f.entries[base]; !s.Trusted && p.rates != nil && !e.charged {
		now := p.o.Now()
		if !p.rates.Take(now, s.UID) {
			return &overRate{p.rates.Next(now, s.UID)}
		}
		e.charged = true
	}
	err = p.o.Intake.Submit(ctx, s)
	var bad errMalformed
	if errors.As(file.rest.fault, &bad) && err != nil {
		return bad // whatever the Intake made of it
	}
	return err
}

// spooled completes what the file says.
func (p *Picker) spooled(ctx context.Context, f *folder, base string, file *opened, facts Facts) (*Spooled, error) {
	head := &file.head
	c := &completer{dir: p.o.Directory, facts: facts, host: p.host, isUser: p.o.Users.Has}
	s := &Spooled{
		Name: f.kind + "/" + base, UID: file.uid, User: head.User, Trusted: file.uid == 0 || file.uid == p.euid,
		Via: head.Via, Ret: head.Ret, EnvID: head.EnvID, Body: head.Body, SMTPUTF8: head.SMTPUTF8, Written: head.Written,
	}
	if now := p.o.Now(); s.Written.IsZero() || s.Written.After(now) {
		s.Written = now
	}
	var err error
	if s.Sender, err = c.sender(ctx, head); err != nil {
		return nil, err
	}
	top, err := c.header(ctx, file.top, head)
	if err != nil {
		return nil, err
	}
	s.Content = io.MultiReader(bytes.NewReader(top), file.rest)
	seen := make(map[string]bool)
	for _, r := range head.To {
		addr, err := c.address(ctx, r.Address)
		if err != nil {
			return nil, err
		}
		if seen[addr.String()] {
			continue // root and www-data are both postmaster
		}
		seen[addr.String()] = true
		s.Recipients = append(s.Recipients, envelope.Recipient{Address: addr, Notify: r.Notify, ORcpt: r.ORcpt})
	}
	return s, nil
}
