package worker

import (
	"context"
	"fmt"
	"os"

	"hauspost/plugins/host/jail"
	"hauspost/plugins/host/link"
)

// Main is the whole process of a worker: it serves the parent at the socket
// link.FD until that is closed, and gives the status to end with. What keeps it
// from working goes to standard error.
func Main() int {
	conn, err := link.Open(os.NewFile(link.FD, "frames"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "plugin-worker: this command is started by hauspost itself:", err)
		return 2
	}
	if err := serve(context.Background(), conn, walls{own: true, enter: jail.Enter, seal: jail.Seal}); err != nil {
		fmt.Fprintln(os.Stderr, "plugin-worker:", err)
		return 1
	}
	return 0
}
