package e2e

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// sink is the far end: a mail server of the test that notes what it took.
type sink struct {
	t    testing.TB
	addr string
	// cert is its certificate, whose chain anybody may ask for; without one it
	// offers no STARTTLS.
	cert *tls.Certificate
	// user and password are what it wants before MAIL; empty is nobody.
	user, password string
	// offers are the keywords after EHLO beside STARTTLS and AUTH.
	offers []string
	// keep tells that contents are kept, not only their hashes.
	keep bool

	// life numbers the runs of the box: every copy notes it.
	life atomic.Int64

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	// act may answer a step in its own way; see step.
	act    func(step) string
	copies []arrival
	// dialogues counts connections, plain the letters without TLS.
	dialogues, plain int
	work             sync.WaitGroup
}

// step is a moment at which the far end may do something else than usual: an
// empty answer means the usual one, hangUp closes the connection without one.
type step struct {
	verb string // "connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA" or "content"
	arg  string
	// id is the letter's, at "content".
	id string
}

const hangUp = "hang up"

// arrival is one copy of one letter for one recipient.
type arrival struct {
	id, from, to string
	letter       letter
	raw          []byte
	// mail and rcpt are the parameters of those commands.
	mail, rcpt string
	// life is the run of the box that sent it.
	life int64
	// answered is when the 250 was written; unsure tells that none was, so
	// that the box cannot know of this copy.
	answered  time.Time
	unsure    bool
	encrypted bool
}

// newSink starts a far end.
func newSink(t testing.TB, cert *tls.Certificate) *sink {
	t.Helper()
	s := &sink{
		t: t, cert: cert, keep: true, conns: map[net.Conn]bool{}, addr: "127.0.0.1:0",
		offers: []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 100000000", "ENHANCEDSTATUSCODES", "CHUNKING"},
	}
	s.up()
	t.Cleanup(s.down)
	return s
}

// up makes it listen where it did before.
func (s *sink) up() {
	s.t.Helper()
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.t.Fatalf("the far end cannot listen: %v", err)
	}
	s.addr = l.Addr().String()
	s.mu.Lock()
	s.listener = l
	s.mu.Unlock()
	s.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			gone := s.listener != l
			if !gone {
				s.conns[conn] = true
				s.dialogues++
			}
			s.mu.Unlock()
			if gone {
				conn.Close()
				return
			}
			life := s.life.Load()
			s.work.Go(func() { s.serve(conn, life) })
		}
	})
}

// down makes it refuse connections, and breaks those that there are.
func (s *sink) down() {
	s.mu.Lock()
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
}

// behave has it act otherwise from now on; nil is as usual.
func (s *sink) behave(act func(step) string) {
	s.mu.Lock()
	s.act = act
	s.mu.Unlock()
}

// got gives the copies so far whose recipient has the prefix.
func (s *sink) got(prefix string) []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []arrival
	for _, a := range s.copies {
		if strings.HasPrefix(a.to, prefix) {
			list = append(list, a)
		}
	}
	return list
}

// forget empties its notes.
func (s *sink) forget() {
	s.mu.Lock()
	s.copies = nil
	s.mu.Unlock()
}

// count gives how many copies it has.
func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.copies)
}

// port gives its port as a number.
func (s *sink) port() int {
	_, port, _ := net.SplitHostPort(s.addr)
	n, _ := strconv.Atoi(port)
	return n
}

// farSession is one connection at the far end.
type farSession struct {
	s         *sink
	conn      net.Conn
	r         *bufio.Reader
	w         *bufio.Writer
	life      int64
	encrypted bool
	signedIn  bool

	// begun tells that MAIL was accepted.
	begun      bool
	from, mail string
	to         []arrival
	chunks     []byte
}

