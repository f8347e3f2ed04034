package appliance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hauspost/appliance/config"
	"hauspost/appliance/control"
	"hauspost/store"
)

// TestPlainSentences holds what is said of a data folder that cannot be opened.
func TestPlainSentences(t *testing.T) {
	t.Parallel()
	wrap := func(err error) error {
		return fmt.Errorf("a: %w", &fs.PathError{Op: "write", Path: "/d/redo", Err: err})
	}
	for want, err := range map[string]error{
		"another hauspost is using the data folder /d: only one can run on it at a time":                                            wrap(store.ErrLocked),
		"the disk of the data folder /d is full: free some space and try again":                                                     wrap(syscall.ENOSPC),
		"the disk of the data folder /d can only be read: make it writable and try again":                                           wrap(syscall.EROFS),
		"the index of the mail (hauspost.db) is missing in /d: run `hauspost store rebuild --data /d`":                              wrap(store.ErrIndexMissing),
		"files in the data folder /d cannot be written by this user: give them to the user that runs hauspost":                      wrap(syscall.EACCES),
		"the data folder /d was made by another version of hauspost, which this one (it changed nothing) does not understand: use ": wrap(store.ErrVersion),
		"opening the data folder /d: a: write /d/redo: input/output error":                                                          wrap(syscall.EIO),
	} {
		got := plainly("/d", err)
		if got == nil || !strings.HasPrefix(got.Error(), want) || strings.Contains(got.Error(), "\n") {
			t.Errorf("%v is told as %q, want %q", err, got, want)
		}
		if again := plainly("/d", fmt.Errorf("b: %w", got)); !strings.HasSuffix(again.Error(), got.Error()) || !errors.Is(again, err) {
			t.Errorf("%v told twice is %q", err, again)
		}
	}
	if err := plainly("/d", nil); err != nil {
		t.Errorf("no error is told as %q", err)
	}
}

func TestInitCleansUp(t *testing.T) {
	t.Parallel()
	for _, existed := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "box")
		if existed {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Init(ctx, InitOptions{Dir: dir, Hostname: "mail.example.test", Domain: "example.test",
			Adjust: func(*config.Config) { cancel() }}) // the last moment before anything is made
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled Init: %v", err)
		}
		names, err := os.ReadDir(dir)
		if existed && (err != nil || len(names) > 0) || !existed && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a cancelled Init (folder there before: %v) left %v, %v", existed, names, err)
		}
	}
}

// TestAtRestWaitsForAnother holds that two commands on a box at rest do not
// disturb each other: the second waits for the first.
func TestAtRestWaitsForAnother(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "box")
	if _, err := Init(t.Context(), InitOptions{Dir: dir, Hostname: "mail.example.test", Domain: "example.test"}); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	first, err := openCore(t.Context(), dir, c, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	box, err := Connect(t.Context(), dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := box.Domains(ctx); err == nil || !strings.Contains(err.Error(), "another hauspost is using") {
		t.Errorf("without time to wait: %v", err)
	}
	closed := make(chan error, 1)
	go func() { closed <- first.store.Close() }()
	list, err := box.Domains(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != "example.test" {
		t.Errorf("after the first: %v, %v", list, err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := box.Log(t.Context(), control.LogQuery{}, nil); !control.IsKind(err, control.KindNotRunning) {
		t.Errorf("the log at rest: %v", err)
	}
}
