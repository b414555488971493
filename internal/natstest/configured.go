package natstest

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"example.com/tenant-provisioner/internal/testkit"
)

// Configured is a server with a configuration that a test changes while it runs.
type Configured struct {
	URL string

	t      *testing.T
	dir    string
	server *server.Server
}

// StartConfigured starts a server with JetStream and with this text in its configuration file. The server stops when
// the test ends.
func StartConfigured(t *testing.T, text string) *Configured {
	t.Helper()
	c := &Configured{t: t, dir: t.TempDir()}
	var err error
	c.server, err = server.NewServer(c.options(text))
	testkit.Must(t, err)
	c.server.Start()
	t.Cleanup(func() {
		c.server.Shutdown()
		c.server.WaitForShutdown()
	})
	if !c.server.ReadyForConnections(testkit.Patience) {
		t.Fatal("the NATS server is not ready")
	}
	c.URL = "nats://" + c.server.Addr().String()
	return c
}

// LeafNodeURL is where leaf nodes connect, as this user; empty: without one. The configuration has leafnodes.
func (c *Configured) LeafNodeURL(user, password string) *url.URL {
	c.t.Helper()
	varz, err := c.server.Varz(nil)
	testkit.Must(c.t, err)
	u := &url.URL{Scheme: "nats-leaf", Host: fmt.Sprintf("127.0.0.1:%d", varz.LeafNode.Port)}
	if user != "" {
		u.User = url.UserPassword(user, password)
	}
	return u
}

// Reload replaces the text of the configuration file and has the server read it.
func (c *Configured) Reload(text string) {
	c.t.Helper()
	testkit.Must(c.t, c.server.ReloadOptions(c.options(text)))
}

func (c *Configured) options(text string) *server.Options {
	c.t.Helper()
	file := filepath.Join(c.dir, "nats.conf")
	whole := fmt.Sprintf("listen: \"127.0.0.1:-1\"\njetstream { store_dir: %q }\n%s\n", c.dir, text)
	testkit.Must(c.t, os.WriteFile(file, []byte(whole), 0o600))
	options, err := server.ProcessConfigFile(file)
	testkit.Must(c.t, err)
	options.NoSigs, options.NoLog = true, true
	return options
}
