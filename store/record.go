package store

import (
	"encoding/binary"
	"hash/crc32"
)

// A record is one group of ops with its sequence number, framed so that a torn
// or stale one is told from a whole one. Redo log and journal share the form:
// magic, length of the body, sequence number, CRC-32C of all that and the body.
const recordHeader = 4 + 4 + 8 + 4

const recordMagic = 0x31485052 // "RPH1"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord frames body, padding with zeros to a multiple of align.
func appendRecord(dst []byte, seq uint64, body []byte, align int) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, recordMagic)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	dst = binary.LittleEndian.AppendUint64(dst, seq)
	sum := crc32.Update(crc32.Checksum(dst[at:], castagnoli), castagnoli, body)
	dst = binary.LittleEndian.AppendUint32(dst, sum)
	dst = append(dst, body...)
	if pad := (len(dst) - at) % align; pad != 0 {
		dst = append(dst, make([]byte, align-pad)...)
	}
	return dst
}

// readRecord takes the record at the start of b. ok is false where there is
// none, or it is torn.
func readRecord(b []byte, align int) (seq uint64, body, rest []byte, ok bool) {
	if len(b) < recordHeader || binary.LittleEndian.Uint32(b) != recordMagic {
		return 0, nil, b, false
	}
	n := int(binary.LittleEndian.Uint32(b[4:]))
	if n < 0 || n > len(b)-recordHeader {
		return 0, nil, b, false
	}
	body = b[recordHeader : recordHeader+n]
	sum := crc32.Update(crc32.Checksum(b[:16], castagnoli), castagnoli, body)
	if sum != binary.LittleEndian.Uint32(b[16:]) {
		return 0, nil, b, false
	}
	end := recordHeader + n
	if pad := end % align; pad != 0 {
		end += align - pad
	}
	return binary.LittleEndian.Uint64(b[8:]), body, b[min(end, len(b)):], true
}