func (s *sink) serve(conn net.Conn, life int64) {
	d := &farSession{s: s, conn: conn, r: bufio.NewReader(conn), w: bufio.NewWriter(conn), life: life}
	defer func() {
		d.conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	if !d.answer(step{verb: "connect"}, "220 far.test ESMTP") {
		return
	}
	for {
		if d.r.Buffered() == 0 && d.w.Flush() != nil {
			return
		}
		line, err := d.r.ReadString('\n')
		if err != nil {
			return
		}
		verb, arg, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if !d.command(strings.ToUpper(verb), arg) {
			return
		}
	}
}

// answer gives the usual answer to a step, or what the test wants instead, and
// tells whether the connection goes on.
func (d *farSession) answer(st step, usual string) bool {
	text := d.other(st)
	if text == "" {
		text = usual
	}
	return d.say(text)
}

func (d *farSession) other(st step) string {
	d.s.mu.Lock()
	act := d.s.act
	d.s.mu.Unlock()
	if act == nil {
		return ""
	}
	return act(st)
}

func (d *farSession) say(text string) bool {
	if text == hangUp {
		d.w.Flush()
		return false
	}
	_, err := d.w.WriteString(text + "\r\n")
	if err == nil && !strings.HasPrefix(text, "250") {
		err = d.w.Flush()
	}
	return err == nil && !strings.HasPrefix(text, "421")
}

func (d *farSession) command(verb, arg string) bool {
	switch verb {
	case "EHLO", "HELO":
		return d.answer(step{verb: "EHLO", arg: arg}, d.hello())
	case "STARTTLS":
		return d.startTLS()
	case "AUTH":
		return d.auth(arg)
	case "MAIL":
		d.to, d.chunks, d.begun = nil, nil, false
		d.from, d.mail = path(arg)
		if d.s.user != "" && !d.signedIn {
			return d.say("530 5.7.0 Authentication required")
		}
		text := d.other(step{verb: verb, arg: d.from})
		if text == "" {
			text, d.begun = "250 2.1.0 OK", true
		}
		return d.say(text)
	case "RCPT":
		if !d.begun {
			return d.say("503 5.5.1 MAIL first")
		}
		to, parameters := path(arg)
		text := d.other(step{verb: verb, arg: to})
		if text == "" {
			text = "250 2.1.5 OK"
			d.to = append(d.to, arrival{from: d.from, to: to, mail: d.mail, rcpt: parameters, life: d.life, encrypted: d.encrypted})
		}
		return d.say(text)
	case "DATA":
		if len(d.to) == 0 {
			return d.say("554 5.5.1 No valid recipients")
		}
		if text := d.other(step{verb: verb}); text != "" {
			return d.say(text)
		}
		if !d.say("354 Go on") {
			return false
		}
		content, err := readDots(d.r)
		return err == nil && d.take(content)
	case "BDAT":
		return d.chunk(arg)
	case "RSET":
		d.to, d.chunks, d.begun = nil, nil, false
		return d.say("250 2.0.0 OK")
	case "NOOP":
		return d.say("250 2.0.0 OK")
	case "QUIT":
		d.say("221 2.0.0 Bye")
		return false
	}
	return d.say("500 5.5.2 What?")
}

func (d *farSession) hello() string {
	lines := append([]string{"far.test"}, d.s.offers...)
	if d.s.cert != nil && !d.encrypted {
		lines = append(lines, "STARTTLS")
	}
	if d.s.user != "" {
		lines = append(lines, "AUTH PLAIN")
	}
	for i := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		lines[i] = "250" + sep + lines[i]
	}
	return strings.Join(lines, "\r\n")
}

func (d *farSession) startTLS() bool {
	if d.s.cert == nil || d.encrypted {
		return d.say("502 5.5.1 Not here")
	}
	if text := d.other(step{verb: "STARTTLS"}); text != "" {
		return d.say(text)
	}
	if !d.say("220 2.0.0 Go on") {
		return false
	}
	d.conn = tls.Server(d.conn, &tls.Config{Certificates: []tls.Certificate{*d.s.cert}})
	d.r, d.w, d.encrypted = bufio.NewReader(d.conn), bufio.NewWriter(d.conn), true
	return true
}

