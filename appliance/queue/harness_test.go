package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/transfer"
	"hauspost/store"
)

var epoch = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// clock is a wall clock that moves when it is told, or when somebody waits.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// After lets the time pass at once.
func (c *clock) After(d time.Duration) <-chan time.Time {
	c.add(d)
	ch := make(chan time.Time, 1)
	ch <- c.Now()
	return ch
}

// wire is a Transport by script.
type wire struct {
	mu sync.Mutex
	// say gives the outcome for a recipient; nil delivers.
	say func(m *transfer.Message, to string) transfer.Outcome
	// tried are recipients with their message, in order; got those delivered.
	tried, got []string
	// content is what was read of the last message.
	content string
	sizes   []int64
	host    string
}

func (w *wire) Attempt(_ context.Context, m *transfer.Message) transfer.Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, err := m.Open()
	if err != nil {
		return transfer.Same(m, transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeLocal, Name: "local"})
	}
	raw, err := io.ReadAll(r)
	r.Close()
	if err != nil {
		return transfer.Same(m, transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeLocal, Name: "local"})
	}
	w.content = string(raw)
	w.sizes = append(w.sizes, m.Size)
	res := transfer.Result{Host: w.host, Took: time.Millisecond}
	for _, to := range m.Recipients {
		o := deliveredOutcome
		if w.say != nil {
			o = w.say(m, to.Address.String())
		}
		name := fmt.Sprintf("%s %s", m.ID, to.Address)
		w.tried = append(w.tried, name)
		if o.Status == transfer.Delivered {
			w.got = append(w.got, name)
		}
		res.Outcomes = append(res.Outcomes, o)
	}
	return res
}

func (w *wire) script(say func(m *transfer.Message, to string) transfer.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.say = say
}

func (w *wire) attempts() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.tried)
}

var (
	deliveredOutcome = transfer.Outcome{Status: transfer.Delivered, Code: 250, RelaysDSN: true}
	greylisted       = transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeRecipient, Name: "greylisted", Code: 450, Enhanced: "4.7.1", Answer: "450 4.7.1 come back later", Verb: "RCPT"}
	putOff           = transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeRecipient, Name: "mailbox-full", Code: 452, Enhanced: "4.2.2", Answer: "452 4.2.2 full", Verb: "RCPT"}
	refused          = transfer.Outcome{Status: transfer.Failed, Scope: transfer.ScopeRecipient, Name: "unknown-recipient", Code: 550, Enhanced: "5.1.1", Answer: "550 5.1.1 no such user", Verb: "RCPT"}
	down             = transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeDestination, Name: "no-server", Enhanced: "4.4.1", Answer: "no server answered", Verb: "connect"}
	offline          = transfer.Outcome{Status: transfer.Deferred, Scope: transfer.ScopeLocal, Name: "local", Enhanced: "4.4.3", Answer: "no network"}
)

// office is Reports: it puts reports into a mailbox named after who gets them.
type office struct {
	s   *store.Store
	now func() time.Time

	mu      sync.Mutex
	fail    error
	reports []mailed
}

type mailed struct {
	to, content string
}

func (o *office) Report(ctx context.Context, to envelope.Address, content []byte, with func(tx *store.Tx) error) (envelope.ID, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return "", o.fail
	}
	st := o.s.Stage()
	if _, err := st.Write(content); err != nil {
		st.Discard()
		return "", err
	}
	id := envelope.NewID(o.now())
	file, err := store.ParseID(string(id))
	if err != nil {
		return "", err
	}
	_, err = o.s.Deliver(ctx, st, store.Delivery{ID: file, Places: []store.Place{{Owner: to.String(), Mailbox: "INBOX", Create: true}}, With: with})
	if err != nil {
		return "", err
	}
	o.reports = append(o.reports, mailed{to.String(), string(content)})
	return id, nil
}

func (o *office) all() []mailed {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.reports)
}

func (o *office) breakWith(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail = err
}

// faulty is a store that can be made to fail.
type faulty struct {
	*store.Store
	mu     sync.Mutex
	update func() error
	read   func() error
}

func (f *faulty) Update(ctx context.Context, fn func(tx *store.Tx) error) error {
	f.mu.Lock()
	check := f.update
	f.mu.Unlock()
	if check != nil {
		if err := check(); err != nil {
			return err
		}
	}
	return f.Store.Update(ctx, fn)
}

func (f *faulty) ReadMessage(ctx context.Context, e store.Entry, dst []byte) ([]byte, error) {
	f.mu.Lock()
	check := f.read
	f.mu.Unlock()
	if check != nil {
		if err := check(); err != nil {
			return dst, err
		}
	}
	return f.Store.ReadMessage(ctx, e, dst)
}

// post is a queue over a real store, driven step by step.
type post struct {
	t       testing.TB
	dir     string
	clock   *clock
	store   *store.Store
	faulty  *faulty
	wire    *wire
	office  *office
	q       *Queue
	options Options
}

func newPost(t testing.TB, change ...func(o *Options)) *post {
	t.Helper()
	p := &post{t: t, dir: t.TempDir(), clock: &clock{now: epoch}, wire: &wire{host: "mx.example.org"}}
	p.options = Options{Hostname: "box.example", Now: p.clock.Now, After: p.clock.After, Random: func() float64 { return 0.5 }}
	for _, c := range change {
		c(&p.options)
	}
	p.open()
	t.Cleanup(func() { p.store.Close() })
	return p
}

