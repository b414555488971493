package recovery

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/natsserver"
)

// OpenStreams connects to the servers that the service uses. If that is the embedded server and the service does not
// run, the server runs in this process. end closes the connection and stops the server.
func OpenStreams(
	ctx context.Context, c config.Config, log *slog.Logger,
) (_ jetstream.JetStream, end func() error, _ error) {
	js, closeConn, err := natsconn.Open(ctx, c, log)
	if err == nil {
		return js, func() error { closeConn(); return nil }, nil
	}
	if _, missing := os.Stat(c.EmbeddedDir); c.NATSURL != "" || !errors.Is(err, nats.ErrNoServers) || missing != nil {
		return nil, nil, err
	}
	link, end, startErr := startEmbedded(ctx, c, log)
	if startErr != nil {
		return nil, nil, errors.Join(err, startErr)
	}
	return link.JetStream(), end, nil
}

// startEmbedded runs the embedded server in this process, without an address, and connects to it. end closes the
// connection and stops the server. The error wraps [natsserver.ErrInUse] if another process runs it.
func startEmbedded(
	ctx context.Context, c config.Config, log *slog.Logger,
) (link *natsconn.Link, end func() error, err error) {
	server, err := natsserver.Start(ctx, "", c.EmbeddedDir, log)
	if err != nil {
		return nil, nil, err
	}
	if err = server.Err(); err == nil {
		link, err = natsconn.Connect(ctx, c, server, log, false)
	}
	if err != nil {
		return nil, nil, errors.Join(err, server.Stop())
	}
	return link, func() error {
		link.Close(ctx)
		return server.Stop()
	}, nil
}
