package imapd

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"hauspost/appliance/accounts"
)

func runLogin(s *session, c *call) error {
	if !s.canLogin() {
		return no("PRIVACYREQUIRED", "Use TLS first, so that nobody reads your password")
	}
	if err := c.Space(); err != nil {
		return err
	}
	user, err := c.AString()
	if err != nil {
		return err
	}
	if err := c.Space(); err != nil {
		return err
	}
	password, err := c.AString()
	if err != nil {
		return err
	}
	if err := c.End(); err != nil {
		return err
	}
	account, err := s.srv.accounts.Password(s.srv.ctx, user, password, s.remote)
	return s.loggedIn(account, "LOGIN", err)
}

// loggedIn ends every way of logging in.
func (s *session) loggedIn(account accounts.Account, how string, err error) error {
	if err != nil {
		return s.loginFailed(how, err)
	}
	if account.ID == "" {
		return fmt.Errorf("logging in by %s: no account", how)
	}
	if !s.srv.admit(s, account) {
		s.log(slog.LevelWarn, "imap login refused: too many connections", "login", account.Address)
		return no("LIMIT", "You have too many connections open already")
	}
	s.state = authenticated
	s.show()
	s.log(slog.LevelInfo, "imap login", "by", how, "tls", s.secure)
	return ok(s.capabilityList(), "Logged in")
}

func (s *session) loginFailed(how string, err error) error {
	var tooMany *accounts.TooManyGuesses
	switch {
	case errors.As(err, &tooMany):
		s.log(slog.LevelWarn, "imap login refused: too many wrong passwords", "by", how)
		err = no("LIMIT", "Too many wrong passwords; try again after "+tooMany.Until.UTC().Format("15:04 MST"))
	case errors.Is(err, accounts.ErrTooManyGuesses):
		err = no("LIMIT", "Too many wrong passwords; try again later")
	case errors.Is(err, accounts.ErrCredentials):
		s.log(slog.LevelWarn, "imap login failed", "by", how)
		err = no("AUTHENTICATIONFAILED", "Wrong user name or password")
	default:
		return s.unavailable("login by "+how, err)
	}
	s.failures++
	s.pause(time.Duration(s.failures) * s.srv.limits.LoginDelay)
	if s.failures >= s.srv.limits.MaxLoginFailures {
		var a *answer
		errors.As(err, &a)
		a.hangUp = true
	}
	return err
}

// pause waits, or until the server stops.
func (s *session) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.srv.stopping.Done():
	}
}
