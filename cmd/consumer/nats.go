package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Timeouts of NATS. Reconnecting never ends: an outage is waited for.
const (
	natsConnectTimeout = 5 * time.Second
	natsReconnectWait  = time.Second
	natsReadyTimeout   = 30 * time.Second
	natsFlushTimeout   = 5 * time.Second
)

// embedded is a NATS server within this process.
type embedded struct {
	*server.Server
	lock *flock.Flock
}

// startEmbedded starts a server with JetStream in dir, every write synced. addr is where other programs
// reach it; empty: nowhere.
func startEmbedded(ctx context.Context, addr, dir string, log *slog.Logger) (*embedded, error) {
	options := &server.Options{
		ServerName: program, JetStream: true, StoreDir: dir, SyncAlways: true,
		NoSigs: true, DontListen: addr == "",
	}
	if addr != "" {
		if err := listenOn(ctx, options, addr); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("NATS_EMBEDDED_DIR: %w", err)
	}
	lock := flock.New(filepath.Join(dir, ".lock"))
	if locked, err := lock.TryLock(); err != nil || !locked {
		return nil, errors.Join(fmt.Errorf("NATS_EMBEDDED_DIR: %s is in use by another process", dir), err)
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the embedded NATS server: %w", err), lock.Unlock())
	}
	s.SetLoggerV2(natsLog{log}, false, false, false)
	s.Start()
	e := &embedded{s, lock}
	if !s.ReadyForConnections(natsReadyTimeout) {
		return nil, errors.Join(fmt.Errorf("the embedded NATS server is not ready after %s", natsReadyTimeout), e.stop())
	}
	if addr != "" {
		log.InfoContext(ctx, "embedded NATS server is up", "url", s.ClientURL(), "dir", dir)
	}
	return e, nil
}

// listenOn sets the address, which must be free: the server itself would only log that it is not.
func listenOn(ctx context.Context, options *server.Options, addr string) error {
	probe, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("NATS_EMBEDDED_ADDR: %w; if another consumer or a NATS server runs there, set "+
			"NATS_URL=nats://%s to use it, else choose another address", err, addr)
	}
	if err := probe.Close(); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("NATS_EMBEDDED_ADDR: %w", err)
	}
	options.Host = host
	if options.Port, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("NATS_EMBEDDED_ADDR: %w", err)
	}
	if options.Port == 0 {
		options.Port = server.RANDOM_PORT
	}
	return nil
}

// stop ends the server and waits for it.
func (e *embedded) stop() error {
	e.Shutdown()
	e.WaitForShutdown()
	return e.lock.Unlock()
}

// connect connects to the servers of the configuration, or to the embedded one. With wait it returns at
// once and keeps trying in the background.
func connect(c Config, e *embedded, log *slog.Logger, wait bool) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name(program), nats.Timeout(natsConnectTimeout),
		nats.MaxReconnects(-1), nats.ReconnectWait(natsReconnectWait), nats.RetryOnFailedConnect(wait),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("NATS connection lost; reconnecting", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("NATS connection is back") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("NATS", "error", err) }),
	}
	if e != nil {
		options = append(options, nats.InProcessServer(e))
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
	nc, err := nats.Connect(c.NATSURL, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", redact("NATS_URL", c.NATSURL), err)
	}
	return nc, nil
}

// dial connects a command to the servers that a running consumer uses. end hangs up.
func dial(ctx context.Context, c Config, log *slog.Logger) (_ jetstream.JetStream, end func(), _ error) {
	embedded := c.NATSURL == ""
	if embedded {
		c.NATSURL = "nats://" + c.EmbeddedAddr
	}
	nc, err := connect(c, nil, log, false)
	if err != nil && embedded {
		return nil, nil, fmt.Errorf("%w; start the service there with: consumer run, or set NATS_URL", err)
	}
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return js, func() { hangUp(ctx, nc) }, nil
}

// connected is nil if the connection is up. Asking the server otherwise takes a timeout, and says no reason.
func connected(nc *nats.Conn) error {
	switch {
	case nc.IsConnected():
		return nil
	case nc.IsClosed(): // refused for good, such as by wrong credentials
		return errors.Join(nats.ErrConnectionClosed, nc.LastError())
	}
	return errors.Join(nats.ErrDisconnected, nc.LastError())
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

// natsLog writes the embedded server's log to ours. Its notices are about itself: debug.
type natsLog struct{ *slog.Logger }

func (l natsLog) Noticef(format string, v ...any) { l.Debug("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Warnf(format string, v ...any)   { l.Warn("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Errorf(format string, v ...any)  { l.Error("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Fatalf(format string, v ...any)  { l.Error("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Debugf(format string, v ...any)  { l.Debug("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Tracef(format string, v ...any)  { l.Debug("nats: " + fmt.Sprintf(format, v...)) }
