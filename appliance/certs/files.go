package certs

import (
	"crypto/tls"
	"fmt"
	"os"
	"time"
)

// recheck is how often the owner's files are looked at for changes.
const recheck = time.Second

// stamps are what tells a changed file from the one before; nil where there is
// none. A file that was put in place by renaming can have the time and the size
// of its forerunner, so that it is compared which file it is, too.
type stamps [2]os.FileInfo

func (c *Certs) stamps() stamps {
	var s stamps
	for i, file := range []string{c.o.CertFile, c.o.KeyFile} {
		if info, err := os.Stat(file); err == nil {
			s[i] = info
		}
	}
	return s
}

func (s stamps) same(t stamps) bool {
	for i, a := range s {
		b := t[i]
		if (a == nil) != (b == nil) {
			return false
		}
		if a != nil && !(os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()) {
			return false
		}
	}
	return true
}

// useFiles takes the owner's certificate at the start, when a fault in it can
// still be told to whoever starts the box.
func (c *Certs) useFiles() error {
	c.looked, c.stamp = c.o.Now(), c.stamps()
	cert, err := c.load()
	if err != nil {
		return err
	}
	c.use(cert, "")
	if leaf := cert.Leaf; !c.o.Now().Before(leaf.NotAfter) {
		c.o.Logger.Warn("the certificate has expired", "file", c.o.CertFile, "ended", leaf.NotAfter)
	} else if err := leaf.VerifyHostname(c.o.Hostname); err != nil {
		c.o.Logger.Warn("the certificate is not for this host", "file", c.o.CertFile, "error", err)
	}
	return nil
}

func (c *Certs) load() (*tls.Certificate, error) {
	certPEM, err := os.ReadFile(c.o.CertFile)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	keyPEM, err := os.ReadFile(c.o.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the key of the certificate: %w", err)
	}
	cert, err := pair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("the certificate %s with the key %s: %w", c.o.CertFile, c.o.KeyFile, err)
	}
	return cert, nil
}

// reload takes new files into use. What cannot be used leaves the old
// certificate in place, and is tried again when a file changes once more: a
// renewal writes the two files one after the other.
func (c *Certs) reload() {
	c.mu.Lock()
	now := c.o.Now()
	if now.Sub(c.looked) < recheck {
		c.mu.Unlock()
		return
	}
	c.looked = now
	stamp := c.stamps()
	same := stamp.same(c.stamp)
	c.stamp = stamp
	c.mu.Unlock()
	if same {
		return
	}
	cert, err := c.load()
	if err != nil {
		c.o.Logger.Error("the new certificate cannot be used, the old one stays in use", "error", err)
		c.report(fmt.Sprintf("the new certificate cannot be used, the old one still is: %v", err))
		return
	}
	c.use(cert, "")
	c.o.Logger.Info("a new certificate is in use", "file", c.o.CertFile, "until", cert.Leaf.NotAfter)
}
