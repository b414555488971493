package postgres

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/postgrestest"
)

// writePair writes a new certificate and its key, and returns the certificate.
func writePair(t *testing.T, certificate, key string) (der []byte) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "someone"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, template, public, private); err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write(t, certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	return der
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Files that DATABASE_URL names are read again for each connection. One that cannot be used is an outage that names it.
func TestFilesAreReadForEachConnection(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	certificate, key, passwords := file("tls.crt"), file("tls.key"), file("passwords")
	k := Config{URL: "postgres://someone@127.0.0.1/tenants?sslmode=verify-full&sslrootcert=" + certificate + "&sslcert=" +
		certificate + "&sslkey=" + key + "&passfile=" + passwords}.connector(forWork)
	for _, password := range []string{"first", "second"} {
		der := writePair(t, certificate, key)
		write(t, passwords, []byte("*:*:*:someone:"+password+"\n"))
		conn, err := k.settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if conn.Password != password || !bytes.Equal(conn.TLSConfig.Certificates[0].Certificate[0], der) ||
			len(conn.TLSConfig.RootCAs.Subjects()) != 1 { //nolint:staticcheck // not the system's pool
			t.Errorf("%s: another password or certificate is used", password)
		}
	}
	for name, c := range map[string]struct {
		damage func()
		want   string
	}{
		"no key":         {func() { _ = os.Remove(key) }, "parameter sslkey: open " + key},
		"no certificate": {func() { _ = os.Remove(certificate) }, "parameter sslrootcert: open " + certificate},
		"no password":    {func() { _ = os.Remove(passwords) }, "parameter passfile: open " + passwords},
		"half a file":    {func() { write(t, certificate, []byte("-----BEGIN CERT")) }, certificate + " has no certificate"},
		"another's key":  {func() { writePair(t, file("other"), key) }, "are not a certificate and its key"},
		"key not in PEM": {func() { write(t, key, []byte("hunter2")) }, key + " has no certificate or key in PEM"},
		"a directory":    {func() { _ = os.Remove(key); _ = os.Mkdir(key, 0o700) }, "parameter sslkey: read " + key},
	} {
		c.damage()
		_, err := k.settings(t.Context())
		if !pipeline.IsOutage(err) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		_ = os.Remove(key)
		writePair(t, certificate, key)
		write(t, passwords, []byte("*:*:*:someone:first\n"))
		if _, err := k.settings(t.Context()); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

// silentHost is a host that takes connections and never answers.
func silentHost(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// Two hosts that do not answer leave time for the third.
func TestHostsShareTheTime(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(postgrestest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	u.Host = silentHost(t) + "," + silentHost(t) + "," + u.Host
	query := u.Query()
	query.Set("connect_timeout", "9")
	u.RawQuery = query.Encode()
	k := Config{URL: u.String()}.connector(forWork)
	settings, err := k.settings(t.Context())
	if err != nil || settings.ConnectTimeout != 3*time.Second {
		t.Errorf("each host has %s, %v", settings.ConnectTimeout, err)
	}
	conn, err := k.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(t.Context())
}

// An address in DATABASE_URL is used instead of a look-up.
func TestHostAddress(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(postgrestest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("hostaddr", u.Hostname())
	u.Host, u.RawQuery = "nowhere.invalid:"+u.Port(), query.Encode()
	conn, err := Config{URL: u.String()}.connector(func(*pgx.ConnConfig) {}).connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(t.Context())
}
