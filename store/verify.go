package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Problem is one finding of Verify or Rebuild.
type Problem struct {
	// Kind is stable: "damaged-file", "missing-file", "stray-file",
	// "damaged-log", "counters", "index".
	Kind string `json:"kind"`
	// File is relative to the data folder; Message is the message's ID.
	File    string `json:"file,omitempty"`
	Message string `json:"message,omitempty"`
	// Text says what is wrong; Remedy what to do.
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

// Report is the outcome of Verify.
type Report struct {
	Messages  int       `json:"messages"`
	Mailboxes int       `json:"mailboxes"`
	Bytes     int64     `json:"bytes"`
	Problems  []Problem `json:"problems"`
}

const (
	remedyRestore = `restore this file from a backup; if there is none, delete the message in a mail program`
	remedyMissing = `restore this file from a backup; if there is none, run "hauspost store rebuild", which lets go of the message`
	remedyStray   = `the box does not know this file and will not show it: look at it with zstdcat, then keep or delete it`
	remedyRebuild = `stop the box and run "hauspost store rebuild"`
)

type messageRow struct {
	msg     int64
	id      ID
	rawSize int64
	sum     [32]byte
	refs    int64
}

// messageRows reads the rows of messages with IDs from first on.
func (s *Store) messageRows(ctx context.Context, first int64) ([]messageRow, error) {
	rows, err := s.readers.QueryContext(ctx, "SELECT id, file, rawsize, sum, refs FROM message WHERE id >= ? ORDER BY id", first)
	if err != nil {
		return nil, fmt.Errorf("reading the index: %w", err)
	}
	defer rows.Close()
	var all []messageRow
	for rows.Next() {
		var r messageRow
		var file, sum []byte
		if err := rows.Scan(&r.msg, &file, &r.rawSize, &sum, &r.refs); err != nil {
			return nil, fmt.Errorf("reading the index: %w", err)
		}
		copy(r.id[:], file)
		copy(r.sum[:], sum)
		all = append(all, r)
	}
	return all, rows.Err()
}

// Verify reads every message file and compares it with the index, and the
// index with itself. It changes nothing, and may run beside deliveries.
func (s *Store) Verify(ctx context.Context) (Report, error) {
	r := Report{Problems: []Problem{}}
	// Files first: what comes later is in no list and so no stray.
	files, err := s.listFiles()
	if err != nil {
		return r, err
	}
	all, err := s.messageRows(ctx, 0)
	if err != nil {
		return r, err
	}
	for _, m := range all {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		name := s.path(m.msg, m.id)
		delete(files, name)
		r.Messages++
		n, p := s.verifyFile(m)
		r.Bytes += n
		if p != nil {
			p.File, p.Message = s.relative(name), m.id.String()
			r.Problems = append(r.Problems, *p)
		}
	}
	if err := s.verifyStrays(ctx, files, &r); err != nil {
		return r, err
	}
	if err := s.verifyJournal(&r); err != nil {
		return r, err
	}
	return r, s.verifyIndex(ctx, &r)
}

// verifyJournal reads what a rebuild would read.
func (s *Store) verifyJournal(r *Report) error {
	nothing := func(uint64, bool, []byte) error { return nil }
	return s.journal.each(nothing, func(name string, after uint64) {
		r.Problems = append(r.Problems, Problem{Kind: "damaged-log", File: s.relative(name),
			Text:   fmt.Sprintf("the journal is damaged behind change %d, so a rebuild could not tell what came then", after),
			Remedy: "restart the box: it writes the journal anew from the index"})
	})
}

// verifyFile checks one message against its row, and returns the file's size.
func (s *Store) verifyFile(m messageRow) (int64, *Problem) {
	var n int64
	err := s.loadFile(m.msg, m.id, int(min(m.rawSize, keepBuffer/2))+4<<10, func(frames []byte, t trailer) error {
		n = int64(len(frames))
		raw, err := appendContent(nil, frames, t)
		if err != nil {
			return err
		}
		if sha256.Sum256(raw) != m.sum || t.sum != m.sum {
			return fmt.Errorf("%w: its content is not what was received (SHA-256 differs)", errDamagedFile)
		}
		return nil
	})
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, os.ErrNotExist):
		// Nobody holds a message that was let go of meanwhile, or before a crash
		// that came between its file and the commit of the reaper.
		var held bool
		qerr := s.readers.QueryRowContext(context.Background(), "SELECT refs > (SELECT count(*) FROM tombstone WHERE msg = ?1) FROM message WHERE id = ?1", m.msg).Scan(&held)
		if errors.Is(qerr, sql.ErrNoRows) || qerr == nil && !held {
			return 0, nil
		}
		return 0, &Problem{Kind: "missing-file", Text: "the index has this message, its file is not there", Remedy: remedyMissing}
	default:
		return n, &Problem{Kind: "damaged-file", Text: err.Error(), Remedy: remedyRestore}
	}
}

