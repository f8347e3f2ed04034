package submit

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"unicode"

	"hauspost/appliance/envelope"
	"hauspost/appliance/esmtp"
	"hauspost/appliance/maillog"
	"hauspost/appliance/reply"
)

var (
	errCredentials = reply.New(535, "5.7.8", "wrong-credentials", "Wrong user name or password; the user name is your whole mail address")
	errGuesses     = reply.New(454, "4.7.0", "too-many-guesses", "Too many wrong passwords")
	errAuthTrouble = reply.New(454, "4.7.0", "auth-trouble", "Signing in does not work just now, please try again later")
)

// external is the mechanism that needs no password.
const external = "EXTERNAL"

// Mechanisms implements esmtp.Authenticator: the strongest first, and none
// without TLS, as most of them show the password.
func (s *session) Mechanisms() []string {
	if s.conn.TLS() == nil {
		return nil
	}
	all := []string{external, "SCRAM-SHA-256", "PLAIN", "LOGIN"}
	if len(s.certified()) == 0 {
		return all[1:]
	}
	return all
}

// Auth implements esmtp.Authenticator.
func (s *session) Auth(_ context.Context, mechanism string) (esmtp.Exchange, *reply.Reply) {
	s.attempt = &SignIn{Client: s.conn.Remote().String(), Mechanism: mechanism}
	if mechanism == external {
		return &exchange{Exchange: &externalExchange{s: s}, s: s}, nil
	}
	x, err := s.srv.opt.People.SASL(mechanism, s.conn.Remote().Addr())
	if err != nil {
		return nil, s.refusal(err)
	}
	return &exchange{Exchange: x, s: s}, nil
}

// exchange watches one exchange. It implements esmtp.Exchange.
type exchange struct {
	Exchange
	s     *session
	named bool
}

// Next implements esmtp.Exchange.
func (x *exchange) Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error) {
	attempt := x.s.attempt
	if response != nil && !x.named {
		// Only in the first response can there be a name: the second one of
		// LOGIN is the password.
		x.named, attempt.Name = true, claimedName(attempt.Mechanism, response)
	}
	challenge, done, err = x.Exchange.Next(ctx, response)
	switch {
	case err != nil:
		return nil, false, x.s.refusal(err)
	case done:
		p := x.Person()
		x.s.signed = Author{Person: p, Mechanism: attempt.Mechanism}
		attempt.Account = p.Address
		x.s.endAttempt("", "")
	}
	return challenge, done, nil
}

// endAttempt logs and counts what became of a sign-in. problem is empty where
// it went well.
func (s *session) endAttempt(problem, cause string) {
	s.attempt.Problem, s.attempt.Cause = problem, cause
	s.srv.opt.Log.Emit("", *s.attempt)
	s.attempt = nil
	if problem == "" {
		s.srv.signIns.Add(1)
	} else {
		s.srv.failedSignIns.Add(1)
	}
}

// refusal says to the client what went wrong (RFC 4954, section 6).
func (s *session) refusal(err error) *reply.Reply {
	var many *TooManyGuesses
	switch {
	case errors.As(err, &many):
		r := errGuesses.Because(err)
		r.Text += ", please try again after " + clock(s.srv.opt.Now(), many.Until)
		return r
	case errors.Is(err, ErrCredentials):
		return errCredentials.Because(err)
	}
	return errAuthTrouble.Because(err)
}

// claimedName gives who a client says that it is, if that is a mail address
// with a full domain: anything else may be a password in the wrong place.
func claimedName(mechanism string, response []byte) string {
	var name string
	switch mechanism {
	case "PLAIN":
		if parts := bytes.Split(response, []byte{0}); len(parts) == 3 {
			name = string(parts[1])
		}
	case "LOGIN", external:
		name = string(response)
	case "SCRAM-SHA-256":
		for field := range strings.SplitSeq(string(response), ",") {
			if n, ok := strings.CutPrefix(field, "n="); ok {
				name = strings.NewReplacer("=2C", ",", "=3D", "=").Replace(n)
				break
			}
		}
	}
	a, err := envelope.ParseAddress(strings.TrimSpace(name))
	if err != nil || !strings.Contains(a.Domain, ".") || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return a.String()
}

// authenticated is the event of the message's trace.
func authenticated(a Author) maillog.Authenticated {
	return maillog.Authenticated{Account: a.Person.Address, Mechanism: a.Mechanism}
}
