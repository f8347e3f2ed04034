package store

import (
	"encoding/binary"
	"io"
)

// rawFrame writes a zstd frame whose content is not compressed (RFC 8878,
// section 3.1.1): every reader of zstd takes it, and writing it needs no memory
// to speak of.
type rawFrame struct {
	w   io.Writer
	buf []byte
}

const (
	// rawBlock is the content of one block, at most that of the window.
	rawBlock = 16 << 10
	// The frame's header: no checksum, no content size, a window of 128 KB.
	rawDescriptor, rawWindow = 0x00, 7 << 3
	blockHeader              = 3
)

// Write takes content of any length.
func (r *rawFrame) Write(p []byte) (int, error) {
	if r.buf == nil {
		r.buf = make([]byte, blockHeader, blockHeader+rawBlock)
		if _, err := r.w.Write([]byte{0x28, 0xb5, 0x2f, 0xfd, rawDescriptor, rawWindow}); err != nil {
			return 0, err
		}
	}
	for n := 0; n < len(p); {
		some := min(len(p)-n, cap(r.buf)-len(r.buf))
		r.buf = append(r.buf, p[n:n+some]...)
		n += some
		if len(r.buf) == cap(r.buf) {
			if err := r.flush(0); err != nil {
				return n, err
			}
		}
	}
	return len(p), nil
}

// flush writes the block that was gathered; last is 1 at the end of the frame.
func (r *rawFrame) flush(last uint32) error {
	var head [4]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(r.buf)-blockHeader)<<3|last)
	copy(r.buf, head[:blockHeader])
	_, err := r.w.Write(r.buf)
	r.buf = r.buf[:blockHeader]
	return err
}

// Close ends the frame.
func (r *rawFrame) Close() error {
	if _, err := r.Write(nil); err != nil {
		return err
	}
	return r.flush(1)
}
