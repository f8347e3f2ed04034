//go:build !wasip1

package sdk

// Host is what a guest can ask, function by function as plugins/abi has them,
// with the same results. Package sdktest has one for tests.
type Host interface {
	Event(buf []byte) int32
	Settings(buf []byte) int32
	Header(buf []byte) int32
	Parts(buf []byte) int32
	PartRead(part, view int32, offset int64, buf []byte) int32
	KeysGet(request, buf []byte) int32
	KeysChange(request []byte) int32
	DNS(request, buf []byte) int32
	Service(request, buf []byte) int32
	Reply(buf []byte) int32
	Effects(request []byte) int32
	Log(level int32, text []byte) int32
	Clock() int64
	Random(buf []byte) int32
}

type backend struct{ Host }

// Run is what guests export; there it has the host behind it. In a program for
// other systems there is none, and it gives 1. Tests use sdktest.
func Run(func(*Call) error) int32 { return 1 }

// RunWith is Run with a host, for tests. Besides the result it gives the error
// that made it 1.
func RunWith(host Host, check func(*Call) error) (int32, error) {
	return run(backend{host}, check)
}
