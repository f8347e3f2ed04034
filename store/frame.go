package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// rawLimit is the size up to which a message is stored in a raw block:
	// below a disk block compression saves nothing and costs time.
	rawLimit = 2 << 10
	// rawHeader is the same for the header of a larger message.
	rawHeader = 1 << 10
	// headerLimit is the largest header that has a frame of its own.
	headerLimit = 32 << 10
)

var (
	// One decoder for whole files; streams have their own.
	decodeAll = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			panic(err)
		}
		return d
	})
	encodeAll = sync.OnceValue(func() *zstd.Encoder { return newEncoder(nil) })
	streams   = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			panic(err)
		}
		return d
	}}
)

// newEncoder favours speed. Entropy coding of literals without matches costs
// little and saves a quarter of short text and of base64.
func newEncoder(w io.Writer) *zstd.Encoder {
	e, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		panic(err)
	}
	return e
}

// headerEnd gives the length of the header, its empty line included, if it is
// to have a frame of its own, else 0.
func headerEnd(content []byte) int {
	if bytes.HasPrefix(content, []byte("\r\n")) {
		return 2
	}
	i := bytes.Index(content[:min(len(content), headerLimit)], []byte("\r\n\r\n"))
	if i < 0 || i+4 == len(content) {
		return 0
	}
	return i + 4
}

// endsHeader tells that a frame ends where headerEnd cuts.
func endsHeader(content []byte) bool {
	return bytes.HasSuffix(content, []byte("\r\n\r\n")) || string(content) == "\r\n"
}

// appendFrames appends the zstd frames of a message's content.
func appendFrames(dst, content []byte) []byte {
	if len(content) <= rawLimit {
		return appendFrame(dst, content, rawLimit)
	}
	if n := headerEnd(content); n > 0 {
		dst, content = appendFrame(dst, content[:n], rawHeader), content[n:]
	}
	return encodeAll().EncodeAll(content, dst)
}

// appendFrame appends the zstd frame of b, in a raw block if it has at most raw
// octets.
func appendFrame(dst, b []byte, raw int) []byte {
	if len(b) == 0 || len(b) > raw {
		return encodeAll().EncodeAll(b, dst)
	}
	// A frame header with a two-byte content size in a single segment, and one
	// last raw block (RFC 8878, sections 3.1.1.1 and 3.1.1.2).
	dst = append(dst, 0x28, 0xb5, 0x2f, 0xfd)
	if len(b) < 256 {
		dst = append(dst, 0x20, byte(len(b)))
	} else {
		dst = append(dst, 0x60)
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(b)-256))
	}
	block := uint32(len(b))<<3 | 1
	dst = append(dst, byte(block), byte(block>>8), byte(block>>16))
	return append(dst, b...)
}

// frameSize gives the length of the frame at the start of b, if it is one of a
// single block, as headers have. raw is the block where it is not compressed
// and has no checksum; b may end before the frame does, and raw is nil then.
func frameSize(b []byte) (n int, raw []byte) {
	var h zstd.Header
	if err := h.Decode(b); err != nil || h.Skippable || !h.FirstBlock.OK || !h.FirstBlock.Last {
		return 0, nil
	}
	at := h.HeaderSize + 3
	n = at + h.FirstBlock.CompressedSize
	if h.HasCheckSum {
		return n + 4, nil
	}
	if !h.FirstBlock.Compressed && n <= len(b) {
		raw = b[at:n]
	}
	return n, raw
}

// appendContent appends the decompressed content of frames.
func appendContent(dst, frames []byte, t trailer) ([]byte, error) {
	n := len(dst)
	if free := int64(cap(dst) - n); free < t.size {
		if t.size > 1<<30 {
			return dst, fmt.Errorf("%w: it says that it has %d octets", errDamagedFile, t.size)
		}
		dst = append(make([]byte, 0, int64(n)+t.size+t.size/8), dst...)
	}
	out := dst
	if size, raw := frameSize(frames); raw != nil && int64(len(raw)) <= t.size {
		out, frames = append(out, raw...), frames[size:]
	}
	if len(frames) > 0 {
		var err error
		if out, err = decodeAll().DecodeAll(frames, out); err != nil {
			return dst[:n], fmt.Errorf("%w: %v", errDamagedFile, err)
		}
	}
	if int64(len(out)-n) != t.size {
		return dst[:n], fmt.Errorf("%w: %d octets instead of %d", errDamagedFile, len(out)-n, t.size)
	}
	return out, nil
}
