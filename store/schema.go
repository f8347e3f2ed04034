package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// schemaVersion is PRAGMA user_version of the index; formatVersion is that of
// the data folder as a whole, kept in its file "version".
const (
	schemaVersion = 4
	formatVersion = "1"
)

// The index. Times are Unix seconds; see types.go for the other units.
//
// Placements are clustered by mailbox and UID, so that a mailbox is read and
// changed in runs. Search forms stand before the larger columns, so that a scan
// need not read those, and in one column, so that it is short. Tombstones keep what was expunged for QRESYNC, and
// name the message until the reaper has taken its reference back. Traces are
// clustered by the time in the message's ID: their id is that time in
// milliseconds and a number of 20 bits.
const schema = `
CREATE TABLE state (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	seq INTEGER NOT NULL,
	next_mailbox INTEGER NOT NULL,
	next_msg INTEGER NOT NULL,
	last_validity INTEGER NOT NULL
);
INSERT INTO state VALUES (1, 0, 1, 1, 0);
CREATE TABLE doc (
	kind TEXT NOT NULL,
	key TEXT NOT NULL,
	value BLOB NOT NULL,
	PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE mailbox (
	id INTEGER PRIMARY KEY,
	owner TEXT NOT NULL,
	name TEXT NOT NULL,
	uidvalidity INTEGER NOT NULL,
	uidnext INTEGER NOT NULL,
	modseq INTEGER NOT NULL,
	noselect INTEGER NOT NULL,
	specialuse TEXT NOT NULL,
	keywords TEXT NOT NULL,
	messages INTEGER NOT NULL,
	unseen INTEGER NOT NULL,
	deleted INTEGER NOT NULL,
	size INTEGER NOT NULL,
	dead INTEGER NOT NULL
);
CREATE TABLE message (
	id INTEGER PRIMARY KEY,
	file BLOB NOT NULL,
	rawsize INTEGER NOT NULL,
	size INTEGER NOT NULL,
	sum BLOB NOT NULL,
	refs INTEGER NOT NULL,
	forms BLOB NOT NULL,
	structure BLOB NOT NULL,
	envelope BLOB NOT NULL
);
CREATE TABLE placement (
	mailbox INTEGER NOT NULL,
	uid INTEGER NOT NULL,
	msg INTEGER NOT NULL,
	file BLOB NOT NULL,
	flags INTEGER NOT NULL,
	modseq INTEGER NOT NULL,
	size INTEGER NOT NULL,
	internal INTEGER NOT NULL,
	zone INTEGER NOT NULL,
	saved INTEGER NOT NULL,
	PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE TABLE tombstone (
	mailbox INTEGER NOT NULL,
	uid INTEGER NOT NULL,
	modseq INTEGER NOT NULL,
	msg INTEGER,
	PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX tombstone_msg ON tombstone (msg) WHERE msg IS NOT NULL;
CREATE TABLE trace (
	id INTEGER PRIMARY KEY,
	file BLOB NOT NULL,
	entry BLOB NOT NULL
);
` + queueSchema + keySchema

// queueSchema came with version 3. A queue row's tombstone has the mailbox 0
// and the row's ID for a UID.
const queueSchema = `
ALTER TABLE state ADD COLUMN next_queued INTEGER NOT NULL DEFAULT 1;
CREATE TABLE queue (
	id INTEGER PRIMARY KEY,
	msg INTEGER NOT NULL,
	file BLOB NOT NULL,
	size INTEGER NOT NULL,
	state INTEGER NOT NULL,
	due INTEGER NOT NULL,
	added INTEGER NOT NULL,
	destination TEXT NOT NULL,
	sender TEXT NOT NULL,
	recipient TEXT NOT NULL,
	note TEXT NOT NULL,
	value BLOB NOT NULL
);
CREATE INDEX queue_destination ON queue (destination, state, id, due, added);
CREATE INDEX queue_file ON queue (file);
`

// pools are the connections to the index, apart by who waits for them: a slow
// reader must never keep a mailbox from being opened or the writer from going on.
type pools struct {
	writer, readers, loads, snapshots *sql.DB
}

func (p *pools) close() {
	for _, db := range []*sql.DB{p.readers, p.loads, p.snapshots, p.writer} {
		if db != nil {
			db.Close()
		}
	}
}

// openIndex opens the SQLite file and brings its schema up to date.
//
// synchronous=NORMAL means that SQLite flushes at its checkpoints only: a
// power cut may take the last transactions, never the order of the rest. The
// redo log has them, flushed before the COMMIT.
func openIndex(ctx context.Context, name string) (p *pools, err error) {
	p = &pools{}
	defer func() {
		if err != nil {
			p.close()
			p, err = nil, fmt.Errorf("opening the index: %w", err)
		}
	}()
	open := func(to **sql.DB, conns int, pragmas ...string) error {
		q := url.Values{"_pragma": pragmas}
		db, err := sql.Open("sqlite", "file:"+url.PathEscape(name)+"?"+q.Encode())
		if err != nil {
			return err
		}
		db.SetMaxOpenConns(conns)
		db.SetMaxIdleConns(conns)
		*to = db
		return nil
	}
	if err := open(&p.writer, 1, "busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)", "cache_size(-4000)", "temp_store(MEMORY)"); err != nil {
		return p, err
	}
	if err := migrate(ctx, p.writer); err != nil {
		return p, err
	}
	read := []string{"busy_timeout(10000)", "query_only(1)", "cache_size(-1000)", "temp_store(MEMORY)"}
	return p, errors.Join(open(&p.readers, 4, read...), open(&p.loads, 2, read...), open(&p.snapshots, 1, read...))
}

