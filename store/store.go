package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Store is an open data folder. Its methods are safe for many goroutines.
type Store struct {
	dir   string
	mail  string // the folder of the message files
	fs    filesystem
	index func([]byte) Derived
	// rebuilding: the index is being made anew from the journal.
	rebuilding bool
	// indexName is that of the SQLite file in dir.
	indexName string
	// damaged are findings of a rebuild.
	damaged []Problem
	log     *slog.Logger
	now     func() time.Time

	lock *os.File
	*pools
	conn  *sql.Conn // of the writer
	stmts *statements
	// getQueued is for readers.
	getQueued *sql.Stmt

	// Owned by the writer goroutine.
	seq          uint64
	nextMailbox  int64
	nextQueued   int64
	committedMsg int64
	lastValidity uint32
	lastFlush    time.Duration
	peers        int // how many requests came together lately
	redo         *redoLog
	journal      *journal
	covering     chan error // a checkpoint under way, or nil
	unsure       int        // checkpoints that have to write files again, after a failed flush
	coveringFile int

	nextMsg    atomic.Int64
	tmpSeq     atomic.Int64
	encoders   atomic.Int64
	largeIndex sync.Mutex
	// staging counts messages on their way in, stagedAt is when the last began.
	staging, stagedAt atomic.Int64

	queue   chan *request
	quit    chan struct{}
	stopped chan struct{}
	closing atomic.Bool

	// mu guards what everyone reads of mailboxes; publish writes it.
	mu    sync.RWMutex
	boxes map[int64]*Mailbox
	names map[nameKey]int64
	subs  map[nameKey]bool

	// publishing is held while a commit becomes visible, so that a mailbox can
	// be loaded into memory at one point in the history.
	publishing sync.RWMutex
	liveMu     sync.Mutex
	lives      map[int64]*live
	liveUse    uint64

	// recent are the first UIDs that were not shown as \Recent: what came before
	// Open was, and of mailboxes that are not named nothing.
	recentMu sync.Mutex
	recent   map[int64]uint32

	traceMu sync.Mutex
	traces  []traceEntry

	reap chan struct{}
	bg   sync.WaitGroup

	commits, flushes atomic.Uint64
	fault            atomic.Pointer[string]
}

// Open opens (or makes) the store in o.Dir, locks it against other processes,
// recovers what a crash left, and starts the writer. Errors: ErrLocked,
// ErrVersion, ErrIndexMissing, or what the disk said.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(ctx, o, osFS{}, false)
	if err != nil {
		return nil, full(err)
	}
	s.start()
	return s, nil
}

// ErrIndexMissing: there is mail but no index.
var ErrIndexMissing = errors.New("the index hauspost.db is missing")

func open(ctx context.Context, o Options, fsys filesystem, rebuild bool) (_ *Store, err error) {
	s := newStore(o, fsys)
	if rebuild {
		s.rebuilding, s.indexName = true, rebuiltName
	}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if err := s.lockFolder(); err != nil {
		return nil, err
	}
	if err := s.layOut(); err != nil {
		return nil, err
	}
	if s.pools, err = openIndex(ctx, filepath.Join(s.dir, s.indexName)); err != nil {
		return nil, err
	}
	if s.conn, err = s.writer.Conn(ctx); err != nil {
		return nil, fmt.Errorf("opening the index: %w", err)
	}
	if s.stmts, err = prepare(ctx, s.conn); err != nil {
		return nil, err
	}
	if s.getQueued, err = s.readers.PrepareContext(ctx, getQueued); err != nil {
		return nil, fmt.Errorf("opening the index: %w", err)
	}
	if err := s.loadState(ctx); err != nil {
		return nil, err
	}
	var records []redoRecord
	if s.redo, records, err = openRedo(s.fs, filepath.Join(s.dir, "redo")); err != nil {
		if !rebuild || !errors.Is(err, ErrDamaged) {
			return nil, err
		}
		s.damage("redo", err.Error())
	}
	if s.journal, err = openJournal(s.fs, filepath.Join(s.dir, "journal")); err != nil {
		return nil, err
	}
	if rebuild {
		err = s.replayJournal(ctx)
	}
	if err == nil {
		err = s.recover(ctx, records)
	}
	if err == nil && !rebuild {
		err = s.sweep(ctx)
	}
	if err == nil && !rebuild {
		err = s.mendJournal()
	}
	if err != nil {
		return nil, err
	}
	s.nextMsg.Store(s.committedMsg)
	return s, nil
}

func newStore(o Options, fsys filesystem) *Store {
	s := &Store{
		dir: o.Dir, indexName: "hauspost.db", mail: filepath.Join(o.Dir, "mail"), fs: fsys, index: o.Index, log: o.Logger, now: o.Now,
		queue: make(chan *request, 256), quit: make(chan struct{}), stopped: make(chan struct{}),
		boxes: map[int64]*Mailbox{}, names: map[nameKey]int64{}, subs: map[nameKey]bool{},
		lives: map[int64]*live{}, recent: map[int64]uint32{}, reap: make(chan struct{}, 1),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.index == nil {
		s.index = func([]byte) Derived { return Derived{} }
	}
	return s
}

// lockFolder takes the lock that keeps other processes out.
func (s *Store) lockFolder() error {
	f, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("opening the data folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return ErrLocked
		}
		return fmt.Errorf("locking the data folder: %w", err)
	}
	s.lock = f
	return nil
}

