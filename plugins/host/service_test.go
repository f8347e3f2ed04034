package host

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hauspost/plugins/abi"
)

// part is a file as a worker sends it, whose offset is at its end.
func part(t *testing.T, text string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "part"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	return f
}

func newService(t *testing.T, kind string, o ServiceOptions) Service {
	t.Helper()
	s, err := NewService(kind, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serveOne answers each connection of a socket.
func serveOne(t *testing.T, answer func(c net.Conn)) (address string) {
	t.Helper()
	l, path := listenUnix(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				answer(c)
			}()
		}
	}()
	return "unix:" + path
}

// fakeClamd takes INSTREAM with chunks up to a limit.
func fakeClamd(limit int) func(c net.Conn) {
	return func(c net.Conn) {
		command := make([]byte, 10)
		if _, err := io.ReadFull(c, command); err != nil || string(command) != "zINSTREAM\x00" {
			_, _ = io.WriteString(c, "UNKNOWN COMMAND\x00")
			return
		}
		var all bytes.Buffer
		for {
			var n uint32
			if binary.Read(c, binary.BigEndian, &n) != nil {
				return
			}
			if n == 0 {
				break
			}
			if all.Len()+int(n) > limit {
				_, _ = io.WriteString(c, "INSTREAM size limit exceeded. ERROR\x00")
				return
			}
			if _, err := io.CopyN(&all, c, int64(n)); err != nil {
				return
			}
		}
		verdict := "stream: OK\x00"
		if strings.Contains(all.String(), "EICAR") {
			verdict = "stream: Eicar-Test-Signature FOUND\x00"
		}
		_, _ = io.WriteString(c, verdict)
	}
}

func TestClamd(t *testing.T) {
	t.Parallel()
	s := newService(t, ServiceClamd, ServiceOptions{Address: serveOne(t, fakeClamd(1<<20)), MaxSize: 8 << 20})
	for text, want := range map[string]string{
		"":                                   "stream: OK",
		"clean":                              "stream: OK",
		strings.Repeat("x", 200<<10):         "stream: OK",
		strings.Repeat("x", 70000) + "EICAR": "stream: Eicar-Test-Signature FOUND",
		strings.Repeat("x", 4<<20):           "INSTREAM size limit exceeded. ERROR",
	} {
		got, err := s.Call(bgCtx, nil, part(t, text))
		if err != nil || string(got) != want {
			t.Errorf("%d octets: %q, %v", len(text), got, err)
		}
	}
	if got, err := s.Call(bgCtx, []byte("EICAR"), nil); err != nil || !strings.Contains(string(got), "FOUND") {
		t.Errorf("a request: %q, %v", got, err)
	}
	if _, err := s.Call(bgCtx, nil, part(t, strings.Repeat("x", 8<<20+1))); err == nil {
		t.Error("more than MaxSize was sent")
	}
	mute := newService(t, ServiceClamd, ServiceOptions{Address: serveOne(t, func(net.Conn) {})})
	if _, err := mute.Call(bgCtx, nil, part(t, "x")); err == nil {
		t.Error("no answer is no error")
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	echo := func(c net.Conn) {
		b, _ := io.ReadAll(c)
		_, _ = c.Write(append([]byte("got "), b...))
	}
	s := newService(t, ServiceStream, ServiceOptions{Address: serveOne(t, echo)})
	if got, err := s.Call(bgCtx, []byte("check "), part(t, "the part")); err != nil || string(got) != "got check the part" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := s.Call(bgCtx, []byte("check"), nil); err != nil || string(got) != "got check" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := s.Call(bgCtx, nil, part(t, strings.Repeat("x", abi.MaxReply+1))); err == nil {
		t.Error("a reply that is too large was taken")
	}
	hangs := newService(t, ServiceStream, ServiceOptions{Timeout: 30 * time.Millisecond,
		Address: serveOne(t, func(c net.Conn) { _, _ = io.ReadAll(c); time.Sleep(5 * time.Second) })})
	if _, err := hangs.Call(bgCtx, nil, nil); err == nil {
		t.Error("one that hangs gives no error")
	}
	gone := newService(t, ServiceStream, ServiceOptions{Address: "unix:/nonexistent/socket"})
	if _, err := gone.Call(bgCtx, nil, nil); err == nil {
		t.Error("one that is not there gives no error")
	}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("elsewhere was asked") }))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		switch string(b) {
		case "redirect":
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		case "fail":
			w.WriteHeader(http.StatusInternalServerError)
		case "huge":
			_, _ = w.Write(make([]byte, abi.MaxReply+1))
		default:
			_, _ = io.WriteString(w, r.Method+" "+r.URL.String()+" "+string(b))
		}
	}))
	t.Cleanup(server.Close)
	s := newService(t, ServiceHTTP, ServiceOptions{Address: server.URL + "/check?x=1", MaxSize: 1000})
	if got, err := s.Call(bgCtx, []byte("not sent"), part(t, "the part")); err != nil || string(got) != "POST /check?x=1 the part" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := s.Call(bgCtx, []byte("request"), nil); err != nil || string(got) != "POST /check?x=1 request" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := s.Call(bgCtx, nil, nil); err != nil || string(got) != "POST /check?x=1 " {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"redirect", "fail", "huge", strings.Repeat("x", 1001)} {
		if got, err := s.Call(bgCtx, []byte(bad), nil); err == nil {
			t.Errorf("%.20s gives %q", bad, got)
		}
	}
	ctx, cancel := context.WithCancel(bgCtx)
	cancel()
	if _, err := s.Call(ctx, nil, nil); err == nil {
		t.Error("a cancelled call was done")
	}
}

func TestServiceOptions(t *testing.T) {
	t.Parallel()
	for kind, addresses := range map[string][]string{
		"smtp":        {"127.0.0.1:25"},
		ServiceClamd:  {"", "clamd", "unix:relative", "unix:"},
		ServiceStream: {"localhost"},
		ServiceHTTP:   {"", "ftp://example.org/", "http://", "127.0.0.1:80", "http://a b/"},
	} {
		for _, a := range addresses {
			if _, err := NewService(kind, ServiceOptions{Address: a}); err == nil {
				t.Errorf("%s at %q was taken", kind, a)
			}
		}
	}
}
