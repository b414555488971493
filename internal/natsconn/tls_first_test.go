package natsconn

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// withTLS returns options of a server at 127.0.0.1 with TLS, and the file of its authority.
func withTLS(t *testing.T, first bool) (change func(*server.Options), ca string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	testkit.Must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	testkit.Must(t, err)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	testkit.Must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return func(o *server.Options) {
		o.TLSConfig = &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}, MinVersion: tls.VersionTLS12,
		}
		o.TLSHandshakeFirst, o.TLSTimeout = first, testkit.Patience.Seconds()
	}, ca
}

// With NATS_TLS_FIRST the client speaks first. Where the setting and the server's differ, the error says which way.
func TestTLSFirst(t *testing.T) {
	t.Parallel()
	strict, strictCA := withTLS(t, true)
	usual, usualCA := withTLS(t, false)
	both, bothCA := withTLS(t, true)
	strictURL, usualURL, plain := natstest.Start(t, strict), natstest.Start(t, usual), natstest.Start(t)
	// handshake_first: auto, or a time. For so long the server waits for the client to begin, so that a client on a busy
	// machine begins in time, and one that waits for the server need not wait long.
	bothFor := func(fallback time.Duration) string {
		return natstest.Start(t, both, func(o *server.Options) { o.TLSHandshakeFirstFallback = fallback })
	}
	short := natstest.Start(t, strict, func(o *server.Options) { o.TLSTimeout = 0.1 })
	for name, c := range map[string]struct {
		url, ca string
		first   bool
		want    string // empty: it connects
	}{
		"first, of a server that expects it":         {strictURL, strictCA, true, ""},
		"first, of a server that accepts both":       {bothFor(testkit.Patience), bothCA, true, ""},
		"second, of a server that accepts both":      {bothFor(50 * time.Millisecond), bothCA, false, ""},
		"second, of a server without":                {usualURL, usualCA, false, ""},
		"second, of a server that expects it":        {strictURL, strictCA, false, "set NATS_TLS_FIRST=true"},
		"second, of a server that gives up at once":  {short, strictCA, false, "set NATS_TLS_FIRST=true"},
		"first, of a server without handshake_first": {usualURL, usualCA, true, "unset NATS_TLS_FIRST"},
		"first, of a server without TLS":             {plain, "", true, "unset NATS_TLS_FIRST"},
		"first, of another authority":                {strictURL, usualCA, true, "check NATS_TLS_CA"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			configuration := config.Config{NATSURL: c.url, NATSTLSCA: c.ca, NATSTLSFirst: c.first}
			l, err := Connect(t.Context(), configuration, nil, slog.New(slog.DiscardHandler), false)
			if c.want == "" {
				testkit.Must(t, err)
				state, err := l.Conn().TLSConnectionState()
				testkit.Must(t, err)
				testkit.Equal(t, "TLS", state.HandshakeComplete, true)
				l.Close(t.Context())
				return
			}
			if err == nil {
				l.Close(t.Context())
				t.Fatal("it connects")
			}
			testkit.Contains(t, "the error", err.Error(), c.want)
			awaitLink(t, connectWith(t, configuration), c.want)
		})
	}
}
