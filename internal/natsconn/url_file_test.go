package natsconn

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

func userURL(user, url string) string { return strings.Replace(url, "//", "//"+user+"@", 1) }

// The file is read for each connection: a user, a token and servers that are replaced count at the next.
func TestURLFileIsReadAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "nats-url")
	write := func(text string) { testkit.Must(t, os.WriteFile(file, []byte(text), 0o600)) }
	s := natstest.StartConfigured(t, users("{user: a, password: first}"))
	write(userURL("a:first", s.URL) + "\n")
	l := connectWith(t, config.Config{NATSURL: userURL("a:first", s.URL), NATSURLFile: config.ValueFile(file)})
	awaitLink(t, l, "up")

	s.Reload(users("{user: a, password: second}"))
	awaitLink(t, l, "check user and password in NATS_URL")
	write(userURL("a:second", s.URL) + "\r\n")
	awaitLink(t, l, "up")

	s.Reload(users("{user: a, password: third}"))
	for text, want := range map[string]string{
		"": "is empty", "http://a": "is not nats://", "nats://a\nnats://b": "line break",
		strings.Replace(s.URL, "nats:", "tls:", 1): "schemes of its servers have changed",
	} {
		write(text)
		awaitLink(t, l, want)
	}
	testkit.Must(t, os.Remove(file))
	awaitLink(t, l, "no such file")
	write(userURL("a:third", s.URL))
	awaitLink(t, l, "up")

	other := natstest.StartConfigured(t, "authorization { token: fourth }")
	write(userURL("fourth", other.URL))
	testkit.Equal(t, "server before the next connection", "nats://"+l.Conn().ConnectedAddr(), s.URL)
	testkit.Must(t, l.Conn().ForceReconnect())
	testkit.Eventually(t, "the connection is to the other server", func() bool {
		return l.Err() == nil && "nats://"+l.Conn().ConnectedAddr() == other.URL
	})
}

// Each server has the user of its entry.
func TestUsersOfServersInAFile(t *testing.T) {
	t.Parallel()
	one := natstest.StartConfigured(t, users("{user: a, password: first}"))
	two := natstest.StartConfigured(t, users("{user: b, password: second}"))
	list := userURL("a:first", one.URL) + "," + userURL("b:second", two.URL)
	file := filepath.Join(t.TempDir(), "nats-url")
	testkit.Must(t, os.WriteFile(file, []byte(list), 0o600))
	l, err := Connect(t.Context(), config.Config{NATSURL: list, NATSURLFile: config.ValueFile(file)}, nil,
		slog.New(slog.DiscardHandler), false)
	testkit.Must(t, err)
	defer l.Close(t.Context())
	seen := map[string]bool{}
	testkit.Eventually(t, "both servers were used", func() bool {
		if l.Err() == nil {
			seen[l.Conn().ConnectedAddr()] = true
			testkit.Must(t, l.Conn().ForceReconnect())
		}
		return len(seen) == 2
	})
}