// layOut makes the folders, and checks that the folder is of our version and
// has its index.
func (s *Store) layOut() error {
	version := filepath.Join(s.dir, "version")
	b, err := os.ReadFile(version)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := writeAtomic(s.fs, version, []byte(formatVersion+"\n")); err != nil {
			return fmt.Errorf("making the data folder: %w", err)
		}
	case err != nil:
		return fmt.Errorf("opening the data folder: %w", err)
	case strings.TrimSpace(string(b)) != formatVersion:
		return fmt.Errorf("%w: its format is %q, this hauspost knows %q", ErrVersion, strings.TrimSpace(string(b)), formatVersion)
	}
	if _, err := os.Stat(filepath.Join(s.dir, s.indexName)); !s.rebuilding && errors.Is(err, os.ErrNotExist) {
		for _, used := range []string{"redo/redo.*", "journal/*", "mail/*/*.zst"} {
			if files, err := filepath.Glob(filepath.Join(s.dir, used)); err != nil || len(files) > 0 {
				return errors.Join(ErrIndexMissing, err)
			}
		}
	}
	for _, d := range []string{"mail", filepath.Join("mail", "tmp"), "redo", "journal"} {
		if err := s.fs.Mkdir(filepath.Join(s.dir, d), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("making the data folder: %w", err)
		}
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	left, err := os.ReadDir(filepath.Join(s.dir, "mail", "tmp"))
	for _, e := range left {
		s.fs.Remove(filepath.Join(s.dir, "mail", "tmp", e.Name()))
	}
	return err
}

// loadState reads counters, mailboxes and subscriptions into memory.
func (s *Store) loadState(ctx context.Context) error {
	err := s.conn.QueryRowContext(ctx, `SELECT max(seq, (SELECT coalesce(max(modseq), 0) FROM mailbox)), next_mailbox,
		max(next_msg, (SELECT coalesce(max(id), 0) + 1 FROM message)), last_validity,
		max(next_queued, (SELECT coalesce(max(id), 0) + 1 FROM queue)) FROM state`).
		Scan(&s.seq, &s.nextMailbox, &s.committedMsg, &s.lastValidity, &s.nextQueued)
	if err != nil {
		return fmt.Errorf("reading the index: %w", err)
	}
	rows, err := s.conn.QueryContext(ctx, "SELECT id, owner, name, uidvalidity, uidnext, modseq, noselect, specialuse, keywords, messages, unseen, deleted, size FROM mailbox WHERE dead = 0")
	if err != nil {
		return fmt.Errorf("reading the mailboxes: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var m Mailbox
		var keywords string
		if err := rows.Scan(&m.ID, &m.Owner, &m.Name, &m.UIDValidity, &m.UIDNext, &m.HighestModSeq, &m.NoSelect,
			&m.SpecialUse, &keywords, &m.Messages, &m.Unseen, &m.MarkedDeleted, &m.Size); err != nil {
			return fmt.Errorf("reading the mailboxes: %w", err)
		}
		m.Keywords = strings.Fields(keywords)
		s.boxes[m.ID] = &m
		s.recent[m.ID] = m.UIDNext
		s.names[nameKey{m.Owner, m.Name}] = m.ID
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the mailboxes: %w", err)
	}
	keys, err := s.conn.QueryContext(ctx, "SELECT key FROM doc WHERE kind = ?", subscriptionKind)
	if err != nil {
		return fmt.Errorf("reading the subscriptions: %w", err)
	}
	defer keys.Close()
	for keys.Next() {
		var key string
		if err := keys.Scan(&key); err != nil {
			return fmt.Errorf("reading the subscriptions: %w", err)
		}
		s.subs[splitName(key)] = true
	}
	return keys.Err()
}

func (s *Store) start() {
	go s.run()
	s.bg.Add(1)
	go s.reaper()
}

// Close waits for what is under way, makes everything durable and releases the
// lock. Calls that come later get ErrClosed.
func (s *Store) Close() error {
	if s.closing.Swap(true) {
		return ErrClosed
	}
	close(s.quit)
	<-s.stopped
	s.bg.Wait()
	err := s.checkpoint()
	if err == nil {
		err = s.redo.clear(s.seq + 1)
	}
	s.closeIndex()
	s.release()
	return err
}

// closeIndex brings everything from SQLite's WAL into the one file, so that a
// copy of it is a copy of the index.
func (s *Store) closeIndex() {
	for _, db := range []*sql.DB{s.readers, s.loads, s.snapshots} {
		db.Close()
	}
	s.stmts.close()
	if _, err := s.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		s.log.Warn("the index could not be brought into one file; its -wal file belongs to it", "error", err)
	}
}

func (s *Store) release() {
	if s.conn != nil {
		s.conn.Close()
	}
	if s.pools != nil {
		s.pools.close()
	}
	if s.redo != nil {
		s.redo.close()
	}
	if s.journal != nil {
		s.journal.close()
	}
	if s.lock != nil {
		s.lock.Close()
	}
}
