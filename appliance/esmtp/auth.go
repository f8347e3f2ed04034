package esmtp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"hauspost/appliance/reply"
)

// mechanisms are those that the session offers at this moment.
func (c *Conn) mechanisms() []string {
	if a, ok := c.session.(Authenticator); ok && !c.authed {
		return a.Mechanisms()
	}
	return nil
}

// cmdAuth is AUTH (RFC 4954). Its arguments and responses go to nobody but the
// session's exchange.
func (c *Conn) cmdAuth(arg string) {
	if _, ok := c.session.(Authenticator); !ok {
		c.refuse("AUTH", "", errNotImplemented)
		return
	}
	if r := c.auth(arg); r != nil {
		c.refuse("AUTH", "", r)
	}
}

// auth runs an exchange and says its success; it returns a refusal.
func (c *Conn) auth(arg string) *reply.Reply {
	switch {
	case !c.extended:
		return errNoHelo
	case c.mail:
		return errInTransaction
	case c.authed:
		return errAuthTwice
	case arg == "":
		return errNeedsParameter
	}
	name, initial, has := strings.Cut(arg, " ")
	name = strings.ToUpper(name)
	if !slices.Contains(c.mechanisms(), name) {
		return errMechanism
	}
	var response []byte
	if has {
		var r *reply.Reply
		if response, r = decodeResponse([]byte(strings.TrimLeft(initial, " "))); r != nil {
			return r
		}
	}
	exchange, r := c.session.(Authenticator).Auth(c.ctx, name)
	if r != nil {
		return refusal(r)
	}
	return c.exchange(exchange, response)
}

// maxRounds bounds the challenges of one exchange.
const maxRounds = 10

func (c *Conn) exchange(x Exchange, response []byte) *reply.Reply {
	for range maxRounds {
		challenge, done, err := x.Next(c.ctx, response)
		if err != nil {
			return refusal(reply.Of(err))
		}
		if !done || len(challenge) > 0 {
			var r *reply.Reply
			if response, r = c.challenge(challenge); r != nil || c.done {
				return r
			}
		}
		if done {
			c.authed = true
			c.say(okAuth)
			return nil
		}
	}
	return errAuthRounds
}

// challenge sends one challenge and reads the response.
func (c *Conn) challenge(challenge []byte) ([]byte, *reply.Reply) {
	c.out.buf = append(c.out.buf, "334 "...)
	c.out.buf = base64.StdEncoding.AppendEncode(c.out.buf, challenge)
	c.out.buf = append(c.out.buf, "\r\n"...)
	line, err := c.readLine(authLine)
	switch {
	case errors.Is(err, errTooLong):
		return nil, errAuthLong
	case errors.Is(err, errBareLF):
		return nil, errBareLineFeed
	case err != nil:
		c.lost(err)
		return nil, nil
	case bytes.Equal(line, []byte("*")):
		return nil, errAuthCancel
	}
	return decodeResponse(line)
}

// decodeResponse decodes Base64; "=" is an empty response: by RFC 4954 as the
// initial one, from some clients later as well.
func decodeResponse(line []byte) ([]byte, *reply.Reply) {
	if string(line) == "=" {
		return []byte{}, nil
	}
	response, err := base64.StdEncoding.AppendDecode([]byte{}, line)
	if err != nil {
		return nil, errAuthBase64
	}
	return response, nil
}
