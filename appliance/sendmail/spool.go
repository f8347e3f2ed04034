package sendmail

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"time"

	"hauspost/appliance/envelope"
)

// DefaultDrop is the drop folder where none is named.
const DefaultDrop = "/var/spool/hauspost"

// Names in a spool folder. A message is written under one ending and gets the
// other when it is durable, so that nobody ever reads a part of one.
const (
	endingReady = ".mail"
	endingNew   = ".new"
	badFolder   = "bad"
)

// Modes of the folders and of the files in them. The drop folder is setgid, so
// that the box, whose group it has, may read the files of others; sticky, so
// that nobody removes those of others; and cannot be listed.
const (
	privateMode     = 0o700
	privateFileMode = 0o600
	dropMode        = 0o733 | fs.ModeSetgid | fs.ModeSticky
	dropFileMode    = 0o640
)

// formatVersion is the version of the spool files.
const formatVersion = 1

// header is the first line of a spool file, as JSON; the content follows it.
// What it says of User and UID counts in the private folder only.
type header struct {
	Version int `json:"v"`
	// UID and User are who called the command, Full his name in the register
	// of users or the argument of -F.
	UID  int    `json:"uid"`
	User string `json:"user"`
	Full string `json:"full,omitempty"`
	// Sender is the reverse-path where one was named: full, bare or empty.
	Sender *string `json:"sender,omitempty"`
	// To are the recipients, full or bare.
	To       []recipient `json:"to"`
	Ret      string      `json:"ret,omitempty"`
	EnvID    string      `json:"envid,omitempty"`
	Body     string      `json:"body,omitempty"`
	SMTPUTF8 bool        `json:"smtputf8,omitempty"`
	// Via is "sendmail" or "sendmail -bs".
	Via     string    `json:"via,omitempty"`
	Written time.Time `json:"written"`
	// Size is that of the content, in octets.
	Size int64 `json:"size"`
}

type recipient struct {
	Address string `json:"address"`
	Notify  string `json:"notify,omitempty"`
	ORcpt   string `json:"orcpt,omitempty"`
}

// maxLine bounds the first line of a spool file, maxRecipients the recipients
// of one message.
const (
	maxLine       = 1 << 20
	maxRecipients = 5000
)

// outbox is where the command puts messages.
type outbox struct {
	fs     filesystem
	folder string
	// private tells which of the two folders it is.
	private bool
	// uid and gid own the files where they are not the caller's; else -1.
	uid, gid int
	now      func() time.Time
}

// draft is a spool file in the making.
type draft struct {
	box     *outbox
	name    string // without the folder and the ending
	file    file
	out     *bufio.Writer
	head    header
	reserve int
	failed  error
}

// create begins a file. The first line gets its place, and is written last,
// because the size of the content stands in it.
func (b *outbox) create(head header) (*draft, error) {
	d := &draft{box: b, name: string(envelope.NewID(b.now())), head: head}
	d.head.Version, d.head.Written = formatVersion, b.now().UTC()
	most := d.head
	most.Size, most.Body = math.MaxInt64, "8BITMIME"
	line, err := json.Marshal(most)
	if err != nil {
		return nil, fmt.Errorf("encoding the envelope: %w", err)
	}
	if len(line)+1 > maxLine {
		return nil, errors.New("the envelope is too large")
	}
	d.reserve = len(line) + 1
	mode := fs.FileMode(privateFileMode)
	if !b.private {
		mode = dropFileMode
	}
	if d.file, err = b.fs.Create(d.path(endingNew), mode); err != nil {
		return nil, err
	}
	err = d.file.Chmod(mode) // whatever the umask took away
	if err == nil && b.uid >= 0 {
		err = d.file.Chown(b.uid, b.gid)
	}
	if err != nil {
		d.discard()
		return nil, err
	}
	d.out = bufio.NewWriterSize(d.file, 64<<10)
	if _, err := d.out.WriteString(strings.Repeat(" ", d.reserve)); err != nil {
		d.discard()
		return nil, err
	}
	return d, nil
}

func (d *draft) path(ending string) string { return filepath.Join(d.box.folder, d.name+ending) }

// Write takes content; lines end in CR LF.
func (d *draft) Write(p []byte) (int, error) {
	n, err := d.out.Write(p)
	d.head.Size += int64(n)
	if err != nil && d.failed == nil {
		d.failed = err
	}
	return n, err
}

// commit makes the message durable and gives it to the box. After an error
// nothing of it is left.
func (d *draft) commit(eight bool) error {
	if eight {
		d.head.Body = "8BITMIME"
	}
	err := d.complete()
	if err == nil {
		if err = d.box.fs.SyncDir(d.box.folder, d.file); err != nil {
			err = d.takeBack(err)
		}
	}
	d.file.Close() // all of it was flushed
	return err
}

// complete writes what is missing, and gives the file its name.
func (d *draft) complete() error {
	line, err := json.Marshal(d.head)
	if err == nil {
		err = d.out.Flush()
	}
	if err == nil {
		line = append(line, strings.Repeat(" ", d.reserve-len(line)-1)+"\n"...)
		_, err = d.file.WriteAt(line, 0)
	}
	if err == nil {
		err = d.file.Sync()
	}
	if err == nil {
		err = d.box.fs.Rename(d.path(endingNew), d.path(endingReady))
	}
	if err != nil {
		d.box.fs.Remove(d.path(endingNew))
		return err
	}
	return nil
}

// takeBack removes a file whose name may not be durable, so that who is told of
// the fault and tries again does not send twice. If the box was faster, all is
// well: it holds the message now.
func (d *draft) takeBack(cause error) error {
	err := d.box.fs.Remove(d.path(endingReady))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(cause, err)
}

// discard drops the file.
func (d *draft) discard() {
	d.file.Close()
	d.box.fs.Remove(d.path(endingNew))
}
