package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
)

// A message file is the content as it came in, in one or two zstd frames, and a
// skippable frame (RFC 8878, section 3.1.2) with what the box adds: `zstdcat`
// prints the content, and a rebuild finds the rest. Where there are two frames
// the first one is the header, so that it can be read alone. The skippable
// frame's payload is
//
//	length of prefix, prefix, length of annex, annex, SHA-256 of the content,
//	size of the content, CRC-32C of all that, length of the payload, trailerMagic
//
// with the annex as packTrace makes it and numbers in little-endian, so that it can be found from the end.
const (
	skippableMagic = 0x184d2a5d
	trailerMagic   = 0x52545048 // "HPTR"
	trailerFixed   = 4 + 4 + 32 + 8 + 4 + 4 + 4
	// maxPrefix bounds Delivery.Prefix, maxAnnex Delivery.Annex, in octets.
	maxPrefix = 64 << 10
	maxAnnex  = 256 << 10
)

var (
	errDamagedFile = fmt.Errorf("the message file is %w", ErrDamaged)
	errMalformed   = fmt.Errorf("%w: malformed trailer", errDamagedFile)
)

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
	payload := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(t.prefix)))
	dst = append(dst, t.prefix...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(t.annex)))
	dst = append(dst, t.annex...)
	dst = append(dst, t.sum[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(t.size))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[payload:], castagnoli))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	return binary.LittleEndian.AppendUint32(dst, trailerMagic)
}

// splitFile takes a message file apart into its zstd frames and its trailer,
// whose slices point into b.
func splitFile(b []byte) (frames []byte, t trailer, err error) {
	if len(b) < trailerFixed+8 || binary.LittleEndian.Uint32(b[len(b)-4:]) != trailerMagic {
		return nil, t, fmt.Errorf("%w: its end is missing", errDamagedFile)
	}
	n := int64(binary.LittleEndian.Uint32(b[len(b)-8:]))
	at := int64(len(b)) - n - 8
	if n < trailerFixed || at < 0 || binary.LittleEndian.Uint32(b[at:]) != skippableMagic ||
		int64(binary.LittleEndian.Uint32(b[at+4:])) != n {
		return nil, t, errMalformed
	}
	t, err = parseTrailer(b[at+8:])
	return b[:at], t, err
}

func parseTrailer(p []byte) (t trailer, err error) {
	if summed := p[:len(p)-12]; crc32.Checksum(summed, castagnoli) != binary.LittleEndian.Uint32(p[len(summed):]) {
		return t, fmt.Errorf("%w: the checksum of its trailer is wrong", errDamagedFile)
	}
	np := int64(binary.LittleEndian.Uint32(p))
	if np > int64(len(p)-trailerFixed) {
		return t, errMalformed
	}
	t.prefix, p = p[4:4+np:4+np], p[4+np:]
	na := int64(binary.LittleEndian.Uint32(p))
	if na != int64(len(p)-trailerFixed+4) {
		return t, errMalformed
	}
	t.annex, p = p[4:4+na:4+na], p[4+na:]
	copy(t.sum[:], p)
	t.size = int64(binary.LittleEndian.Uint64(p[32:]))
	return t, nil
}

// path is where the file of a message lies. A folder holds 1,024 rows.
func (s *Store) path(msg int64, id ID) string {
	b := append(make([]byte, 0, 160), s.mail...)
	b = appendFolder(b, msg)
	b = append(b, filepath.Separator)
	b = idText.AppendEncode(b, id[:])
	return string(append(b, ".zst"...))
}

func (s *Store) folder(msg int64) string {
	return string(appendFolder([]byte(s.mail), msg))
}

// appendFolder appends the folder's number, six digits wide.
func appendFolder(b []byte, msg int64) []byte {
	b = append(b, filepath.Separator)
	number := msg >> 10
	for n := int64(1) << 20; n > number && n > 1; n >>= 4 {
		b = append(b, '0')
	}
	return strconv.AppendInt(b, number, 16)
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
	return s.fs.SyncDir(s.mail)
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
