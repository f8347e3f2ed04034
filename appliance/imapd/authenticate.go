package imapd

import (
	"encoding/base64"
	"errors"
	"strings"

	"hauspost/appliance/accounts"
	"hauspost/appliance/imapd/wire"
)

// maxRounds bounds the challenges of one exchange.
const maxRounds = 10

// runAuthenticate is AUTHENTICATE with SASL-IR (RFC 9051, section 6.2.2).
func runAuthenticate(s *session, c *call) error {
	if err := c.Space(); err != nil {
		return err
	}
	mechanism, err := c.Word()
	if err != nil {
		return err
	}
	var response []byte
	if c.Skip(' ') {
		first, err := c.AString()
		if err != nil {
			return err
		}
		if response, err = decodeResponse(first); err != nil {
			return err
		}
	}
	if err := c.End(); err != nil {
		return err
	}
	if !s.canLogin() {
		return no("PRIVACYREQUIRED", "Use TLS first, so that nobody reads your password")
	}
	exchange, err := s.srv.accounts.SASL(mechanism, s.remote)
	if errors.Is(err, accounts.ErrMechanism) {
		return no("CANNOT", "This mechanism is not offered")
	}
	if err != nil {
		return err
	}
	for range maxRounds {
		challenge, done, err := exchange.Next(s.srv.ctx, response)
		if err != nil {
			return s.loggedIn(accounts.Account{}, mechanism, err)
		}
		if done {
			return s.loggedIn(exchange.Account(), mechanism, nil)
		}
		if response, err = s.challenge(challenge); err != nil {
			return err
		}
	}
	return no("AUTHENTICATIONFAILED", "The exchange does not come to an end")
}

// decodeResponse decodes an initial response, in which "=" is an empty one.
func decodeResponse(text string) ([]byte, error) {
	if text == "=" {
		return []byte{}, nil
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, bad("Syntax: expected base64")
	}
	// nil means no response; an empty one is not nil.
	return append([]byte{}, b...), nil
}

// challenge sends a challenge and reads the response to it.
func (s *session) challenge(challenge []byte) ([]byte, error) {
	s.w.B = append(s.w.B, "+ "...)
	s.w.B = base64.StdEncoding.AppendEncode(s.w.B, challenge)
	s.w.End()
	line, err := s.rd.Line(nil, anonymousLine)
	switch {
	case errors.Is(err, wire.ErrLineTooLong):
		return nil, tooBig("The response is too long")
	case errors.Is(err, wire.ErrLine):
		return nil, bad("Syntax: expected base64")
	case err != nil:
		return nil, err
	}
	text := strings.TrimSpace(string(line))
	if text == "*" {
		return nil, bad("AUTHENTICATE was given up")
	}
	// Some clients send "=" for an empty response here too.
	return decodeResponse(text)
}