// open opens the store and makes a queue, as a start does.
func (p *post) open() {
	p.t.Helper()
	s, err := store.Open(context.Background(), store.Options{Dir: p.dir, Now: p.clock.Now})
	if err != nil {
		p.t.Fatal(err)
	}
	p.store, p.faulty = s, &faulty{Store: s}
	var before []mailed
	if p.office != nil {
		before = p.office.all()
	}
	p.office = &office{s: s, now: p.clock.Now, reports: before}
	o := p.options
	o.Store, o.Transport, o.Reports = p.faulty, p.wire, p.office
	o.Log = maillog.Log{Now: p.clock.Now}
	p.q = New(o)
	p.start()
}

// start lets the test do what Run does.
func (p *post) start() {
	p.q.running = true
	p.q.mu.Lock()
	p.q.begin(context.Background())
	p.q.mu.Unlock()
	p.tend()
}

func (p *post) tend() {
	p.t.Helper()
	if err := p.q.tendOnce(context.Background()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *post) restart() {
	p.t.Helper()
	if err := p.store.Close(); err != nil {
		p.t.Fatal(err)
	}
	p.open()
}

// letter is a message for the queue.
type letter struct {
	from, content string
	to            []string
	edit          func(it *Item)
}

// accept makes a message durable for its recipients, and wakes the queue.
func (p *post) accept(l letter) []store.Queued {
	p.t.Helper()
	rows, err := p.enqueue(l)
	if err != nil {
		p.t.Fatal(err)
	}
	p.q.Wake(rows)
	return rows
}

func (p *post) enqueue(l letter) ([]store.Queued, error) {
	if l.content == "" {
		l.content = "Subject: hello\r\n\r\nbody\r\n"
	}
	if l.from == "" {
		l.from = "alice@box.example"
	}
	st := p.store.Stage()
	if _, err := io.WriteString(st, l.content); err != nil {
		st.Discard()
		return nil, err
	}
	id, err := store.ParseID(string(envelope.NewID(p.clock.Now())))
	if err != nil {
		return nil, err
	}
	d := store.Delivery{ID: id, Prefix: []byte("Return-Path: <" + l.from + ">\r\nReceived: by box.example; now\r\n")}
	for _, to := range l.to {
		it := &Item{Kind: KindSubmission, Added: p.clock.Now(), Due: p.clock.Now(), Recipient: envelope.Recipient{Address: envelope.MustAddress(to)}, Account: "a1"}
		if l.from != "<>" {
			it.Sender = envelope.MustAddress(l.from)
		}
		if l.edit != nil {
			l.edit(it)
		}
		row, err := Row(it)
		if err != nil {
			return nil, err
		}
		d.Queue = append(d.Queue, row)
	}
	_, err = p.store.Deliver(context.Background(), st, d)
	return d.Queue, err
}

// work does all that is to do at this time, and says how long nothing will be.
func (p *post) work() time.Duration {
	p.t.Helper()
	ctx := context.Background()
	for range 100_000 {
		attempts, sleep := p.q.plan(ctx)
		if len(attempts) == 0 {
			select {
			case <-p.q.tending:
				p.tend()
				continue
			default:
				return sleep
			}
		}
		for _, a := range attempts {
			p.q.perform(ctx, a)
		}
	}
	p.t.Fatal("the queue never rests")
	return 0
}

// pass lets time go by as Run would see it.
func (p *post) pass(d time.Duration) {
	p.t.Helper()
	end := p.clock.Now().Add(d)
	for {
		sleep := p.work()
		left := end.Sub(p.clock.Now())
		if left <= 0 {
			return
		}
		p.clock.add(min(sleep, left, lookAgain))
	}
}

func (p *post) rows(f store.QueueFilter) (rows []store.Queued) {
	p.t.Helper()
	err := p.store.Queue(context.Background(), f, func(r *store.Queued) error {
		rows = append(rows, *r)
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return rows
}

func (p *post) item(id int64) *Item {
	p.t.Helper()
	r, err := p.store.Queued(context.Background(), id)
	if err != nil {
		p.t.Fatal(err)
	}
	it, err := ItemOf(&r)
	if err != nil {
		p.t.Fatal(err)
	}
	return it
}

func (p *post) gone(id int64) bool {
	p.t.Helper()
	_, err := p.store.Queued(context.Background(), id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		p.t.Fatal(err)
	}
	return err != nil
}

// steps gives the sentences of a message's trace.
func (p *post) steps(id store.ID) (says []string) {
	p.t.Helper()
	blobs, err := p.store.Trace(context.Background(), id)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, b := range blobs {
		es, err := maillog.Decode(b)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, e := range es {
			says = append(says, e.Say)
		}
	}
	return says
}

func (p *post) wantGot(names ...string) {
	p.t.Helper()
	var got []string
	for _, g := range p.wire.got {
		_, to, _ := strings.Cut(g, " ")
		got = append(got, to)
	}
	if !slices.Equal(got, names) {
		p.t.Errorf("delivered to %q, want %q", got, names)
	}
}

func always(o transfer.Outcome) func(*transfer.Message, string) transfer.Outcome {
	return func(*transfer.Message, string) transfer.Outcome { return o }
}
