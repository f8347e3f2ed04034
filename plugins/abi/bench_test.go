package abi

import "testing"

// BenchmarkAppend and BenchmarkDecode measure the messages that every call
// needs.
func BenchmarkAppend(b *testing.B) {
	for _, what := range []string{"Event-full", "Parts-attachment", "Effects-all"} {
		b.Run(what, func(b *testing.B) {
			buf := make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				buf = golden[what].Append(buf[:0])
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, what := range []string{"Event-full", "Parts-attachment", "Effects-all"} {
		b.Run(what, func(b *testing.B) {
			in := golden[what].Append(nil)
			m := fresh(golden[what])
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if err := m.Decode(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
