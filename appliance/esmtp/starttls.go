package esmtp

import (
	"context"
	"crypto/tls"
	"time"
)

// cmdStartTLS is STARTTLS (RFC 3207). Whatever the peer, or somebody between,
// sent after it in the clear ends the connection: it must not be taken for
// something that was said under TLS.
func (c *Conn) cmdStartTLS(arg string) {
	r := okStartTLS
	switch {
	case len(c.in.buffered()) > 0:
		c.refuse("STARTTLS", "", errStartTLSMix)
		c.stop(Closed)
		return
	case c.tls != nil:
		r = errTLSAlready
	case c.srv.opt.TLS == nil:
		r = errNotImplemented
	case arg != "":
		r = errNoParameters
	case !c.extended:
		r = errNoHelo
	case c.content:
		r = errInContent
	}
	if r != okStartTLS {
		c.refuse("STARTTLS", "", r)
		return
	}
	c.endTransaction(Renewed)
	c.say(r)
	if c.flush() != nil {
		c.stop(Gone)
		return
	}
	c.handshake()
}

// handshake starts TLS and forgets what was said before it (RFC 3207, section
// 4.2). It reports whether the connection goes on.
func (c *Conn) handshake() bool {
	t := tls.Server(c.raw, c.srv.opt.TLS)
	err := c.raw.SetDeadline(c.deadline(c.limits.HandshakeTimeout))
	if err == nil {
		// Nobody has begun a transaction: the handshake need not be over
		// before the server stops.
		ctx, cancel := context.WithCancel(c.ctx)
		forget := c.whenStopping(cancel)
		err = t.HandshakeContext(ctx)
		forget()
		cancel()
	}
	if err == nil {
		err = c.raw.SetDeadline(time.Time{})
	}
	if err != nil {
		c.srv.opt.Logger.Info("a TLS handshake failed", "peer", c.remote, "error", err)
		c.broken = err
		c.stop(Gone)
		return false
	}
	state := t.ConnectionState()
	c.nc, c.tls = t, &state
	c.helo, c.extended = "", false
	return true
}
