package store

import (
	"encoding/binary"
	"hash/crc32"
)

// A record is one group of ops with its sequence number, framed so that a torn
// or stale one is told from a whole one. Redo log and journal share the form:
// magic, length of the body, sequence number, CRC-32C of all that, the body and a
// salt. The salt is the generation of the redo file (0 in the journal), so that
// what an earlier use of the file left is never taken for a record of this one.
const recordHeader = 4 + 4 + 8 + 4

const recordMagic = 0x31485052 // "RPH1"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func recordSum(salt uint64, head, body []byte) uint32 {
	var s [8]byte
	binary.LittleEndian.PutUint64(s[:], salt)
	return crc32.Update(crc32.Update(crc32.Checksum(s[:], castagnoli), castagnoli, head), castagnoli, body)
}

// appendRecord frames body, padding with zeros to a multiple of align.
func appendRecord(dst []byte, seq, salt uint64, body []byte, align int) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, recordMagic)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	dst = binary.LittleEndian.AppendUint64(dst, seq)
	sum := recordSum(salt, dst[at:], body)
	dst = binary.LittleEndian.AppendUint32(dst, sum)
	dst = append(dst, body...)
	if pad := (len(dst) - at) % align; pad != 0 {
		dst = append(dst, make([]byte, align-pad)...)
	}
	return dst
}

// readRecord takes the record at the start of b. ok is false where there is
// none, or it is torn.
func readRecord(b []byte, salt uint64, align int) (seq uint64, body, rest []byte, ok bool) {
	if len(b) < recordHeader || binary.LittleEndian.Uint32(b) != recordMagic {
		return 0, nil, b, false
	}
	n := int(binary.LittleEndian.Uint32(b[4:]))
	if n < 0 || n > len(b)-recordHeader {
		return 0, nil, b, false
	}
	body = b[recordHeader : recordHeader+n]
	if recordSum(salt, b[:16], body) != binary.LittleEndian.Uint32(b[16:]) {
		return 0, nil, b, false
	}
	end := recordHeader + n
	if pad := end % align; pad != 0 {
		end += align - pad
	}
	return binary.LittleEndian.Uint64(b[8:]), body, b[min(end, len(b)):], true
}

// findRecord looks for a whole record behind damage. It returns what follows
// from there on, or nothing.
func findRecord(b []byte, salt uint64, step int) []byte {
	for at := step; at+recordHeader <= len(b); at += step {
		if binary.LittleEndian.Uint32(b[at:]) != recordMagic {
			continue
		}
		if _, _, _, ok := readRecord(b[at:], salt, 1); ok {
			return b[at:]
		}
	}
	return nil
}
