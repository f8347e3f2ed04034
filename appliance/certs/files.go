package certs

import (
	"crypto/tls"
	"fmt"
	"os"
	"time"
)

// recheck is how often the owner's files are looked at for changes.
const recheck = time.Second

type fileStamp struct {
	modified time.Time
	size     int64
}

func stampOf(file string) fileStamp {
	info, err := os.Stat(file)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{modified: info.ModTime(), size: info.Size()}
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

func (c *Certs) stamps() [2]fileStamp {
	return [2]fileStamp{stampOf(c.o.CertFile), stampOf(c.o.KeyFile)}
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
	same := stamp == c.stamp
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
