package testnet

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/xdg-go/scram"
)

// auth does PLAIN, LOGIN and SCRAM-SHA-256.
func (s *session) auth(arg string) error {
	b := s.h.behaviour()
	mech, initial, _ := strings.Cut(arg, " ")
	if s.tlsVersion == 0 {
		s.h.violate("AUTH without encryption")
	}
	if !slices.Contains(mechanisms(b), mech) {
		s.h.violate("AUTH %s was not offered", mech)
		return s.say("504 5.5.4 unknown mechanism")
	}
	var user string
	var ok bool
	var err error
	switch mech {
	case "PLAIN":
		user, ok, err = s.plain(b, initial)
	case "LOGIN":
		user, ok, err = s.login(b)
	default:
		user, ok, err = s.scram(b, initial)
	}
	if err != nil {
		return err
	}
	if !ok {
		_, err := s.answer("AUTH", "535 5.7.8 Authentication credentials invalid")
		return err
	}
	ok, err = s.answer("AUTH", "235 2.7.0 welcome")
	if ok {
		s.user = user
	}
	return err
}

// challenge asks and reads the decoded response.
func (s *session) challenge(text string) (string, error) {
	if err := s.say("334 " + base64.StdEncoding.EncodeToString([]byte(text))); err != nil {
		return "", err
	}
	line, err := s.readLine()
	if err != nil {
		return "", err
	}
	return s.decode(line), nil
}

func (s *session) decode(line string) string {
	b, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		s.h.violate("a response is no base64: %q", line)
	}
	return string(b)
}

func (s *session) plain(b Behaviour, initial string) (user string, ok bool, err error) {
	response := s.decode(initial)
	if initial == "" {
		if response, err = s.challenge(""); err != nil {
			return "", false, err
		}
	}
	parts := strings.Split(response, "\x00")
	if len(parts) != 3 {
		return "", false, nil
	}
	return parts[1], b.Users[parts[1]] == parts[2] && parts[2] != "", nil
}

func (s *session) login(b Behaviour) (user string, ok bool, err error) {
	if user, err = s.challenge("Username:"); err != nil {
		return "", false, err
	}
	password, err := s.challenge("Password:")
	return user, err == nil && b.Users[user] == password && password != "", err
}

func (s *session) scram(b Behaviour, initial string) (user string, ok bool, err error) {
	server, err := scram.SHA256.NewServer(func(name string) (scram.StoredCredentials, error) {
		client, err := scram.SHA256.NewClient(name, b.Users[name], "")
		if err != nil {
			return scram.StoredCredentials{}, err
		}
		return client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt of the test", Iters: 4096})
	})
	if err != nil {
		return "", false, err
	}
	conv := server.NewConversation()
	response := s.decode(initial)
	for !conv.Done() {
		challenge, err := conv.Step(response)
		if err != nil {
			return "", false, nil
		}
		if response, err = s.challenge(challenge); err != nil {
			return "", false, err
		}
	}
	return conv.Username(), conv.Valid() && b.Users[conv.Username()] != "", nil
}
