package natsconn

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// prompt limits a call that must not wait for a server: less than connectTimeout, and others use the machine too.
const prompt = connectTimeout - 500*time.Millisecond

// within asserts that a call returns without waiting for a server.
func within(t *testing.T, what string, call func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		call()
	}()
	select {
	case <-done:
	case <-time.After(prompt):
		t.Errorf("%s takes longer than %s", what, prompt)
		<-done
	}
}

// unanswered is a name server that answers no question about names below internal.
func unanswered(ctx context.Context, host string) ([]string, error) {
	if !strings.HasSuffix(host, ".internal") {
		return net.DefaultResolver.LookupHost(ctx, host)
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// dialing connects the client by a dialer with this name server.
func dialing(t *testing.T, url string, wait bool) (*nats.Conn, *dialer) {
	t.Helper()
	d := newDialer(t.Context(), serversOf(url).addresses, true, wait)
	d.connect = connector{speaksFirst: true, lookUp: unanswered}.connect
	nc, err := nats.Connect(url, nats.SetCustomDialer(d), nats.SkipHostLookup(), nats.RetryOnFailedConnect(!wait),
		nats.CustomReconnectDelay(d.pause), nats.MaxReconnects(-1), nats.ReconnectErrHandler(func(*nats.Conn, error) {}))
	testkit.Must(t, err)
	t.Cleanup(func() {
		within(t, "closing", func() {
			nc.Close()
			d.close()
		})
	})
	return nc, d
}

// A look-up that is not answered holds no call of the client, and the state names the host.
func TestLookUpHoldsNoCall(t *testing.T) {
	t.Parallel()
	var nc *nats.Conn
	var d *dialer
	within(t, "connecting", func() { nc, d = dialing(t, "nats://n1.internal:4222,nats://n2.internal:4222", false) })
	testkit.Eventually(t, "both names are being looked up", func() bool {
		why := d.why()
		return why != nil && strings.Contains(why.Error(), "n1.internal") && strings.Contains(why.Error(), "n2.internal")
	})
	for range 10 {
		within(t, "the state", func() { nc.Status() })
		within(t, "a publication", func() { nc.Publish("x", nil) })
	}
}

// Servers are tried side by side: one whose name is not answered, and one that does not answer, do not delay another.
func TestServersAreTriedSideBySide(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]bool{"a command": true, "the service": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := strings.Join([]string{"nats://n1.internal:4222", natstest.Silent(t), natstest.Start(t)}, ",")
			within(t, "a connection", func() {
				nc, _ := dialing(t, url, wait)
				testkit.Eventually(t, "connected", nc.IsConnected)
			})
		})
	}
}

// A server that accepts connections and sends nothing holds no call of the client either.
func TestFrozenServerHoldsNoCall(t *testing.T) {
	t.Parallel()
	nc, d := dialing(t, natstest.Silent(t), false)
	testkit.Eventually(t, "the reason is known", func() bool {
		within(t, "the state", func() { nc.Status() })
		why := d.why()
		return why != nil && strings.Contains(why.Error(), "sends nothing")
	})
}

// A connection that the client does not take is closed: the server would do so.
func TestUnusedConnectionIsClosed(t *testing.T) {
	t.Parallel()
	address := strings.TrimPrefix(natstest.Start(t), "nats://")
	d := newDialer(t.Context(), []string{address}, true, false)
	defer d.close()
	_, err := d.Dial("tcp", address)
	testkit.Equal(t, "the first answer", errors.Is(err, errConnecting), true)
	ready := func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.anyReady(true)
	}
	testkit.Eventually(t, "a connection is ready", ready)
	testkit.Eventually(t, "it is closed", func() bool { return !ready() })
}

// The end of the context ends the first connection of a command.
func TestFirstConnectionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	within(t, "connecting", func() {
		_, err := Connect(ctx, config.Config{NATSURL: natstest.Silent(t)}, nil, slog.New(slog.DiscardHandler), false)
		testkit.Equal(t, "the error is the context's", errors.Is(err, context.DeadlineExceeded), true)
	})
}

// The addresses of a name are tried side by side too.
func TestAddressesOfANameAreTriedSideBySide(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // one after the other, the last one is never tried
	defer cancel()
	conn, err := race(ctx, 3, func(ctx context.Context, i int) (net.Conn, error) {
		if i == 2 {
			return ours, nil
		}
		<-ctx.Done() // does not answer
		return nil, ctx.Err()
	})
	testkit.Must(t, err)
	testkit.Must(t, conn.Close())
}

func TestOneAddressOfANameAnswers(t *testing.T) {
	t.Parallel()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(natstest.Start(t), "nats://"))
	testkit.Must(t, err)
	c := connector{speaksFirst: true, lookUp: func(context.Context, string) ([]string, error) {
		return []string{"127.0.0.2", "127.0.0.1", "127.0.0.3"}, nil // the server listens on one of them
	}}
	conn, err := c.connect(t.Context(), net.JoinHostPort("nats.internal", port), func(string) {})
	testkit.Must(t, err)
	testkit.Must(t, conn.Close())
}

func TestServersOfAURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"nats://a,b:1,tls://u:p@c:2": "a:4222 b:1 c:2", "nats://[::1]": "[::1]:4222", "ws://a, wss://b": "a:80 b:443",
	} {
		servers := serversOf(url)
		testkit.Equal(t, url, strings.Join(servers.addresses, " "), want)
		testkit.Equal(t, url+" is WebSocket", servers.webSocket, strings.HasPrefix(url, "ws"))
		if strings.Contains(strings.Join(servers.urls, ""), "@") {
			t.Errorf("%s: users in %v", url, servers.urls)
		}
	}
}
