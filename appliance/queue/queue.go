package queue

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/maillog"
	"hauspost/appliance/transfer"
	"hauspost/store"
)

// Store is what the queue needs of *store.Store; see there.
type Store interface {
	Update(ctx context.Context, fn func(tx *store.Tx) error) error
	Queued(ctx context.Context, id int64) (store.Queued, error)
	Queue(ctx context.Context, f store.QueueFilter, fn func(q *store.Queued) error) error
	CountQueue(ctx context.Context, f store.QueueFilter) (int, error)
	QueueDestinations(ctx context.Context, f store.QueueFilter) ([]string, error)
	QueueTotals(ctx context.Context) ([]store.QueueTotal, error)
	Get(ctx context.Context, kind, key string) ([]byte, error)
	List(ctx context.Context, kind string, fn func(key string, value []byte) error) error
	ReadMessage(ctx context.Context, e store.Entry, dst []byte) ([]byte, error)
	OpenMessage(ctx context.Context, e store.Entry) (io.ReadCloser, error)
	AppendTrace(id store.ID, blob []byte)
}

// ErrNobody is what Reports says where nobody can be reached by a report.
var ErrNobody = errors.New("nobody can get this report")

// Reports delivers messages that the box writes itself.
type Reports interface {
	// Report makes content durable for to, with the null reverse-path, and runs
	// with in the same commit: both or neither. with may run more than once.
	// ErrNobody (then nothing happened) if nobody can get it.
	Report(ctx context.Context, to envelope.Address, content []byte, with func(tx *store.Tx) error) (envelope.ID, error)
}

// Sent files copies of submitted messages.
type Sent interface {
	// File files the copy for the row i, or finds it there, and removes the row
	// in the same commit. After an error it is asked again later.
	File(ctx context.Context, i *Item) error
}

// Limits are the numbers of the schedule. Zero fields take the defaults.
type Limits struct {
	// Attempts bounds all attempts at a time (50), PerDestination those at one
	// destination (5).
	Attempts, PerDestination int
	// Pace is the least time between the beginnings of two attempts at one
	// destination; none by default.
	Pace time.Duration
	// Expiry is how long the other side may be at fault before the box gives
	// up (48 h), Delay how long a message waits before its sender is told (4 h;
	// never if negative).
	Expiry, Delay time.Duration
	// Bin is how long dropped rows can be brought back (24 h).
	Bin time.Duration
	// Grace is how long running attempts may go on after Run was told to end
	// (10 s).
	Grace time.Duration
	// Returned is how much of a message goes back with the report of its
	// failure, in octets (100 KB); longer ones return their header.
	Returned int
}

func (l Limits) withDefaults() Limits {
	number := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	span := func(t *time.Duration, d time.Duration) {
		if *t <= 0 {
			*t = d
		}
	}
	number(&l.Attempts, 50)
	number(&l.PerDestination, 5)
	number(&l.Returned, 100<<10)
	span(&l.Expiry, 48*time.Hour)
	if l.Delay == 0 {
		l.Delay = 4 * time.Hour
	}
	span(&l.Bin, 24*time.Hour)
	span(&l.Grace, 10*time.Second)
	return l
}

// Options are the parts of a queue. Store is needed for all, Transport and
// Reports for Run.
type Options struct {
	Store     Store
	Transport transfer.Transport
	Reports   Reports
	// Sent may be nil where no row asks for it.
	Sent Sent
	// Log carries the steps of each message, Logger what concerns the queue
	// itself; both may be zero.
	Log    maillog.Log
	Logger *slog.Logger
	// Hostname is the box's own name, for reports.
	Hostname string
	Limits   Limits
	// Route gives pace and number of connections for a domain on a way; zero
	// values mean those of Limits. It may be nil.
	Route func(domain, via string) (pace time.Duration, connections int)
	// Now, After and Random (in [0, 1)) may be nil: those of the system.
	Now    func() time.Time
	After  func(time.Duration) <-chan time.Time
	Random func() float64
}

