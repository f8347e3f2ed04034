package worker

import (
	"context"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

// BenchmarkCall is one call of a guest that does nothing, with the reset that
// follows it.
func BenchmarkCall(b *testing.B) {
	tiny := newBuilder().stage(ok).bytes()
	for name, wasm := range map[string][]byte{"tiny": tiny, "go": goGuest(b, "guest")} {
		b.Run(name, func(b *testing.B) {
			p := started(b, wasm)
			b.ReportAllocs()
			for b.Loop() {
				if f := once(b, p, testCall()); f != nil {
					b.Fatal(f.text)
				}
			}
		})
	}
}

// BenchmarkFresh is the same in a new instance each time, and one that boots.
func BenchmarkFresh(b *testing.B) {
	tiny := newBuilder().stage(ok).bytes()
	for name, wasm := range map[string][]byte{"tiny": tiny, "go": goGuest(b, "guest")} {
		p := started(b, wasm)
		for how, make := range map[string]func(context.Context) (*instance, error){"image": p.fresh, "boot": p.boot} {
			b.Run(name+"/"+how, func(b *testing.B) {
				for b.Loop() {
					i, err := make(context.Background())
					if err != nil {
						b.Fatal(err)
					}
					if f := i.call(context.Background(), abi.OnMessage, testCall()); f != nil {
						b.Fatal(f.text)
					}
					i.close()
				}
			})
		}
	}
}

// BenchmarkReset is only the setting back, after a call of a Go guest.
func BenchmarkReset(b *testing.B) {
	p := started(b, goGuest(b, "guest"))
	i, err := p.get(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		b.StopTimer()
		if f := i.call(context.Background(), abi.OnMessage, testCall()); f != nil {
			b.Fatal(f.text)
		}
		b.StartTimer()
		if err := i.reset(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkScan lets a Go guest read a text of 100 KB through part_read.
func BenchmarkScan(b *testing.B) {
	p := started(b, goGuest(b, "guest"))
	file := fileOf(b, "Content-Type: text/plain\r\n\r\n"+strings.Repeat("a needle in hay ", 6400))
	b.SetBytes(6400 * 16)
	for b.Loop() {
		c := from("scan")
		c.content = &content{file: file}
		if f := once(b, p, c); f != nil {
			b.Fatal(f.text)
		}
		for _, v := range c.content.views {
			v.from.release()
		}
		buffer(c.content.mapped).release()
	}
}

// BenchmarkCompile loads a Go guest without a cache and with one.
func BenchmarkCompile(b *testing.B) {
	wasm := goGuest(b, "guest")
	for name, cache := range map[string]string{"cold": "", "cached": b.TempDir()} {
		b.Run(name, func(b *testing.B) {
			if cache != "" {
				loadCached(b, wasm, cache)
			}
			for b.Loop() {
				p, err := newPlugin(context.Background(), loadOf(wasm), wasm, cache)
				if err != nil {
					b.Fatal(err)
				}
				if err := p.start(context.Background(), testPages()); err != nil {
					b.Fatal(err)
				}
				p.close()
			}
		})
	}
}

// BenchmarkWorker is a whole run through the socket, with a message, past one
// and past three plugins that do nothing.
func BenchmarkWorker(b *testing.B) {
	tiny, guest := newBuilder().stage(ok).bytes(), goGuest(b, "guest")
	message := "Subject: x\r\n\r\n" + strings.Repeat("text\r\n", 500)
	for name, chain := range map[string][]int{"none": {2}, "tiny": {1}, "go": {0}, "three go": {0, 0, 0}} {
		b.Run(name, func(b *testing.B) {
			wasm := [][]byte{guest, tiny}
			p := inside(b, link.Configure{Parallel: 2}, loads(wasm...), wasm)
			id := uint64(0)
			for b.Loop() {
				id++
				p.run(id, abi.Event{Stage: abi.OnMessage}, message, chain...)
				for !p.result().Last {
				}
			}
		})
	}
}

// BenchmarkLoop is a loop of a guest in a plugin, and in wazero as it comes.
func BenchmarkLoop(b *testing.B) {
	m := newBuilder()
	m.global(typeI32, true, 0x41, 0)
	// global = 10_000_000; loop: memory[global & 0xfffc]++; if --global go on.
	loop := op(0x03, 0x40)
	address := append(append(op(0x23, 0), i32const(0xfffc)...), 0x71)
	loop = append(append(append(loop, address...), address...), 0x28, 2, 0)
	loop = append(append(loop, i32const(1)...), 0x6a, 0x36, 2, 0)
	loop = append(append(append(loop, 0x23, 0), i32const(1)...), 0x6b, 0x24, 0, 0x23, 0, 0x0d, 0, 0x0b)
	wasm := m.stage(append(i32const(10_000_000), 0x24, 0), loop, ok).bytes()
	b.Run("plugin", func(b *testing.B) {
		p := started(b, wasm)
		for b.Loop() {
			if f := once(b, p, testCall()); f != nil {
				b.Fatal(f.text)
			}
		}
	})
	b.Run("wazero", func(b *testing.B) {
		ctx := context.Background()
		r := wazero.NewRuntime(ctx)
		defer r.Close(ctx)
		mod, err := r.Instantiate(ctx, wasm)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := mod.ExportedFunction("on_message").Call(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
}
