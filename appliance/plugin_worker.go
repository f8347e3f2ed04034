package appliance

import (
	"bytes"
	"io"
	"os"

	"hauspost/plugins/host/worker"
)

// WorkerCommand is the command by which this program is a worker in which
// plugins run.
const WorkerCommand = "plugin-worker"

// PluginWorker is the whole process of such a worker, and gives the status to end
// with. Nothing of a box may be made before it.
func PluginWorker() int { return worker.Main() }

// workerCommand starts a worker. It names this program as it runs, which may have
// been replaced on the disk by another version since.
func workerCommand() ([]string, error) { return []string{"/proc/self/exe", WorkerCommand}, nil }

// wasmFile gives a module to a worker.
func wasmFile(wasm []byte) (*os.File, error) {
	return contentFile("", int64(min(len(wasm), inMemory)), func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(wasm))
		return err
	})
}
