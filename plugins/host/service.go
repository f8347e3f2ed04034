package host

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"hauspost/plugins/abi"
)

// The kinds of services.
const (
	// ServiceClamd sends the part, or the request where there is none, to a
	// clamd by INSTREAM; the reply is clamd's line.
	ServiceClamd = "clamd"
	// ServiceStream sends the request and then the part, closes its direction,
	// and takes what comes until the end.
	ServiceStream = "stream"
	// ServiceHTTP posts the part, or the request where there is none, and
	// takes the body of an answer with a status of 2xx.
	ServiceHTTP = "http"
)

// ServiceOptions say where a service is.
type ServiceOptions struct {
	// Address is "unix:PATH" or "HOST:PORT"; for ServiceHTTP the whole URL,
	// which is the only one ever asked: redirects are errors.
	Address string
	// Timeout is the most that one call takes; 0 is 30 s.
	Timeout time.Duration
	// MaxSize is the most that is sent, in octets; 0 is 25 MiB, as much as a
	// clamd takes that nobody configured.
	MaxSize int64
	// Dial opens connections; nil is that of package net.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// NewService makes a service of one of the kinds. It connects to nothing yet.
func NewService(kind string, o ServiceOptions) (Service, error) {
	o.Timeout = or(o.Timeout, brokerTime)
	o.MaxSize = or(o.MaxSize, 25<<20)
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	s := service{o: o, network: "tcp", address: o.Address}
	if path, ok := strings.CutPrefix(o.Address, "unix:"); ok {
		s.network, s.address = "unix", path
	}
	switch kind {
	case ServiceHTTP:
		u, err := url.Parse(o.Address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("the service's address %q is not a URL of http or https", o.Address)
		}
		return newWeb(o, u.String()), nil
	case ServiceClamd, ServiceStream:
		if s.network == "unix" && !strings.HasPrefix(s.address, "/") {
			return nil, fmt.Errorf("the service's address %q has no absolute path behind \"unix:\"", o.Address)
		}
		if s.network == "tcp" {
			if _, _, err := net.SplitHostPort(s.address); err != nil {
				return nil, fmt.Errorf("the service's address %q is neither \"unix:PATH\" nor \"HOST:PORT\"", o.Address)
			}
		}
		if kind == ServiceClamd {
			return clamd{s}, nil
		}
		return stream{s}, nil
	}
	return nil, fmt.Errorf("there are no services of the kind %q: it is %q, %q or %q", kind, ServiceClamd, ServiceStream, ServiceHTTP)
}

// service is what those over a connection have in common.
type service struct {
	o                ServiceOptions
	network, address string
}

// connect opens a connection that ends with ctx.
func (s *service) connect(ctx context.Context) (net.Conn, context.CancelFunc, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	c, err := s.o.Dial(ctx, s.network, s.address)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	return c, func() { _, _ = stop(), c.Close(); cancel() }, nil
}

var errReply = fmt.Errorf("the reply has more than %d octets", abi.MaxReply)

// replyOf reads a reply to its end.
func replyOf(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, abi.MaxReply+1))
	if err == nil && len(b) > abi.MaxReply {
		err = errReply
	}
	return b, err
}

// source gives what is to be sent of a file, from its beginning.
func (o *ServiceOptions) source(content *os.File) (*io.SectionReader, error) {
	if content == nil {
		return io.NewSectionReader(bytes.NewReader(nil), 0, 0), nil
	}
	info, err := content.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > o.MaxSize {
		return nil, tooLarge(info.Size(), o.MaxSize)
	}
	return io.NewSectionReader(content, 0, info.Size()), nil
}

func tooLarge(size, most int64) error {
	return fmt.Errorf("%d octets are more than the %d that the service takes", size, most)
}

// body is the content, or the request where there is none.
func (o *ServiceOptions) body(request []byte, content *os.File) (*io.SectionReader, error) {
	if content != nil {
		return o.source(content)
	}
	if int64(len(request)) > o.MaxSize {
		return nil, tooLarge(int64(len(request)), o.MaxSize)
	}
	return io.NewSectionReader(bytes.NewReader(request), 0, int64(len(request))), nil
}

type stream struct{ service }

// Call implements Service.
func (s stream) Call(ctx context.Context, request []byte, content *os.File) ([]byte, error) {
	part, err := s.o.source(content)
	if err != nil {
		return nil, err
	}
	c, done, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if _, err := io.Copy(c, io.MultiReader(bytes.NewReader(request), part)); err != nil {
		return nil, fmt.Errorf("sending to the service: %w", err)
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return nil, fmt.Errorf("sending to the service: %w", err)
		}
	}
	b, err := replyOf(c)
	if err != nil {
		return nil, fmt.Errorf("reading the service's reply: %w", err)
	}
	return b, nil
}

type clamd struct{ service }

// Call implements Service.
func (s clamd) Call(ctx context.Context, request []byte, content *os.File) ([]byte, error) {
	body, err := s.o.body(request, content)
	if err != nil {
		return nil, err
	}
	c, done, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	// One that has enough says so and closes, so the reply counts even where
	// sending failed.
	sent := instream(c, body)
	b, err := replyOf(c)
	b = bytes.TrimRight(b, "\x00\r\n")
	if len(b) == 0 || sent == nil && err != nil {
		if err = errors.Join(sent, err); err == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("talking to clamd: %w", err)
	}
	return b, nil
}

// instream sends the command INSTREAM of clamd: chunks with their lengths, the
// last one empty.
func instream(w io.Writer, body io.Reader) error {
	if _, err := io.WriteString(w, "zINSTREAM\x00"); err != nil {
		return err
	}
	chunk := make([]byte, 4+64<<10)
	for {
		n, err := io.ReadFull(body, chunk[4:])
		binary.BigEndian.PutUint32(chunk, uint32(n))
		if n > 0 {
			if _, err := w.Write(chunk[:4+n]); err != nil {
				return err
			}
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			_, err := w.Write(make([]byte, 4))
			return err
		default:
			return err
		}
	}
}

type web struct {
	o      ServiceOptions
	url    string
	client *http.Client
}

func newWeb(o ServiceOptions, url string) *web {
	return &web{o: o, url: url, client: &http.Client{
		Transport: &http.Transport{DialContext: o.Dial, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: 64 << 10, DisableCompression: true, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Call implements Service.
func (s *web) Call(ctx context.Context, request []byte, content *os.File) ([]byte, error) {
	body, err := s.o.body(request, content)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, io.NopCloser(body))
	if err != nil {
		return nil, err
	}
	q.ContentLength = body.Size()
	if q.ContentLength == 0 {
		q.Body = http.NoBody
	}
	q.Header.Set("Content-Type", "application/octet-stream")
	a, err := s.client.Do(q)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	if a.StatusCode < 200 || a.StatusCode > 299 {
		return nil, fmt.Errorf("the service answered with the status %d", a.StatusCode)
	}
	b, err := replyOf(a.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the service's reply: %w", err)
	}
	return b, nil
}
