package sendmail

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp"
	"hauspost/appliance/reply"
)

// serve is -bs: one SMTP session on the standard streams. It is over when the
// client says QUIT or closes its side.
func (o *Options) serve(ctx context.Context, box *outbox) error {
	facts := readFacts(box.folder)
	srv := esmtp.New(esmtp.Options{
		Name:            or(facts.Hostname, "localhost"),
		Backend:         &smtpBackend{o: o, box: box, facts: facts},
		AllowPipelining: true,
		DSN:             true,
		Limits: esmtp.Limits{
			MessageSize: facts.MaxSize, DropSize: -1, Recipients: maxRecipients, Messages: -1,
			Errors: -1, BadRecipients: -1, EmptyCommands: -1, TarpitMax: -1,
			CommandTimeout: -1, ContentTimeout: -1, ContentGrace: 24 * time.Hour,
		},
		Now: o.Now,
	})
	l := newStdio(o.In, o.Out)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, l, false) }()
	select {
	case <-l.over:
	case <-ctx.Done():
	}
	// What is in the middle of a transaction gets a moment to end it.
	stopping, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := srv.Shutdown(stopping); err != nil {
		return fail(ExitTempFail, "interrupted: %v", err)
	}
	if err := <-served; err != nil {
		return fail(ExitOSError, "%v", err)
	}
	if ctx.Err() != nil {
		return fail(ExitTempFail, "interrupted")
	}
	return nil
}

// stdio is a listener with one connection: the standard streams.
type stdio struct {
	in   io.Reader
	out  io.Writer
	once sync.Once
	conn chan net.Conn
	over chan struct{} // the connection was closed
	done chan struct{} // the listener was closed
	stop sync.Once
}

func newStdio(in io.Reader, out io.Writer) *stdio {
	l := &stdio{in: in, out: out, conn: make(chan net.Conn, 1), over: make(chan struct{}), done: make(chan struct{})}
	// The standard streams know no deadlines and cannot be closed while
	// somebody reads: a pipe stands between.
	near, far := net.Pipe()
	go func() {
		io.Copy(far, in)
		far.Close() // its end is read after all that was written
	}()
	l.conn <- &stdioConn{Conn: near, l: l}
	return l
}

// Accept gives the connection, and then waits for the end.
func (l *stdio) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (l *stdio) Close() error {
	l.stop.Do(func() { close(l.done) })
	return nil
}

// Addr is that of a pipe.
func (l *stdio) Addr() net.Addr { return stdioAddr{} }

type stdioAddr struct{}

func (stdioAddr) Network() string { return "stdio" }
func (stdioAddr) String() string  { return "stdio" }

// stdioConn reads from the pipe and writes to the standard output at once.
type stdioConn struct {
	net.Conn
	l *stdio
}

func (c *stdioConn) Write(p []byte) (int, error)      { return c.l.out.Write(p) }
func (c *stdioConn) SetWriteDeadline(time.Time) error { return nil }

func (c *stdioConn) Close() error {
	err := c.Conn.Close()
	c.l.once.Do(func() { close(c.l.over) })
	return err
}

// smtpBackend makes the session of -bs.
type smtpBackend struct {
	o     *Options
	box   *outbox
	facts Facts
}

// NewSession implements esmtp.Backend. Whoever can run the command needs no
// password: the kernel knows who he is.
func (b *smtpBackend) NewSession(context.Context, *esmtp.Conn) (esmtp.Session, *reply.Reply) {
	return &smtpSession{smtpBackend: b}, nil
}

var (
	errForeignSender = reply.New(553, "5.7.1", "foreign-sender", "The sender is not an address of this box")
	errLiteral       = reply.New(553, "5.1.2", "address-literal", "Mail is sent to domain names, not to IP addresses")
	errNoSpool       = reply.New(452, "4.3.1", "spool-error", "The message cannot be put into the spool just now, please try again later")
)

// smtpSession takes messages into the spool.
type smtpSession struct {
	*smtpBackend
	head header
}

// Helo implements esmtp.Session.
func (s *smtpSession) Helo(context.Context, string) *reply.Reply { return nil }

// Mail implements esmtp.Session.
func (s *smtpSession) Mail(_ context.Context, m esmtp.Mail) *reply.Reply {
	sender := m.From.String()
	if sender != "" && !s.facts.mayBe(sender) {
		return errForeignSender
	}
	s.head = s.o.head("sendmail -bs")
	s.head.Sender = &sender
	s.head.Ret, s.head.EnvID, s.head.Body, s.head.SMTPUTF8 = m.Ret, m.EnvID, m.Body, m.SMTPUTF8
	return nil
}

// Rcpt implements esmtp.Session. Who lives here is for the box to say, later.
func (s *smtpSession) Rcpt(_ context.Context, r envelope.Recipient) *reply.Reply {
	if r.Address.IsLiteral() {
		return errLiteral
	}
	s.head.To = append(s.head.To, recipient{Address: r.Address.String(), Notify: r.Notify, ORcpt: r.ORcpt})
	return nil
}

// Content implements esmtp.Session.
func (s *smtpSession) Content(context.Context, esmtp.Via) (esmtp.Content, *reply.Reply) {
	d, err := s.box.create(s.head)
	if err != nil {
		return nil, errNoSpool.Because(err)
	}
	return &smtpContent{d}, nil
}

// Refused implements esmtp.Session.
func (s *smtpSession) Refused(context.Context, string, string, *reply.Reply) {}

// Reset implements esmtp.Session.
func (s *smtpSession) Reset(context.Context, esmtp.Cause) { s.head = header{} }

// Close implements esmtp.Session.
func (s *smtpSession) Close() {}

// smtpContent is a draft as the engine sees it.
type smtpContent struct{ *draft }

// Write implements esmtp.Content.
func (c *smtpContent) Write(p []byte) (int, error) {
	n, err := c.draft.Write(p)
	if err != nil {
		return n, errNoSpool.Because(err)
	}
	return n, nil
}

// Commit implements esmtp.Content.
func (c *smtpContent) Commit(context.Context, int64) *reply.Reply {
	if err := c.commit(false); err != nil {
		return errNoSpool.Because(err)
	}
	return reply.New(250, "2.6.0", "accepted", "Accepted as "+c.name)
}

// Answered implements esmtp.Content.
func (c *smtpContent) Answered(error) {}

// Discard implements esmtp.Content.
func (c *smtpContent) Discard() { c.discard() }
