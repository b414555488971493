// Package natsconn connects to NATS, and explains why a connection is refused and what to do about it.
package natsconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/repeatlog"
)

// Timeouts of a connection. The client reconnects for ever.
const (
	connectTimeout = 5 * time.Second
	reconnectWait  = time.Second
	flushTimeout   = time.Second // of the last messages, which may be lost: see Close
	// quiet is how long the client must report no error before an episode of repeated errors is over: no callback reports
	// the end of one.
	quiet = time.Minute
)

// Connect connects to the servers of the configuration, or to server if it is not nil. With wait it returns at once and
// keeps trying in the background; Connected then reports the state.
func Connect(
	c config.Config, server nats.InProcessConnProvider, log *slog.Logger, wait bool, more ...nats.Option,
) (*nats.Conn, error) {
	losses := repeatlog.New(log)
	faults := repeatlog.NewWithQuiet(log, quiet, "no further NATS errors")
	options := []nats.Option{
		nats.Name(buildinfo.Name), nats.Timeout(connectTimeout),
		nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.RetryOnFailedConnect(wait),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				losses.Warn("NATS connection lost; reconnecting", explain(err))
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { losses.Recovered("NATS connection is back") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			faults.Warn("NATS", err)
		}),
	}
	if server != nil {
		options = append(options, nats.InProcessServer(server))
	}
	if c.NATSInbox != "" {
		options = append(options, nats.CustomInboxPrefix(c.NATSInbox))
	}
	if c.NATSCreds != "" {
		options = append(options, nats.UserCredentials(c.NATSCreds))
	}
	if c.NATSTLSCA != "" {
		options = append(options, nats.RootCAs(c.NATSTLSCA))
	}
	if c.NATSTLSCert != "" {
		options = append(options, nats.ClientCert(c.NATSTLSCert, c.NATSTLSKey))
	}
	nc, err := nats.Connect(c.NATSURL, append(options, more...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", config.Redact("NATS_URL", c.NATSURL), explain(err))
	}
	return nc, nil
}

// Open connects a command to the servers that a running service uses, and checks that the user receives replies. end
// closes the connection.
func Open(
	ctx context.Context, c config.Config, log *slog.Logger, more ...nats.Option,
) (_ jetstream.JetStream, end func(), _ error) {
	nc, err := Dial(c, log, more...)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err == nil {
		err = CheckInbox(ctx, nc)
	}
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return js, func() { Close(ctx, nc) }, nil
}

// Dial connects to the servers that a running service uses: those of NATS_URL, or the embedded server.
func Dial(c config.Config, log *slog.Logger, more ...nats.Option) (*nats.Conn, error) {
	embedded := c.NATSURL == ""
	if embedded {
		c.NATSURL = "nats://" + c.EmbeddedAddr
	}
	nc, err := Connect(c, nil, log, false, more...)
	switch {
	case err != nil && embedded:
		return nil, fmt.Errorf("%w; start the service there with: consumer run, or set NATS_URL", err)
	case errors.Is(err, nats.ErrNoServers):
		return nil, fmt.Errorf("%w; %s", err, NotReachable)
	}
	return nc, err
}

// Close flushes the connection and closes it.
func Close(ctx context.Context, nc *nats.Conn) {
	defer nc.Close()
	if !nc.IsConnected() {
		return // a flush would only wait for its timeout
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	nc.FlushWithContext(ctx) //nolint:errcheck // a message whose acknowledgement is lost is redelivered
}
