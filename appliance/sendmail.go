package appliance

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"hauspost/appliance/config"
	"hauspost/appliance/sendmail"
)

// spoolFolder is the private folder of the spool within the data folder.
const spoolFolder = "spool"

// SendmailOptions say how the sendmail command was called.
type SendmailOptions struct {
	// Args are its arguments.
	Args []string
	// Data is the data folder; empty means the usual one, /var/lib/hauspost.
	Data string
	// Drop is the drop folder to use whoever calls; empty means: the usual one,
	// for those who may not write the data folder.
	Drop     string
	In       io.Reader
	Out, Err io.Writer
	// List lists the queue of the box on data and gives an exit code.
	List func(data string) int
}

// Sendmail is the sendmail command. It gives an exit code of sysexits.h. It
// opens nothing of the box but its spool, so that it works in a moment, and
// whether the box runs or not.
func Sendmail(ctx context.Context, o SendmailOptions) int {
	if o.Data == "" {
		o.Data = "/var/lib/hauspost"
	}
	so := sendmail.Options{
		Args: o.Args, In: o.In, Out: o.Out, Err: o.Err, Drop: o.Drop,
		Caller: sendmail.SystemUsers().ByID(os.Getuid()),
		List:   func() int { return o.List(o.Data) },
	}
	if o.Drop == "" {
		so.Drop = sendmail.DefaultDrop
		if ownsBox(o.Data) {
			so.Private = filepath.Join(o.Data, spoolFolder)
		}
	}
	return sendmail.Run(ctx, so)
}

// ownsBox tells whether there is a box in dir whose folder this user may write:
// its own, or, for root, anybody's.
func ownsBox(dir string) bool {
	st, err := os.Stat(dir)
	if err != nil {
		return false
	}
	if _, err := os.Stat(config.Path(dir)); err != nil {
		return false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && (os.Geteuid() == 0 || int(sys.Uid) == os.Geteuid())
}
