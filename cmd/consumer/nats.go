package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/repeatlog"
)

// Timeouts of NATS. Reconnecting never ends: an outage is waited for.
const (
	natsConnectTimeout = 5 * time.Second
	natsReconnectWait  = time.Second
	natsFlushTimeout   = 5 * time.Second
	// natsQuiet is how long the client reports no error before those that repeated are over: nothing reports their end.
	natsQuiet = time.Minute
)

// connect connects to the servers of the configuration, or to the embedded one. With wait it returns at
// once and keeps trying in the background.
func connect(
	c config.Config, server nats.InProcessConnProvider, log *slog.Logger, wait bool, more ...nats.Option,
) (*nats.Conn, error) {
	losses := repeatlog.New(log)
	faults := repeatlog.NewWithQuiet(log, natsQuiet, "no further NATS errors")
	options := []nats.Option{
		nats.Name(buildinfo.Name), nats.Timeout(natsConnectTimeout),
		nats.MaxReconnects(-1), nats.ReconnectWait(natsReconnectWait), nats.RetryOnFailedConnect(wait),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				losses.Warn("NATS connection lost; reconnecting", natsHint(err))
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
		return nil, fmt.Errorf("connect to NATS at %s: %w", config.Redact("NATS_URL", c.NATSURL), natsHint(err))
	}
	return nc, nil
}

// dial connects a command to the servers that a running consumer uses. end hangs up.
func dial(
	ctx context.Context, c config.Config, log *slog.Logger, more ...nats.Option,
) (_ jetstream.JetStream, end func(), _ error) {
	nc, err := reach(c, log, more...)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err == nil {
		err = answered(ctx, nc)
	}
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return js, func() { hangUp(ctx, nc) }, nil
}

// reach connects to the servers that a running consumer uses.
func reach(c config.Config, log *slog.Logger, more ...nats.Option) (*nats.Conn, error) {
	embedded := c.NATSURL == ""
	if embedded {
		c.NATSURL = "nats://" + c.EmbeddedAddr
	}
	nc, err := connect(c, nil, log, false, more...)
	switch {
	case err != nil && embedded:
		return nil, fmt.Errorf("%w; start the service there with: consumer run, or set NATS_URL", err)
	case errors.Is(err, nats.ErrNoServers):
		return nil, fmt.Errorf("%w; %s", err, natsNotThere)
	}
	return nc, err
}

// unansweredError says that the user is sent no answers, all of which would be waited for in vain.
type unansweredError struct{ inbox string }

func (e *unansweredError) Error() string {
	return "the NATS user may not receive answers, at " + e.inbox + "; " + ownInbox
}

// ownInbox comes first: who may subscribe to the common inbox can read what other users of the account are sent.
const ownInbox = "set NATS_INBOX_PREFIX to the inbox that is the user's own, such as _INBOX_consumer for the " +
	"service in deploy/nats/server.conf"

// answered asks whether the user is sent answers. No answer for another reason is for others to tell.
func answered(ctx context.Context, nc *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, natsConnectTimeout)
	defer cancel()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox + ".*") // as the client's own are
	if err != nil {
		return err
	}
	defer sub.Unsubscribe() //nolint:errcheck // a server that is away has forgotten it
	// The server refuses before it answers the flush.
	if nc.FlushWithContext(ctx) != nil {
		return nil // likewise
	}
	if err := nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), inbox) {
		return &unansweredError{inbox[:strings.LastIndexByte(inbox, '.')] + ".>"}
	}
	return nil
}

// lastError is why NATS could not be reached the last time, which the client tells once and keeps to itself.
type lastError struct{ atomic.Pointer[error] }

// option has a connection tell its errors.
func (l *lastError) option() nats.Option {
	return nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { l.Store(&err) })
}

func (l *lastError) err() error {
	if err := l.Load(); err != nil {
		return *err
	}
	return nil
}

// connected is nil if the connection is up. Asking the server otherwise takes a timeout, and says no reason.
func connected(nc *nats.Conn, last *lastError) error {
	switch {
	case nc.IsConnected():
		return nil
	case nc.IsClosed(): // refused for good, such as by wrong credentials
		return errors.Join(nats.ErrConnectionClosed, natsHint(nc.LastError()))
	}
	if err := natsHint(cmp.Or(nc.LastError(), last.err())); err != nil {
		return fmt.Errorf("%w: %w", nats.ErrDisconnected, err)
	}
	return nats.ErrDisconnected
}

// hangUp sends what is buffered and closes the connection.
func hangUp(ctx context.Context, nc *nats.Conn) {
	defer nc.Close()
	if !nc.IsConnected() {
		return // a flush would wait in vain
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), natsFlushTimeout)
	defer cancel()
	nc.FlushWithContext(ctx) //nolint:errcheck // what was not sent is delivered again
}
