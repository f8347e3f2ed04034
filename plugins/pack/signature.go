package pack

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
)

// ErrSignature is wrapped where a package has a signature that does not hold.
// Such a package was changed after it was signed.
var ErrSignature = errors.New("the signature of the package does not hold: it was changed after it was signed")

const signatureHead = "hauspost signature 1"

// signedText is what is signed: a digest that cannot be taken for anything else
// that the same key may sign.
func signedText(digest [32]byte) []byte {
	return fmt.Appendf(nil, "hauspost plugin package\n%x\n", digest)
}

// sign gives the signature file of a package.
func sign(digest [32]byte, key ed25519.PrivateKey) []byte {
	return fmt.Appendf(nil, "%s\nkey %s\nsignature %s\n", signatureHead, KeyText(key.Public().(ed25519.PublicKey)),
		base64.StdEncoding.EncodeToString(ed25519.Sign(key, signedText(digest))))
}

// checkSignature gives the key with which a package was signed.
func checkSignature(text []byte, digest [32]byte) (ed25519.PublicKey, error) {
	lines := strings.Split(string(text), "\n")
	if len(lines) != 4 || lines[0] != signatureHead || lines[3] != "" {
		return nil, fmt.Errorf("%w (the file %s is malformed)", ErrSignature, signatureFile)
	}
	key, ok1 := fromBase64(lines[1], "key ", ed25519.PublicKeySize)
	sig, ok2 := fromBase64(lines[2], "signature ", ed25519.SignatureSize)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("%w (the file %s is malformed)", ErrSignature, signatureFile)
	}
	if !ed25519.Verify(key, signedText(digest), sig) {
		return nil, ErrSignature
	}
	return key, nil
}

func fromBase64(line, prefix string, size int) ([]byte, bool) {
	text, ok := strings.CutPrefix(line, prefix)
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	return data, ok && err == nil && len(data) == size
}

// KeyText writes a public key as people compare it and the lock file keeps it.
// No key gives an empty text.
func KeyText(key ed25519.PublicKey) string { return base64.StdEncoding.EncodeToString(key) }

// NewKey makes a key for signing and writes it to a new file, in PEM (PKCS #8,
// RFC 5958), readable by its owner alone.
func NewKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing the new key: %w", err)
	}
	if err := errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("writing the new key: %w", err)
	}
	return key, nil
}

// ReadKey reads a key that NewKey, or another program, wrote in PEM (PKCS #8). A
// file that others can read is refused.
func ReadKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the signing key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("reading the signing key: others can read %s too; run chmod 600 on it", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the signing key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("reading the signing key: %s holds no private key in PEM", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the signing key %s: %w", path, err)
	}
	own, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("reading the signing key: %s is not for Ed25519", path)
	}
	return own, nil
}
