package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

// authority signs the certificates of a test.
type authority struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string // its certificate
	serial      int64
}

// pair is a certificate and its key, as files.
type pair struct{ certificate, key string }

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.certificate = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	var der []byte
	a.key, der = a.sign(a.certificate, nil)
	a.file = a.write("CERTIFICATE", der)
	return a
}

// sign makes a key and its certificate, signed by the parent key or, without one, by itself.
func (a *authority) sign(template *x509.Certificate, parent *ecdsa.PrivateKey) (key *ecdsa.PrivateKey, der []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	testkit.Must(a.t, err)
	if parent == nil {
		parent = key
	}
	der, err = x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), parent)
	testkit.Must(a.t, err)
	return key, der
}

func (a *authority) write(kind string, der []byte) (path string) {
	a.t.Helper()
	path = filepath.Join(a.t.TempDir(), "file.pem")
	testkit.Must(a.t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

// issue certifies an IP address of a server, or the name of a server or client.
func (a *authority) issue(name string) pair {
	a.t.Helper()
	return a.issueUntil(name, time.Now().Add(time.Hour))
}

// issueUntil is issue with the end of the certificate's period.
func (a *authority) issueUntil(name string, end time.Time) pair {
	a.t.Helper()
	a.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial + 1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: end.Add(-2 * time.Hour), NotAfter: end,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses, template.DNSNames = []net.IP{ip}, nil
	}
	key, der := a.sign(template, a.key)
	secretKey, err := x509.MarshalPKCS8PrivateKey(key)
	testkit.Must(a.t, err)
	return pair{a.write("CERTIFICATE", der), a.write("PRIVATE KEY", secretKey)}
}

func content(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	testkit.Must(t, err)
	return text
}
