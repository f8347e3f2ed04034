package esmtp

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	fuzzSize = 64   // MessageSize
	fuzzLine = 40   // TextLine
	fuzzDrop = 1000 // DropSize
)

// FuzzSession runs a live session on whatever comes and holds the invariant of
// the house: every 250 after content stands for exactly one Commit, with
// exactly the octets that a plain reading of the stream gives; and nothing else
// is committed.
func FuzzSession(f *testing.F) {
	const mail = "HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
	for _, seed := range []string{
		mail + "DATA\r\nhello\r\n.\r\nQUIT\r\n",
		mail + "DATA\r\n..\r\n.a\r\n.\r\n" + mail + "DATA\r\n.\r\n",
		mail + "DATA\r\na\n.\nb\r\n.\n\r\n.\r\nNOOP\r\n",
		mail + "DATA\r\na\r.\rb\r\r\n.\r\n",
		mail + "DATA\r\n" + strings.Repeat("x", 70) + "\r\n.\r\n",
		mail + "DATA\r\n" + strings.Repeat("x", 38) + "\r\n.\r\nRSET\r\n",
		mail + "BDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\nMAIL FROM:<>\r\n",
		mail + "BDAT 3\r\na\rbBDAT 3 LAST\r\nb\r\nNOOP\r\n",
		mail + "BDAT 3\r\na\r\nRSET\r\nBDAT 2 LAST\r\n\r\n",
		mail + "BDAT 60\r\n" + strings.Repeat("x", 60) + "BDAT 60 LAST\r\n" + strings.Repeat("y", 60) + "NOOP\r\n",
		mail + "BDAT 10 LAST\r\nabc",
		mail + "BDAT 99999999999999999999 LAST\r\nabc",
		mail + "DATA\r\n" + strings.Repeat("x\r\n", 500) + ".\r\n",
		"MAIL FROM:<a@b>\r\nBDAT 2 LAST\r\n\r\n" + mail + "EHLO y\r\nDATA\r\n",
		mail + "BDAT 2\r\n\r\nDATA\r\nBDAT 0 LAST\r\n",
		mail + "BDAT 1\r\n\rBDAT 1 LAST\r\n\nNOOP\r\n",
	} {
		for _, piece := range []uint8{0, 1, 7} {
			f.Add([]byte(seed), piece)
		}
	}
	f.Fuzz(func(t *testing.T, input []byte, piece uint8) {
		r := &recorder{}
		output := play(t, r, input, int(piece))
		want := expect(t, string(input), parseReplies(t, output))
		if got := r.committed(); !slices.Equal(got, want) {
			t.Fatalf("committed %q, want %q\ninput %q\noutput %q", got, want, input, output)
		}
		r.checkBalance(t)
	})
}

// play sends input to a session in pieces, closes, and gives what was said.
func play(t *testing.T, r *recorder, input []byte, piece int) string {
	s := New(Options{
		Name: "mail.example.test", Backend: r, AllowPipelining: true,
		Pause: func(context.Context, time.Duration) {},
		Limits: Limits{
			MessageSize: fuzzSize, TextLine: fuzzLine, DropSize: fuzzDrop,
			Errors: -1, BadRecipients: -1, EmptyCommands: -1, Messages: -1, Recipients: 3,
		},
	})
	ours, theirs := connect(t)
	remote := addrPort(theirs.RemoteAddr())
	if no := s.gate.enter(time.Now(), remote.Addr()); no != nil {
		t.Fatal(no)
	}
	c := newConn(s, theirs, remote, false)
	s.add(c)
	go c.run()
	read := make(chan string)
	go func() {
		b, _ := io.ReadAll(ours)
		read <- string(b)
	}()
	if piece == 0 {
		piece = len(input)
	}
	for len(input) > 0 {
		n := min(piece, len(input))
		if _, err := ours.Write(input[:n]); err != nil {
			break // The session ended before it had everything.
		}
		input = input[n:]
	}
	ours.CloseWrite()
	out := <-read
	ours.Close()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	return out
}