func (d *farSession) auth(arg string) bool {
	_, response, _ := strings.Cut(arg, " ")
	plain, err := base64.StdEncoding.DecodeString(response)
	if err != nil || string(plain) != "\x00"+d.s.user+"\x00"+d.s.password {
		return d.answer(step{verb: "AUTH", arg: string(plain)}, "535 5.7.8 Wrong user or password")
	}
	d.signedIn = true
	return d.answer(step{verb: "AUTH", arg: string(plain)}, "235 2.7.0 Welcome")
}

func (d *farSession) chunk(arg string) bool {
	fields := strings.Fields(arg)
	if len(fields) == 0 {
		return d.say("501 5.5.4 How much?")
	}
	n, err := strconv.Atoi(fields[0])
	if err != nil || n < 0 || n > 100_000_000 {
		return d.say("501 5.5.4 How much?")
	}
	buf := make([]byte, n)
	for at := 0; at < n; {
		k, err := d.r.Read(buf[at:])
		if err != nil {
			return false
		}
		at += k
	}
	d.chunks = append(d.chunks, buf...)
	if len(fields) < 2 {
		return d.say("250 2.0.0 More")
	}
	if len(d.to) == 0 {
		return d.say("554 5.5.1 No valid recipients")
	}
	return d.take(d.chunks)
}

// take notes a letter and answers. The note comes first: once the answer is
// on its way the test may look.
func (d *farSession) take(content []byte) bool {
	defer func() { d.to, d.chunks, d.begun = nil, nil, false }()
	id, sum, size, ok := identify(content)
	if !ok {
		id, size = "", len(content)
	}
	text := d.other(step{verb: "content", id: id})
	if text != "" && text != hangUp && text[0] != '2' {
		return d.say(text)
	}
	d.s.mu.Lock()
	for _, a := range d.to {
		a.id, a.letter = id, letter{id, sum, size}
		a.answered, a.unsure = time.Now(), text == hangUp
		if d.s.keep || !ok {
			a.raw = content
		}
		d.s.copies = append(d.s.copies, a)
	}
	if !d.encrypted {
		d.s.plain++
	}
	d.s.mu.Unlock()
	if text == "" {
		text = "250 2.0.0 Taken"
	}
	return d.say(text) && d.w.Flush() == nil
}

// path takes an address out of the argument of MAIL or RCPT.
func path(arg string) (address, parameters string) {
	_, rest, _ := strings.Cut(arg, "<")
	address, rest, _ = strings.Cut(rest, ">")
	return address, strings.TrimSpace(rest)
}

// readDots reads content up to the final dot, octet by octet as it was sent.
func readDots(r *bufio.Reader) ([]byte, error) {
	var all []byte
	for start := true; ; {
		line, err := r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return nil, err
		}
		if start && string(line) == ".\r\n" {
			return all, nil
		}
		if start && line[0] == '.' {
			line = line[1:]
		}
		all = append(all, line...)
		start = err == nil && bytes.HasSuffix(line, []byte("\n"))
	}
}

// selfSigned makes a certificate for a host, an IP address or a mail address
// that ends at the given time.
func selfSigned(t testing.TB, name string, until time.Time) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: until.AddDate(-1, 0, 0), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if ip := net.ParseIP(name); ip != nil {
		template.DNSNames, template.IPAddresses = nil, []net.IP{ip}
	}
	if strings.Contains(name, "@") {
		template.DNSNames, template.EmailAddresses = nil, []string{name}
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// pemOf gives the certificate as a file has it.
func pemOf(c *tls.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
}

// route has mail for domains ("*" is all) go to the far end; more are further
// lines of the section.
func (b *box) route(far *sink, more []string, to ...string) {
	b.t.Helper()
	quoted := slices.Clone(to)
	for i := range quoted {
		quoted[i] = strconv.Quote(quoted[i])
	}
	lines := append([]string{"[[route]]", "to = [" + strings.Join(quoted, ", ") + "]", `host = "127.0.0.1"`, fmt.Sprintf("port = %d", far.port())}, more...)
	b.appendSettings("\n" + strings.Join(lines, "\n") + "\n")
}