func migrate(ctx context.Context, db *sql.DB) error {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("reading the index: %w", err)
	}
	switch version {
	case schemaVersion:
		return nil
	case 0, 2, 3:
	default:
		return fmt.Errorf("%w: its index has schema %d, this hauspost knows %d", ErrVersion, version, schemaVersion)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("making the index: %w", err)
	}
	defer tx.Rollback()
	steps := map[int]string{0: schema, 2: queueSchema + keySchema, 3: keySchema}[version]
	if _, err := tx.ExecContext(ctx, steps); err != nil {
		return fmt.Errorf("making the index: %w", err)
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion)); err != nil {
		return fmt.Errorf("making the index: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("making the index: %w", err)
	}
	return nil
}

// statements are the writer's prepared statements.
type statements struct {
	all []*sql.Stmt

	begin, commit, rollback             *sql.Stmt
	state, docPut, docDelete, docGet    *sql.Stmt
	box, message, place, refs, trace    *sql.Stmt
	flagsAdd, flagsRemove, flagsReplace *sql.Stmt
	dropStone, clearStone               *sql.Stmt
	dropRef, dropMessage                *sql.Stmt
	bury, remove                        *sql.Stmt
	queuePut, queueGet, queueHas        *sql.Stmt
	queueBury, queueRemove              *sql.Stmt
	keyPut, keyDelete, keyDrop          *sql.Stmt
	keyPrune                            *sql.Stmt
}

func prepare(ctx context.Context, c *sql.Conn) (*statements, error) {
	var st statements
	for _, p := range []struct {
		to  **sql.Stmt
		sql string
	}{
		{&st.begin, "BEGIN IMMEDIATE"},
		{&st.commit, "COMMIT"},
		{&st.rollback, "ROLLBACK"},
		{&st.state, "UPDATE state SET seq = ?, next_mailbox = ?, next_msg = ?, last_validity = ?, next_queued = ? WHERE id = 1"},
		{&st.docPut, "INSERT OR REPLACE INTO doc VALUES (?, ?, ?)"},
		{&st.docDelete, "DELETE FROM doc WHERE kind = ? AND key = ?"},
		{&st.docGet, "SELECT value FROM doc WHERE kind = ? AND key = ?"},
		{&st.box, "INSERT OR REPLACE INTO mailbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&st.message, "INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&st.place, "INSERT OR REPLACE INTO placement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&st.refs, "UPDATE message SET refs = refs + 1 WHERE id = ?"},
		{&st.trace, "INSERT INTO trace SELECT coalesce(max(id) + 1, ?1), ?2, ?3 FROM trace WHERE id BETWEEN ?1 AND ?1 + 1048575"},
		{&st.flagsAdd, "UPDATE placement SET flags = flags | ?, modseq = ? WHERE mailbox = ? AND uid BETWEEN ? AND ?"},
		{&st.flagsRemove, "UPDATE placement SET flags = flags & ~?, modseq = ? WHERE mailbox = ? AND uid BETWEEN ? AND ?"},
		{&st.flagsReplace, "UPDATE placement SET flags = ?, modseq = ? WHERE mailbox = ? AND uid BETWEEN ? AND ?"},
		{&st.bury, "INSERT OR REPLACE INTO tombstone SELECT mailbox, uid, ?, msg FROM placement WHERE mailbox = ? AND uid BETWEEN ? AND ?"},
		{&st.dropStone, "DELETE FROM tombstone WHERE mailbox = ? AND uid = ? AND modseq = 0"},
		{&st.clearStone, "UPDATE tombstone SET msg = NULL WHERE mailbox = ? AND uid = ?"},
		{&st.dropRef, "UPDATE message SET refs = refs - 1 WHERE id = ? RETURNING refs, file"},
		{&st.dropMessage, "DELETE FROM message WHERE id = ?"},
		{&st.queuePut, "INSERT OR REPLACE INTO queue VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{&st.queueGet, getQueued},
		{&st.queueHas, "SELECT EXISTS (SELECT 1 FROM queue WHERE id = ?)"},
		{&st.queueBury, "INSERT OR REPLACE INTO tombstone SELECT 0, id, 0, msg FROM queue WHERE id = ?"},
		{&st.queueRemove, "DELETE FROM queue WHERE id = ?"},
		{&st.keyPut, "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)"},
		{&st.keyDelete, "DELETE FROM kept WHERE space = ? AND name = ?"},
		{&st.keyDrop, "DELETE FROM kept WHERE space = ?"},
		{&st.keyPrune, "DELETE FROM kept WHERE expires > 0 AND expires <= ?"},
		{&st.remove, "DELETE FROM placement WHERE mailbox = ? AND uid BETWEEN ? AND ?"},
	} {
		s, err := c.PrepareContext(ctx, p.sql)
		if err != nil {
			return nil, fmt.Errorf("preparing %q: %w", p.sql, err)
		}
		*p.to = s
		st.all = append(st.all, s)
	}
	return &st, nil
}

func (st *statements) close() {
	for _, s := range st.all {
		s.Close()
	}
}