// Queue is the schedule over the rows of a store. Its methods are safe for
// many goroutines. The owner's methods work whether Run runs or not.
type Queue struct {
	o   Options
	log *slog.Logger

	// wakeMu guards what Wake leaves for the dispatcher; it is never held for
	// long.
	wakeMu  sync.Mutex
	running bool
	woken   []fresh
	missed  bool
	poked   chan struct{}
	tending chan struct{}

	// mu guards the dispatcher's state.
	mu     sync.Mutex
	lanes  map[string]*lane
	ready  []*lane
	timers laneHeap
	// busy are the rows in an attempt or claimed otherwise.
	busy   map[int64]bool
	active int
	// failing of the attempts are at destinations that failed before: at most
	// half of those allowed.
	failing int
	// high is the highest number that Wake told of, missing are lower ones that
	// it has not told of yet; blind: there may be others.
	high    int64
	missing map[int64]bool
	blind   bool
	// local is set while this side has no network; localWait has to pass before
	// one probe, probing tells that it is under way. localGen counts its
	// changes, lastGood is when another server was last heard of.
	local     *episode
	localWait wait
	localGen  uint64
	probing   bool
	swept     wait
	lastGood  time.Time
	// begun: Run owns the lanes.
	begun bool
	// totalsAt is when the totals were read, totalsTook how long that took;
	// wantTotals asks for them before their minute is over.
	totalsAt   wait
	totalsTook time.Duration
	wantTotals bool
	lastWall   time.Time

	delivered, deferred, failed atomic.Uint64
	// deeds keeps deeds of the owner apart from each other.
	deeds sync.Mutex
}

// fresh is what the dispatcher needs to know of a row.
type fresh struct {
	slot
	destination string
	due         int64
	// held: it came into the world in another state than Waiting.
	held bool
}

// New makes a queue. Nothing happens before Run.
func New(o Options) *Queue {
	o.Limits = o.Limits.withDefaults()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	q := &Queue{
		o: o, log: o.Logger, poked: make(chan struct{}, 1), tending: make(chan struct{}, 1),
		lanes: map[string]*lane{}, busy: map[int64]bool{},
	}
	if q.log == nil {
		q.log = slog.New(slog.DiscardHandler)
	}
	return q
}

// maxWoken bounds the rows that wait for the dispatcher in memory; those beyond
// it finds in the store.
const maxWoken = 4096

// Wake tells of rows that were just committed: those that are due are tried at
// once. Without Run it does nothing: Run finds them in the store.
func (q *Queue) Wake(rows []store.Queued) {
	q.wakeMu.Lock()
	if q.running {
		for i := range rows {
			if len(q.woken) >= maxWoken {
				q.missed = true
				break
			}
			r := &rows[i]
			q.woken = append(q.woken, fresh{slot{r.ID, r.Msg, r.Size}, r.Destination, r.Due, r.State != uint8(Waiting)})
		}
	}
	q.wakeMu.Unlock()
	q.poke()
}

func (q *Queue) poke() {
	select {
	case q.poked <- struct{}{}:
	default:
	}
}

// errRunning: Run was called twice.
var errRunning = errors.New("the queue runs already")

// lookAgain is how often the clock and the totals are looked at, whatever the
// timers say.
const lookAgain = time.Minute

// Run sends what is due until ctx ends. Then no new attempt begins; those under
// way have Limits.Grace to end, and their outcomes are recorded.
func (q *Queue) Run(ctx context.Context) error {
	q.wakeMu.Lock()
	if q.running {
		q.wakeMu.Unlock()
		return errRunning
	}
	q.running = true
	q.wakeMu.Unlock()
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var workers sync.WaitGroup

	q.mu.Lock()
	q.begin(ctx)
	q.mu.Unlock()
	workers.Go(func() { q.tend(ctx) })
	for ctx.Err() == nil {
		attempts, sleep := q.plan(ctx)
		for _, a := range attempts {
			workers.Go(func() {
				q.perform(hard, a)
				q.poke()
			})
		}
		select {
		case <-q.poked:
		case <-q.o.After(min(sleep, lookAgain)):
		case <-ctx.Done():
		}
	}

	q.wakeMu.Lock()
	q.running, q.woken, q.missed = false, nil, false
	q.wakeMu.Unlock()
	defer func() {
		q.mu.Lock()
		q.begun = false
		q.mu.Unlock()
	}()
	ended := make(chan struct{})
	go func() {
		workers.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-q.o.After(q.o.Limits.Grace):
		cut()
		<-ended
	}
	return nil
}
