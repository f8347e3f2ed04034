package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A message file is a zstd frame of the content as it came in, and a skippable
// frame (RFC 8878, section 3.1.2) with what the box adds: `zstdcat` prints the
// content, and a rebuild finds the rest. The skippable frame's payload is
//
//	length of prefix, prefix, length of annex, annex, SHA-256 of the content,
//	size of the content, length of the payload, trailerMagic
//
// with the annex as packTrace makes it and numbers in little-endian, so that it can be found from the end.
const (
	skippableMagic = 0x184d2a5d
	trailerMagic   = 0x52545048 // "HPTR"
	trailerFixed   = 4 + 4 + 32 + 8 + 4 + 4
	// maxPrefix bounds Delivery.Prefix, maxAnnex Delivery.Annex, in octets.
	maxPrefix = 64 << 10
	maxAnnex  = 256 << 10
	// rawLimit is the size up to which a message is stored in a raw block:
	// below a disk block compression saves nothing and costs time.
	rawLimit = 2 << 10
)

var (
	errDamagedFile = errors.New("the message file is damaged")

	// One decoder for whole files; streams have their own.
	decodeAll = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			panic(err)
		}
		return d
	})
	encodeAll = sync.OnceValue(func() *zstd.Encoder { return newEncoder(nil) })
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

// trailer is what the skippable frame says.
type trailer struct {
	prefix, annex []byte
	sum           [32]byte
	size          int64
}

func (t *trailer) append(dst []byte) []byte {
	n := trailerFixed + len(t.prefix) + len(t.annex)
	dst = binary.LittleEndian.AppendUint32(dst, skippableMagic)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(t.prefix)))
	dst = append(dst, t.prefix...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(t.annex)))
	dst = append(dst, t.annex...)
	dst = append(dst, t.sum[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(t.size))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	return binary.LittleEndian.AppendUint32(dst, trailerMagic)
}

// splitFile takes a message file apart into its zstd frame and its trailer,
// whose slices point into b.
func splitFile(b []byte) (frame []byte, t trailer, err error) {
	if len(b) < trailerFixed+8 || binary.LittleEndian.Uint32(b[len(b)-4:]) != trailerMagic {
		return nil, t, fmt.Errorf("%w: its end is missing", errDamagedFile)
	}
	n := int64(binary.LittleEndian.Uint32(b[len(b)-8:]))
	at := int64(len(b)) - n - 8
	if n < trailerFixed || at < 0 || binary.LittleEndian.Uint32(b[at:]) != skippableMagic ||
		int64(binary.LittleEndian.Uint32(b[at+4:])) != n {
		return nil, t, fmt.Errorf("%w: malformed trailer", errDamagedFile)
	}
	t, err = parseTrailer(b[at+8:])
	return b[:at], t, err
}

func parseTrailer(p []byte) (t trailer, err error) {
	malformed := fmt.Errorf("%w: malformed trailer", errDamagedFile)
	np := int64(binary.LittleEndian.Uint32(p))
	if np > int64(len(p)-trailerFixed) {
		return t, malformed
	}
	t.prefix, p = p[4:4+np:4+np], p[4+np:]
	na := int64(binary.LittleEndian.Uint32(p))
	if na != int64(len(p)-trailerFixed+4) {
		return t, malformed
	}
	t.annex, p = p[4:4+na:4+na], p[4+na:]
	copy(t.sum[:], p)
	t.size = int64(binary.LittleEndian.Uint64(p[32:]))
	return t, nil
}

// compressSmall appends the zstd frame of raw.
func compressSmall(dst, raw []byte) []byte {
	if len(raw) == 0 || len(raw) > rawLimit {
		return encodeAll().EncodeAll(raw, dst)
	}
	// A frame header with a two-byte content size in a single segment, and one
	// last raw block (RFC 8878, sections 3.1.1.1 and 3.1.1.2).
	dst = append(dst, 0x28, 0xb5, 0x2f, 0xfd)
	if len(raw) < 256 {
		dst = append(dst, 0x20, byte(len(raw)))
	} else {
		dst = append(dst, 0x60)
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(raw)-256))
	}
	block := uint32(len(raw))<<3 | 1
	dst = append(dst, byte(block), byte(block>>8), byte(block>>16))
	return append(dst, raw...)
}

// rawContent gives the content of a frame that compressSmall left uncompressed.
func rawContent(frame []byte, size int64) ([]byte, bool) {
	head := 6
	if size >= 256 {
		head = 7
	}
	if size == 0 || size > rawLimit || int64(len(frame)) != int64(head)+3+size || frame[4]&0x20 == 0 {
		return nil, false
	}
	block := uint32(size)<<3 | 1
	if frame[head] != byte(block) || frame[head+1] != byte(block>>8) || frame[head+2] != byte(block>>16) {
		return nil, false
	}
	return frame[head+3:], true
}

// path is where the file of a message lies. A folder holds 1,024 rows.
func (s *Store) path(msg int64, id ID) string {
	return filepath.Join(s.folder(msg), id.String()+".zst")
}

func (s *Store) folder(msg int64) string {
	return filepath.Join(s.dir, "mail", fmt.Sprintf("%06x", msg>>10))
}

// createFile makes the file of a message, and its folder where it is missing.
func (s *Store) createFile(msg int64, id ID) (file, error) {
	name := s.path(msg, id)
	f, err := s.fs.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err := s.makeFolder(msg); err != nil {
			return nil, err
		}
		f, err = s.fs.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	}
	return f, err
}

func (s *Store) makeFolder(msg int64) error {
	err := s.fs.Mkdir(s.folder(msg), 0o700)
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return s.fs.SyncDir(filepath.Join(s.dir, "mail"))
}

// writeFile writes a whole message file without flushing it.
func (s *Store) writeFile(msg int64, id ID, image []byte) error {
	f, err := s.createFile(msg, id)
	if err != nil {
		return err
	}
	_, err = f.Write(image)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		s.fs.Remove(s.path(msg, id))
	}
	return err
}

var fileBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// loadFile reads a message file whole and passes its parts to fn.
func (s *Store) loadFile(msg int64, id ID, fn func(frame []byte, t trailer) error) error {
	f, err := s.fs.OpenFile(s.path(msg, id), os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := fileBuffers.Get().(*bytes.Buffer)
	buf.Reset()
	defer func() {
		if buf.Cap() <= 1<<20 {
			fileBuffers.Put(buf)
		}
	}()
	if buf.Cap() == 0 {
		buf.Grow(8 << 10)
	}
	if _, err := buf.ReadFrom(f); err != nil {
		return err
	}
	frame, t, err := splitFile(buf.Bytes())
	if err != nil {
		return err
	}
	return fn(frame, t)
}

// appendContent appends the decompressed content.
func appendContent(dst, frame []byte, t trailer) ([]byte, error) {
	if raw, ok := rawContent(frame, t.size); ok {
		return append(dst, raw...), nil
	}
	n := len(dst)
	if free := int64(cap(dst) - n); free < t.size {
		if t.size > 1<<30 {
			return dst, fmt.Errorf("%w: it says that it has %d octets", errDamagedFile, t.size)
		}
		dst = append(make([]byte, 0, int64(n)+t.size+t.size/8), dst...)
	}
	out, err := decodeAll().DecodeAll(frame, dst)
	if err != nil {
		return dst[:n], fmt.Errorf("%w: %v", errDamagedFile, err)
	}
	if int64(len(out)-n) != t.size {
		return dst[:n], fmt.Errorf("%w: %d octets instead of %d", errDamagedFile, len(out)-n, t.size)
	}
	return out, nil
}
