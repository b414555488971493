// Package natstest starts NATS servers with JetStream for tests, and connects to them.
package natstest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/testkit"
)

// Start starts a server on a free port, with changes to its options, and returns its URL. The server stops when the
// test ends.
func Start(t testing.TB, change ...func(*server.Options)) string {
	t.Helper()
	return StartServer(t, change...).ClientURL()
}

// StartServer is [Start], and returns the server.
func StartServer(t testing.TB, change ...func(*server.Options)) *server.Server {
	t.Helper()
	options := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
	}
	for _, fn := range change {
		fn(options)
	}
	s, err := server.NewServer(options)
	testkit.Must(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(testkit.Patience) {
		t.Fatal("the NATS server is not ready")
	}
	return s
}

// JetStream connects to the server at url. The connection is closed when the test ends.
func JetStream(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(testkit.Patience), nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond))
	testkit.Must(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(testkit.Patience))
	testkit.Must(t, err)
	return js
}
