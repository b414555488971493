package natsconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// newKey returns the seed and the public key of a user.
func newKey(t *testing.T) (seed, public string) {
	t.Helper()
	key, err := nkeys.CreateUser()
	testkit.Must(t, err)
	secret, err := key.Seed()
	testkit.Must(t, err)
	public, err = key.PublicKey()
	testkit.Must(t, err)
	return string(secret), public
}

// connectWith connects in the background with this configuration.
func connectWith(t *testing.T, c config.Config) *Link {
	t.Helper()
	l, err := Connect(t.Context(), c, nil, slog.New(slog.DiscardHandler), true)
	testkit.Must(t, err)
	t.Cleanup(func() { l.Close(context.Background()) })
	return l
}

// The seed is read for each connection: one that is replaced, also by another user's, works at the next.
func TestSeedIsReadAgain(t *testing.T) {
	t.Parallel()
	seed, public := newKey(t)
	later, laterPublic := newKey(t)
	file := filepath.Join(t.TempDir(), "user.nk")
	testkit.Must(t, os.WriteFile(file, []byte(seed), 0o600))
	s := natstest.StartConfigured(t, users("{nkey: "+public+"}"))
	l := connectWith(t, config.Config{NATSURL: s.URL, NATSNkey: file})
	awaitLink(t, l, "up")
	s.Reload(users("{nkey: " + laterPublic + "}"))
	awaitLink(t, l, "or NATS_CREDS or NATS_NKEY, and that the server knows the user")
	testkit.Must(t, os.Remove(file))
	awaitLink(t, l, "no such file")
	testkit.Must(t, os.WriteFile(file, []byte(later), 0o600))
	awaitLink(t, l, "up")
}

// A server without users that have nkeys is named.
func TestServerWithoutNkeys(t *testing.T) {
	t.Parallel()
	seed, _ := newKey(t)
	file := filepath.Join(t.TempDir(), "user.nk")
	testkit.Must(t, os.WriteFile(file, []byte(seed), 0o600))
	_, err := Connect(t.Context(), config.Config{NATSURL: natstest.Start(t), NATSNkey: file}, nil,
		slog.New(slog.DiscardHandler), false)
	if !errors.Is(err, nats.ErrNkeysNotSupported) || !strings.Contains(err.Error(), "check NATS_URL and NATS_NKEY") {
		t.Error(err)
	}
}

// The name of a connection tells operators of the servers its program, command and host.
func TestNameOfTheConnection(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	testkit.Must(t, err)
	server := natstest.StartServer(t)
	for want, ctx := range map[string]context.Context{
		"tenant-provisioner dead-letters list on " + host: WithCommand(t.Context(), "dead-letters list"),
		"tenant-provisioner on " + host:                   t.Context(),
	} {
		l, err := Connect(ctx, config.Config{NATSURL: server.ClientURL()}, nil, slog.New(slog.DiscardHandler), false)
		testkit.Must(t, err)
		connections, err := server.Connz(nil)
		testkit.Must(t, err)
		var names []string
		for _, c := range connections.Conns {
			names = append(names, c.Name)
		}
		testkit.Equal(t, "names", fmt.Sprint(names), fmt.Sprint([]string{want}))
		l.Close(context.Background())
		testkit.Eventually(t, "the connection has ended", func() bool { return server.NumClients() == 0 })
	}
}