// verifyStrays reports files that no row names.
func (s *Store) verifyStrays(ctx context.Context, files map[string]struct{}, r *Report) error {
	if len(files) == 0 {
		return nil
	}
	// What was on its way when the files were listed has its row by now.
	again, err := s.messageRows(ctx, 0)
	if err != nil {
		return err
	}
	for _, m := range again {
		delete(files, s.path(m.msg, m.id))
	}
	for name := range files {
		if _, err := os.Stat(name); err != nil {
			continue // expunged or withdrawn meanwhile
		}
		r.Problems = append(r.Problems, Problem{Kind: "stray-file", File: s.relative(name), Text: "a message file that the index does not know", Remedy: remedyStray})
	}
	return nil
}

func (s *Store) verifyIndex(ctx context.Context, r *Report) error {
	var result string
	if err := s.readers.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result); err != nil {
		return fmt.Errorf("checking the index: %w", err)
	}
	if result != "ok" {
		r.Problems = append(r.Problems, Problem{Kind: "index", File: "hauspost.db", Text: "SQLite says: " + result, Remedy: remedyRebuild})
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT m.owner, m.name, m.messages, count(p.uid), m.unseen, coalesce(sum(p.flags & 1 = 0), 0),
		m.uidnext > coalesce(max(p.uid), 0) FROM mailbox m LEFT JOIN placement p ON p.mailbox = m.id WHERE m.dead = 0 GROUP BY m.id`)
	if err != nil {
		return fmt.Errorf("checking the mailboxes: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var owner, name string
		var messages, counted, unseen, countedUnseen int64
		var uids bool
		if err := rows.Scan(&owner, &name, &messages, &counted, &unseen, &countedUnseen, &uids); err != nil {
			return fmt.Errorf("checking the mailboxes: %w", err)
		}
		r.Mailboxes++
		if messages != counted || unseen != countedUnseen || !uids {
			r.Problems = append(r.Problems, Problem{Kind: "counters", File: "hauspost.db",
				Text:   fmt.Sprintf("mailbox %q of account %s says %d messages, %d unseen; it has %d and %d", name, owner, messages, unseen, counted, countedUnseen),
				Remedy: remedyRebuild})
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("checking the mailboxes: %w", err)
	}
	for _, check := range []struct{ query, text string }{
		{"SELECT count(*) FROM placement p LEFT JOIN message m ON m.id = p.msg WHERE m.id IS NULL", "%d entries of mailboxes name no message"},
		{"SELECT count(*) FROM queue q LEFT JOIN message m ON m.id = q.msg WHERE m.id IS NULL", "%d rows of the queue name no message"},
		{`SELECT count(*) FROM message m LEFT JOIN (SELECT msg, count(*) AS n FROM (SELECT msg FROM placement
			UNION ALL SELECT msg FROM queue UNION ALL SELECT msg FROM tombstone WHERE msg IS NOT NULL) GROUP BY msg) h
			ON h.msg = m.id WHERE m.refs <> coalesce(h.n, 0)`, "%d messages are not held as often as they are counted"},
	} {
		var n int64
		if err := s.readers.QueryRowContext(ctx, check.query).Scan(&n); err != nil {
			return fmt.Errorf("checking the index: %w", err)
		}
		if n > 0 {
			r.Problems = append(r.Problems, Problem{Kind: "index", File: "hauspost.db", Text: fmt.Sprintf(check.text, n), Remedy: remedyRebuild})
		}
	}
	return nil
}

// listFiles gives the names of all message files.
func (s *Store) listFiles() (map[string]struct{}, error) {
	files := map[string]struct{}{}
	mail := s.mail
	folders, err := os.ReadDir(mail)
	if err != nil {
		return nil, fmt.Errorf("listing message files: %w", err)
	}
	for _, d := range folders {
		if !d.IsDir() || d.Name() == "tmp" {
			continue
		}
		es, err := os.ReadDir(filepath.Join(mail, d.Name()))
		if err != nil {
			return nil, fmt.Errorf("listing message files: %w", err)
		}
		for _, e := range es {
			files[filepath.Join(mail, d.Name(), e.Name())] = struct{}{}
		}
	}
	return files, nil
}

func (s *Store) relative(name string) string {
	if r, err := filepath.Rel(s.dir, name); err == nil {
		return r
	}
	return name
}

// sweptFor is how long swept files are kept.
const sweptFor = 30 * 24 * time.Hour

// sweep puts aside what deliveries left behind that a crash cut off: files in
// the latest folders without a row. They lie in swept/ for a month.
func (s *Store) sweep(ctx context.Context) error {
	aside := filepath.Join(s.dir, "swept")
	if err := s.emptySwept(aside); err != nil {
		return fmt.Errorf("sweeping: %w", err)
	}
	first := max(0, s.committedMsg-1024) &^ 1023
	rows, err := s.messageRows(ctx, first)
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(rows))
	for _, m := range rows {
		known[s.path(m.msg, m.id)] = true
	}
	for msg := first; ; msg += 1024 {
		es, err := os.ReadDir(s.folder(msg))
		if errors.Is(err, os.ErrNotExist) && msg > s.committedMsg {
			return nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("sweeping: %w", err)
		}
		for _, e := range es {
			name := filepath.Join(s.folder(msg), e.Name())
			if known[name] {
				continue
			}
			s.log.Info("put a message file aside that was never acknowledged", "file", s.relative(name), "to", "swept")
			if err := s.fs.Mkdir(aside, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
				return fmt.Errorf("sweeping: %w", err)
			}
			if err := s.fs.Rename(name, filepath.Join(aside, e.Name())); err != nil {
				return fmt.Errorf("sweeping: %w", err)
			}
		}
	}
}

// emptySwept removes what was swept long ago.
func (s *Store) emptySwept(dir string) error {
	es, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range es {
		info, ierr := e.Info()
		if ierr == nil && s.now().Sub(info.ModTime()) > sweptFor {
			err = errors.Join(err, s.fs.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// Stats are figures for status.
type Stats struct {
	Messages  int   `json:"messages"`
	Mailboxes int   `json:"mailboxes"`
	Bytes     int64 `json:"bytes"`
	// Commits and Flushes count since the start.
	Commits uint64 `json:"commits"`
	Flushes uint64 `json:"flushes"`
	// FreeBytes is the free space below the data folder.
	FreeBytes int64 `json:"free_bytes"`
	// Fault is empty, or says why nothing can be written just now.
	Fault string `json:"fault,omitempty"`
}

// Stats gives figures for status. Messages and Bytes count a message once for
// each mailbox that holds it.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	st := Stats{Commits: s.commits.Load(), Flushes: s.flushes.Load()}
	s.mu.RLock()
	for _, b := range s.boxes {
		st.Mailboxes++
		st.Messages += int(b.Messages)
		st.Bytes += b.Size
	}
	s.mu.RUnlock()
	if f := s.fault.Load(); f != nil {
		st.Fault = *f
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(s.dir, &fs); err != nil {
		return st, fmt.Errorf("asking for the free space: %w", err)
	}
	st.FreeBytes = int64(fs.Bavail) * int64(fs.Bsize) // Bsize is 32 bits wide on 32-bit machines
	return st, ctx.Err()
}
