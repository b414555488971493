// Package natsconn connects to NATS, keeps the connection, and explains why it is refused and what to do about it.
package natsconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/config"
)

// Timeouts of a connection. The client reconnects for ever.
const (
	connectTimeout = 5 * time.Second
	reconnectWait  = time.Second
	flushTimeout   = time.Second // of the last messages, which may be lost: see Close
	// pingInterval and maxPings detect a server that vanished without closing the connection: it is left after the third
	// interval without an answer. By the client's defaults that takes 6 minutes.
	pingInterval = 5 * time.Second
	maxPings     = 2
	// writeTimeout is for a server that reads nothing: the client writes under its lock, also its pings.
	writeTimeout = 5 * time.Second
	// quiet is how long the client must report no error before an episode of repeated errors is over: no callback reports
	// the end of one.
	quiet = time.Minute
)

// Connect is the one constructor of connections. It connects to the servers of the configuration, or to server if it is
// not nil. With wait it returns at once and keeps trying in the background; [Link.Err] then reports the state. Else it
// returns once a server has accepted the user, or with the reason why none has; the end of ctx ends that. The caller
// closes the link.
func Connect(
	ctx context.Context, c config.Config, server nats.InProcessConnProvider, log *slog.Logger, wait bool,
	more ...nats.Option,
) (*Link, error) {
	l := newLink(c.NATSInbox, log)
	options := []nats.Option{
		nats.Name(clientName(ctx)), nats.Timeout(connectTimeout),
		nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.RetryOnFailedConnect(wait),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(maxPings),
		nats.FlusherTimeout(writeTimeout), nats.ReconnectOnFlusherError(),
		// A user may be refused for a while: an account that is being reloaded, credentials that are about to be replaced.
		// By default the client closes for good when one server has refused it twice.
		nats.IgnoreAuthErrorAbort(),
		nats.PermissionErrOnSubscribe(true),
	}
	options = append(options, l.options()...)
	clientURL := c.NATSURL
	if server != nil {
		options = append(options, nats.InProcessServer(server))
	} else {
		servers := serversOf(c.NATSURL)
		l.dialer = newDialer(context.WithoutCancel(ctx), servers.addresses, !servers.webSocket && !c.NATSTLSFirst, !wait)
		options = append(options, nats.SetCustomDialer(l.dialer), nats.SkipHostLookup(),
			nats.CustomReconnectDelay(l.dialer.pause))
		if c.NATSURLFile != "" {
			options = append(options, l.followURL(c.CurrentNATSURL, servers)...)
			clientURL = strings.Join(servers.urls, ",") // without users
		}
	}
	if c.NATSInbox != "" {
		options = append(options, nats.CustomInboxPrefix(c.NATSInbox))
	}
	if c.NATSCreds != "" {
		options = append(options, nats.UserCredentials(c.NATSCreds))
	}
	if c.NATSNkey != "" {
		option, err := l.logInWith(seedFile(c.NATSNkey))
		if err != nil {
			return nil, fmt.Errorf("NATS_NKEY: %w", err)
		}
		options = append(options, option)
	}
	if c.NATSTLSFirst {
		options = append(options, nats.TLSHandshakeFirst())
	}
	if c.NATSTLSCA != "" {
		options = append(options, nats.RootCAs(c.NATSTLSCA))
	}
	if c.NATSTLSCert != "" {
		options = append(options, nats.ClientCert(c.NATSTLSCert, c.NATSTLSKey))
	}
	nc, err := l.connect(ctx, clientURL, append(options, more...))
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", config.Redact("NATS_URL", c.NATSURL), explain(err))
	}
	l.conn = nc
	if l.js, err = newJetStream(nc, c); err != nil {
		nc.Close()
		return nil, err
	}
	if !wait {
		l.up(nc) // the callback comes a moment later
	}
	l.client.Store(nc)
	go l.watch()
	return l, nil
}

// newJetStream returns the JetStream of the configuration: that of the connection's account, of a domain, or one that
// is imported from another account.
func newJetStream(nc *nats.Conn, c config.Config) (jetstream.JetStream, error) {
	switch {
	case c.NATSDomain != "":
		return jetstream.NewWithDomain(nc, c.NATSDomain)
	case c.NATSPrefix != "":
		return jetstream.NewWithAPIPrefix(nc, c.NATSPrefix)
	}
	return jetstream.New(nc)
}

// connect connects the client. The end of ctx ends a wait for the first connection.
func (l *Link) connect(ctx context.Context, url string, options []nats.Option) (*nats.Conn, error) {
	if l.dialer == nil {
		return nats.Connect(url, options...)
	}
	end := context.AfterFunc(ctx, l.dialer.cancel)
	nc, err := nats.Connect(url, options...)
	if !end() {
		err = context.Cause(ctx)
	}
	if err != nil {
		if nc != nil {
			nc.Close()
		}
		l.dialer.close()
		return nil, err
	}
	l.dialer.inBackground()
	return nc, nil
}

// Open connects a command to the servers that a running service uses, and checks that the user receives replies. end
// closes the connection.
func Open(
	ctx context.Context, c config.Config, log *slog.Logger, more ...nats.Option,
) (_ jetstream.JetStream, end func(), _ error) {
	l, err := Dial(ctx, c, log, more...)
	if err != nil {
		return nil, nil, err
	}
	if err := CheckInbox(ctx, l.Conn()); err != nil {
		l.Close(ctx)
		return nil, nil, err
	}
	return l.JetStream(), func() { l.Close(ctx) }, nil
}

// Dial connects to the servers that a running service uses: those of NATS_URL, or the embedded server.
func Dial(ctx context.Context, c config.Config, log *slog.Logger, more ...nats.Option) (*Link, error) {
	embedded := c.NATSURL == ""
	if embedded {
		c.NATSURL = "nats://" + c.EmbeddedAddr
	}
	l, err := Connect(ctx, c, nil, log, false, more...)
	switch {
	case err != nil && embedded:
		return nil, fmt.Errorf("%w; start the service there with: consumer run, or set NATS_URL", err)
	case errors.Is(err, nats.ErrNoServers):
		return nil, fmt.Errorf("%w; %s", err, NotReachable)
	}
	return l, err
}
