package accounts

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
	"golang.org/x/crypto/argon2"
)

// maxPassword bounds what a client can make the box normalise and hash, in
// octets.
const maxPassword = 1024

const (
	saltSize = 16
	hashSize = 32
)

// credentials are what is kept of a password. Neither half gives it back.
type credentials struct {
	Argon2 argon2Hash `json:"argon2"`
	SCRAM  scramKeys  `json:"scram_sha_256"`
}

type argon2Hash struct {
	Memory  uint32 `json:"memory_kib"`
	Passes  uint32 `json:"passes"`
	Threads uint8  `json:"threads"`
	Salt    []byte `json:"salt"`
	Hash    []byte `json:"hash"`
}

// scramKeys are those of RFC 5802, section 3, for SHA-256.
type scramKeys struct {
	Iterations int    `json:"iterations"`
	Salt       []byte `json:"salt"`
	StoredKey  []byte `json:"stored_key"`
	ServerKey  []byte `json:"server_key"`
}

// NewPassword makes a random password that is easy to read and to type: four
// groups of four letters and digits without look-alikes, about 79 bits.
func NewPassword() string {
	const alphabet = "23456789abcdefghjkmnpqrstuvwxyz" // 31: no 0 1 i l o
	var b strings.Builder
	for n := 0; n < 16; {
		var c [1]byte
		rand.Read(c[:])
		if int(c[0]) >= 256/len(alphabet)*len(alphabet) {
			continue // would favour the first letters
		}
		if n > 0 && n%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[int(c[0])%len(alphabet)])
		n++
	}
	return b.String()
}

// newPassword prepares a password that somebody wants to set, or refuses it.
func (a *Accounts) newPassword(password string) (string, error) {
	switch {
	case password == "":
		return "", refuse(ErrPassword, "the password is empty; choose one of at least %d characters", a.limits.MinPassword)
	case !utf8.ValidString(password):
		return "", refuse(ErrPassword, "the password is not valid UTF-8 text; choose another one")
	case len(password) > maxPassword:
		return "", refuse(ErrPassword, "the password is longer than %d octets; choose a shorter one", maxPassword)
	case strings.ContainsFunc(password, unicode.IsControl):
		return "", refuse(ErrPassword, "the password contains a control character (such as a tab or a line end), which mail programs cannot send; choose another one")
	}
	prepared := prepare(password)
	if n := utf8.RuneCountInString(prepared); n < a.limits.MinPassword {
		return "", refuse(ErrPassword, "the password has only %d characters; choose one of at least %d", n, a.limits.MinPassword)
	}
	return prepared, nil
}

// prepare normalises a password, so that it is the same however a keyboard
// composes its letters. SASLprep (RFC 4013) is what RFC 5802 and RFC 4616 ask
// for; it refuses all that came after Unicode 3.2, emoji among it. Such
// passwords are taken as they stand, as clients that cannot prepare them send
// them.
func prepare(password string) string {
	if p, err := stringprep.SASLprep.Prepare(password); err == nil {
		return p
	}
	return password
}

// derive makes credentials from a prepared password, in its turn.
func (a *Accounts) derive(ctx context.Context, prepared string) (credentials, error) {
	release, err := a.turn(ctx)
	if err != nil {
		return credentials{}, err
	}
	defer release()
	return derive(prepared, a.cost)
}

// tidyAfter is how long nobody must have hashed before the memory goes back.
const tidyAfter = time.Second

// giveBack returns the memory of hashing to the system. Argon2id leaves 19 MiB
// of garbage each time, and a box that idles does not collect it for minutes:
// without this a few logins after the start would be most of what it takes.
func (a *Accounts) giveBack() {
	if len(a.hashing) == 0 {
		debug.FreeOSMemory()
	}
}

// turn waits until there is memory for one more hash.
func (a *Accounts) turn(ctx context.Context) (release func(), err error) {
	select {
	case a.hashing <- struct{}{}:
		return func() {
			<-a.hashing
			a.tidy.Reset(tidyAfter)
		}, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to hash a password: %w", ctx.Err())
	}
}

func derive(prepared string, cost HashCost) (credentials, error) {
	h := argon2Hash{Memory: cost.Memory, Passes: cost.Passes, Threads: cost.Threads, Salt: newSalt()}
	h.Hash = h.of(prepared)
	s, err := deriveSCRAM(prepared, newSalt(), cost.Iterations)
	return credentials{Argon2: h, SCRAM: s}, err
}

func newSalt() []byte {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return salt
}

func (h argon2Hash) of(prepared string) []byte {
	return argon2.IDKey([]byte(prepared), h.Salt, h.Passes, h.Memory, h.Threads, hashSize)
}

func (h argon2Hash) matches(prepared string) bool {
	return subtle.ConstantTimeCompare(h.of(prepared), h.Hash) == 1
}

func deriveSCRAM(prepared string, salt []byte, iterations int) (scramKeys, error) {
	salted, err := pbkdf2.Key(sha256.New, prepared, salt, iterations, sha256.Size)
	if err != nil {
		return scramKeys{}, fmt.Errorf("deriving SCRAM keys: %w", err)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	return scramKeys{Iterations: iterations, Salt: salt, StoredKey: stored[:], ServerKey: mac(salted, "Server Key")}, nil
}

func mac(key []byte, parts ...string) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		m.Write([]byte(p))
	}
	return m.Sum(nil)
}

// meets tells whether credentials were made at today's cost.
func (c credentials) meets(cost HashCost) bool {
	h := c.Argon2
	return h.Memory == cost.Memory && h.Passes == cost.Passes && h.Threads == cost.Threads &&
		c.SCRAM.Iterations == cost.Iterations
}
