package worker

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// linear is the memory of one instance: a range of addresses as large as its
// limit, of which only the front can be used. The range never moves.
//
// Over an image (see image) it is a private mapping of it: pages are shared by
// all instances until one writes to them, and only those are set back.
type linear struct {
	all []byte
	// limit is how large it may become, open how much can be read and written,
	// both in octets and whole pages.
	limit, open uint64
	// force, where it is not 0, is the size that the next Reallocate gives,
	// whatever is asked: so an instance gets the size of its image again.
	force uint64
	// refused tells that the guest wanted more than the limit.
	refused bool
	// from is the image that is mapped into the front, nil for none.
	from *image
	// pages may be nil; room is for its use.
	pages *pages
	room  []int
}

// newLinear reserves addresses, which takes no memory.
func newLinear(limit uint64, pages *pages) (*linear, error) {
	all, err := unix.Mmap(-1, 0, int(limit), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserving %d KB for the memory of an instance: %w", limit>>10, err)
	}
	return &linear{all: all, limit: limit, pages: pages}, nil
}

// Allocate implements experimental.MemoryAllocator for the one memory that an
// instance has.
func (l *linear) Allocate(_, _ uint64) experimental.LinearMemory { return l }

// Reallocate implements experimental.LinearMemory.
func (l *linear) Reallocate(size uint64) []byte {
	if l.force > 0 {
		size = l.force
	}
	if size > l.limit {
		l.refused = true
		return nil
	}
	if size > l.open {
		if err := unix.Mprotect(l.all[l.open:size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			l.refused = true
			return nil
		}
		l.open = size
	}
	return l.all[:size:size]
}

// Free implements experimental.LinearMemory. Who made the instance frees it, by
// release: wazero may free a memory twice.
func (l *linear) Free() {}

// release gives the addresses back. Nothing may look at the memory any more.
func (l *linear) release() {
	if l.all != nil {
		_ = unix.Munmap(l.all)
		l.all = nil
	}
}

// restore makes the memory what the image is. It does not set the size.
func (l *linear) restore(im *image) error {
	size := uint64(im.size)
	if l.from != im {
		if err := im.mapOver(l.all); err != nil {
			return err
		}
		l.from, l.open = im, max(l.open, size)
	} else if !l.pages.rewrite(l.all[:size], im.view, &l.room) {
		if err := l.drop(0, size); err != nil {
			return err
		}
	}
	if l.open > size {
		return l.drop(size, l.open)
	}
	return nil
}

// drop throws away what was written to a range.
func (l *linear) drop(from, to uint64) error {
	if err := unix.Madvise(l.all[from:to], unix.MADV_DONTNEED); err != nil {
		return fmt.Errorf("setting the memory of an instance back: %w", err)
	}
	return nil
}

// image is the memory of an instance at one moment, in a file without a name.
type image struct {
	file *os.File
	size int
	// view is its content, where the image is one of an instance.
	view []byte
}

// newImage keeps a copy of b, which is not empty. Pages of zeros take no room.
func newImage(b []byte) (*image, error) {
	fd, err := unix.MemfdCreate("image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("making an image of an instance: %w", err)
	}
	im := &image{file: os.NewFile(uintptr(fd), "image"), size: len(b)}
	if err := im.fill(b); err != nil {
		im.close()
		return nil, fmt.Errorf("making an image of an instance: %w", err)
	}
	return im, nil
}

func (im *image) fill(b []byte) error {
	if err := im.file.Truncate(int64(len(b))); err != nil {
		return err
	}
	const step = 4 << 10
	for at := 0; at < len(b); at += step {
		page := b[at:min(at+step, len(b))]
		if zeros(page) {
			continue
		}
		if _, err := im.file.WriteAt(page, int64(at)); err != nil {
			return err
		}
	}
	_, err := unix.FcntlInt(im.file.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	return err
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// mapOver maps the image privately over the front of a range of addresses.
func (im *image) mapOver(all []byte) error {
	_, err := unix.MmapPtr(int(im.file.Fd()), 0, unsafe.Pointer(unsafe.SliceData(all)), uintptr(im.size),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED|unix.MAP_NORESERVE)
	if err != nil {
		return fmt.Errorf("mapping the image of an instance: %w", err)
	}
	return nil
}

// look makes the content readable in view.
func (im *image) look() error {
	var err error
	if im.view, err = unix.Mmap(int(im.file.Fd()), 0, im.size, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("mapping the image of an instance: %w", err)
	}
	return nil
}

func (im *image) close() {
	if im.view != nil {
		_ = unix.Munmap(im.view)
	}
	_ = im.file.Close()
}
