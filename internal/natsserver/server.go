// Package natsserver runs a NATS server with JetStream inside the process, for a service without an external one.
package natsserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/filesystem"
	"example.com/tenant-provisioner/internal/repeatlog"
)

const (
	readyTimeout = 30 * time.Second
	// quiet is how long the server must log no warning or error before an episode of repeated ones is over.
	quiet = time.Minute
	// healthInterval is the time between two checks of the server's health.
	healthInterval = time.Second
	// maxRestartDelay is the longest delay between two restarts while the directory cannot be written to.
	maxRestartDelay = 15 * time.Second
	// maxUselessDelay is the longest delay after a restart did not help.
	maxUselessDelay = 10 * time.Minute
	// spaceNeeded is how many bytes must be writable before a restart: more than the server's own state files of consumers
	// and streams, which it writes when it stops.
	spaceNeeded = 4 << 20
	// maxStore is the limit of what streams store, in bytes: none. By default the server takes three quarters of what is
	// free when it starts. Started on a nearly full volume, it would reject messages for ever, also when there is room
	// again; a full volume is an error of the write, which health notices.
	maxStore = 1 << 60
)

// Server is a NATS server within this process. After a failed write, for example on a full disk, a nats-server never
// writes to that stream again. So Server replaces it, with the same files and address, once the directory is writable.
// Confirmed messages are kept; clients reconnect. The same is true if the first server cannot start because the volume
// is full.
type Server struct {
	options server.Options
	lock    *flock.Flock
	log     *slog.Logger
	faults  *repeatlog.Log // why the server cannot store messages
	reports *repeatlog.Log // warnings and errors of the server itself

	mu     sync.Mutex
	server *server.Server // nil: none has started yet, see cause
	found  []string       // our streams whose directories existed when the server started
	cause  error          // why streams cannot be written to, or nil

	stopWatching context.CancelFunc
	done         chan struct{}
}

// Start starts a server with JetStream in dir; every write is synced. Other programs connect at addr; if addr is empty,
// none can. If nothing can be written to dir, because it is full for example, Start returns all the same: Err has the
// reason, and the server starts once there is room.
func Start(ctx context.Context, addr, dir string, log *slog.Logger) (*Server, error) {
	return start(ctx, addr, dir, log, filesystem.OS)
}

func start(ctx context.Context, addr, dir string, log *slog.Logger, files filesystem.System) (*Server, error) {
	e := &Server{
		options: server.Options{
			ServerName: buildinfo.Name, JetStream: true, StoreDir: dir, SyncAlways: true,
			JetStreamMaxStore: maxStore, NoSigs: true, DontListen: addr == "",
		},
		lock: flock.New(filepath.Join(dir, ".lock")), log: log, done: make(chan struct{}),
		faults: repeatlog.New(log), reports: repeatlog.NewWithQuiet(log, quiet, "nats: no further warnings or errors"),
	}
	if addr != "" {
		if err := listenOn(ctx, &e.options, addr); err != nil {
			return nil, err
		}
	}
	unusable, err := e.claimDir(files)
	if err != nil {
		return nil, err
	}
	if unusable == nil {
		unusable = e.newServer()
		if unusable != nil && checkWritable(dir) == nil {
			return nil, errors.Join(unusable, e.lock.Unlock())
		}
	}
	if unusable != nil {
		e.setUnhealthy(unusable)
	}
	alive, end := context.WithCancel(context.WithoutCancel(ctx))
	e.stopWatching = end
	go func() {
		defer close(e.done)
		e.watch(alive)
	}()
	return e, nil
}

// newServer starts a server and waits until it accepts connections.
func (e *Server) newServer() error {
	var found []string
	for _, stream := range ourStreams() {
		dir := filepath.Join(e.options.StoreDir, "jetstream", server.DEFAULT_GLOBAL_ACCOUNT, "streams", stream)
		if _, err := os.Stat(dir); err == nil {
			found = append(found, stream)
		}
	}
	options := e.options // the server modifies its options
	s, err := server.NewServer(&options)
	if err != nil {
		return fmt.Errorf("start the embedded NATS server: %w", err)
	}
	log := serverLog{e.log, e.reports, new(atomic.Pointer[string])}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	fatal := log.fatal.Load()
	if fatal != nil || !s.ReadyForConnections(readyTimeout) {
		s.Shutdown()
		s.WaitForShutdown()
		if fatal != nil {
			return fmt.Errorf("start the embedded NATS server: %s", *fatal)
		}
		return fmt.Errorf("the embedded NATS server is not ready after %s", readyTimeout)
	}
	if bound, ok := s.Addr().(*net.TCPAddr); ok && !options.DontListen {
		e.options.Port = bound.Port // a replacement must have the same port
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server == nil && !options.DontListen {
		e.log.Info("embedded NATS server is up", "url", s.ClientURL(), "dir", e.options.StoreDir)
	}
	e.server, e.found = s, found
	return nil
}

// listenOn sets the address, and checks that it is free: the server itself would only log that it is not.
func listenOn(ctx context.Context, options *server.Options, addr string) error {
	// A process that is forked in the meantime inherits the probe's descriptor for a moment and keeps the address in use.
	syscall.ForkLock.RLock()
	probe, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err == nil {
		err = probe.Close()
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return fmt.Errorf("NATS_EMBEDDED_ADDR: %w; if another consumer or a NATS server runs there, set "+
			"NATS_URL=nats://%s to use it, else choose another address", err, addr)
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

// InProcessConn connects to the running server.
func (e *Server) InProcessConn() (net.Conn, error) {
	s := e.Current()
	if s == nil {
		return nil, e.Err()
	}
	return s.InProcessConn()
}

// Current is the running server; a restart replaces it. It is nil while none has started, see Err.
func (e *Server) Current() *server.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.server
}

// Err returns why requests and outcomes cannot be stored, or nil, also if there is no embedded server.
func (e *Server) Err() error {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cause
}

func (e *Server) setCause(why error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cause = why
}

// Stop stops the server and waits until it has stopped.
func (e *Server) Stop() error {
	e.stopWatching()
	<-e.done
	e.shutDown()
	return e.lock.Unlock()
}

func (e *Server) shutDown() {
	if s := e.Current(); s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}
