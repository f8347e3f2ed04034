package imapd_test

import (
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// scramClient is SCRAM-SHA-256 as go-sasl wants it.
type scramClient struct{ c *scram.ClientConversation }

func newScramClient(t *testing.T, user, password string) sasl.Client {
	t.Helper()
	c, err := scram.SHA256.NewClient(user, password, "")
	check(t, err)
	return &scramClient{c.NewConversation()}
}

func (s *scramClient) Start() (string, []byte, error) {
	first, err := s.c.Step("")
	return "SCRAM-SHA-256", []byte(first), err
}

func (s *scramClient) Next(challenge []byte) ([]byte, error) {
	next, err := s.c.Step(string(challenge))
	return []byte(next), err
}
