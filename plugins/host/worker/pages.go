package worker

import (
	"encoding/binary"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pages tells which pages of a private mapping were written to. The kernel says
// so in a file of the process, by which only those are set back that need it:
// a call of a small guest writes to a few of its hundreds of pages, and finds
// them in place the next time, instead of asking the kernel for each anew.
type pages struct {
	file *os.File
	size int // of a page
}

// The bits of an entry in that file: the page is there, or swapped out, and it
// is one of the file that is mapped.
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
	pageOfFile  = 1 << 61
)

const (
	// maxTracked is the largest image that is looked through, maxRewrite how
	// many of its pages are written again rather than dropped: those that are
	// dropped take no memory until they are needed.
	maxTracked = 16 << 20
	maxRewrite = 512
)

// openPages opens the file. It gives nil where there is none, or where it does
// not tell the truth, as in emulators: memory is then set back by dropping it.
func openPages() *pages {
	file, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return nil
	}
	p := &pages{file: file, size: os.Getpagesize()}
	if !p.honest() {
		p.close()
		return nil
	}
	return p
}

func (p *pages) close() {
	if p != nil {
		_ = p.file.Close()
	}
}

// honest tries it: of three pages one is written to, one read, one left alone.
func (p *pages) honest() bool {
	b := make([]byte, 3*p.size)
	b[0], b[p.size], b[2*p.size] = 1, 1, 1
	im, err := newImage(b)
	if err != nil {
		return false
	}
	defer im.close()
	all, err := unix.Mmap(-1, 0, im.size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Munmap(all) }()
	if im.mapOver(all) != nil {
		return false
	}
	all[p.size] = 2
	read := all[0]
	written, ok := p.written(all, nil)
	return read == 1 && ok && len(written) == 1 && written[0] == p.size
}

// written appends the offsets of the pages of b that were written to, b being
// whole pages. It gives up where the file cannot be read.
func (p *pages) written(b []byte, to []int) ([]int, bool) {
	var marks [4 << 10]byte
	first := int64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) / int64(p.size)
	n := len(b) / p.size
	for at := 0; at < n; {
		chunk := marks[:8*min(n-at, len(marks)/8)]
		if _, err := p.file.ReadAt(chunk, 8*(first+int64(at))); err != nil {
			return to, false
		}
		for ; len(chunk) > 0; chunk = chunk[8:] {
			mark := binary.LittleEndian.Uint64(chunk)
			if mark&(pagePresent|pageSwapped) != 0 && mark&pageOfFile == 0 {
				to = append(to, at*p.size)
			}
			at++
		}
	}
	return to, true
}

// rewrite makes b, a private mapping of image, equal to it. It tells whether it
// did: where too much is to be done it does nothing.
func (p *pages) rewrite(b, image []byte, room *[]int) bool {
	if p == nil || len(b) > maxTracked || len(image) != len(b) {
		return false
	}
	written, ok := p.written(b, (*room)[:0])
	*room = written
	if !ok || len(written) > maxRewrite {
		return false
	}
	for _, at := range written {
		copy(b[at:at+p.size], image[at:])
	}
	return true
}