// connect makes two ends of a TCP connection.
func connect(t *testing.T) (ours, theirs *net.TCPConn) {
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if ours, err = net.DialTCP("tcp", nil, ln.Addr().(*net.TCPAddr)); err != nil {
		t.Fatal(err)
	}
	if theirs, err = ln.AcceptTCP(); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

type fuzzReply struct {
	code int
	text string
}

func parseReplies(t *testing.T, output string) (replies []fuzzReply) {
	for line := range strings.SplitAfterSeq(output, "\r\n") {
		if line == "" {
			continue
		}
		code, err := strconv.Atoi(line[:min(3, len(line))])
		if err != nil || len(line) < 6 || !strings.HasSuffix(line, "\r\n") {
			t.Fatalf("not a reply: %q", line)
		}
		if line[3] == ' ' {
			replies = append(replies, fuzzReply{code, line[4:]})
		}
	}
	return replies
}

var (
	bdatLine = regexp.MustCompile(`(?i)^BDAT (\d+)( LAST)? *\r\n$`)
	dataLine = regexp.MustCompile(`(?i)^DATA *\r\n$`)
)

// model reads the stream in the plainest way, with the replies beside it, and
// says what must have been committed.
type model struct {
	*testing.T
	in      string
	replies []fuzzReply
	commits []string

	mail, spoiled bool
	rcpts         int
	chunks        string
}

func expect(t *testing.T, in string, replies []fuzzReply) []string {
	m := &model{T: t, in: in, replies: replies}
	if r, ok := m.next(); !ok || r.code != 220 {
		t.Fatalf("the greeting is %v", r)
	}
	for m.line() {
	}
	return m.commits
}

func (m *model) next() (r fuzzReply, ok bool) {
	if len(m.replies) == 0 {
		return r, false
	}
	r, m.replies = m.replies[0], m.replies[1:]
	return r, true
}

func (m *model) reset() { m.mail, m.spoiled, m.rcpts, m.chunks = false, false, 0, "" }

// line takes one command line, and reports whether another one may follow.
func (m *model) line() bool {
	i := strings.IndexByte(m.in, '\n')
	if i < 0 {
		return false
	}
	line := m.in[:i+1]
	m.in = m.in[i+1:]
	if parts := bdatLine.FindStringSubmatch(line); parts != nil && len(line) <= 512 {
		return m.bdat(parts[1], parts[2] != "")
	}
	r, ok := m.next()
	if !ok || r.code == 221 {
		return false
	}
	verb := strings.ToUpper(line[:min(4, len(line))])
	switch {
	case r.code == 354 && dataLine.MatchString(line):
		return m.data()
	case r.code >= 400:
	case verb == "RSET", verb == "HELO", verb == "EHLO":
		m.reset()
	case verb == "MAIL":
		m.reset()
		m.mail = true
	case verb == "RCPT":
		m.rcpts++
	}
	return true
}

func (m *model) data() bool {
	text, rest, end, bad := reference(m.in)
	if !end {
		return false
	}
	good := !bad && fits(text)
	r, ok := m.next()
	if !ok || good != (r.code == 250) {
		m.Fatalf("content %q is answered by %v, good is %v", text, r, good)
	}
	if good {
		m.commits = append(m.commits, text)
	}
	m.in = rest
	m.reset()
	return true
}

func (m *model) bdat(number string, last bool) bool {
	size, err := strconv.Atoi(number)
	if err != nil || size > fuzzDrop {
		if r, ok := m.next(); !ok || r.code < 400 || len(m.replies) > 0 {
			m.Fatalf("BDAT %s is answered by %v, and then %v", number, r, m.replies)
		}
		return false
	}
	if size > len(m.in) {
		return false
	}
	m.chunks += m.in[:size]
	m.in = m.in[size:]
	good := m.mail && m.rcpts > 0 && !m.spoiled
	if last {
		good = good && fits(m.chunks)
	} else {
		good = good && fitsSoFar(m.chunks)
	}
	if r, ok := m.next(); !ok || good != (r.code == 250) {
		m.Fatalf("a chunk of %d octets is answered by %v, good is %v", size, r, good)
	}
	m.spoiled = m.spoiled || !good
	if last && good {
		m.commits = append(m.commits, m.chunks)
	}
	if last || !m.mail {
		m.reset()
	}
	return true
}

// fits tells whether text keeps the form and the limits.
func fits(text string) bool {
	return !badForm(text) && fitsLimits(text)
}

// fitsSoFar is fits for text that goes on.
func fitsSoFar(text string) bool {
	return !badForm(strings.TrimSuffix(text, "\r")) && fitsLimits(text)
}

func fitsLimits(text string) bool {
	for line := range strings.SplitAfterSeq(text, "\r\n") {
		if len(line) > fuzzLine {
			return false
		}
	}
	return len(text) <= fuzzSize
}

// TestSessionsAtRandom plays random sequences of what matters, which a fuzzer
// takes long to find by octets.
func TestSessionsAtRandom(t *testing.T) {
	t.Parallel()
	words := []string{
		"HELO x\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n", "DATA\r\n",
		"RSET\r\n", "NOOP\r\n", "QUIT\r\n", "BDAT 2\r\n\r\n", "BDAT 3\r\na\r\n", "BDAT 2\r\na\r", "BDAT 1 LAST\r\n\n",
		"BDAT 5 LAST\r\nabc\r\n", "BDAT 0 LAST\r\n", "BDAT 3 LAST\r\na\nb", "BDAT 30\r\n" + strings.Repeat("x", 28) + "\r\n",
		"a\r\n", ".\r\n", "..\r\n", ".a\r\n", ".\n", "\n", "\r", ".", "\r\n.\r\n", "\r\n.\r\n", "\x00", "x", "\r\n",
		strings.Repeat("x", 38) + "\r\n", strings.Repeat("x", 39) + "\r\n", strings.Repeat("y\r\n", 400),
	}
	begin := "HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
	random := rand.New(rand.NewPCG(1, 2))
	messages := 0
	for range 400 {
		input := []byte(begin)
		for range random.IntN(20) {
			if random.IntN(6) == 0 {
				input = append(input, begin[8:]...)
			} else {
				input = append(input, words[random.IntN(len(words))]...)
			}
		}
		r := &recorder{}
		output := play(t, r, input, random.IntN(9))
		got := r.committed()
		if want := expect(t, string(input), parseReplies(t, output)); !slices.Equal(got, want) {
			t.Fatalf("committed %q, want %q\ninput %q\noutput %q", got, want, input, output)
		}
		r.checkBalance(t)
		messages += len(got)
	}
	if messages < 50 {
		t.Errorf("only %d messages were committed: the sequences are not what matters", messages)
	}
}
