package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/repeatlog"
)

const (
	natsReadyTimeout = 30 * time.Second
	// healthInterval is how often the embedded server is asked how it is.
	healthInterval = time.Second
	// revivalMax is the longest pause before a server that cannot write is tried again.
	revivalMax = 15 * time.Second
	// uselessMax is likewise of one that a restart has not healed.
	uselessMax = 10 * time.Minute
	// spareSpace is how much a directory must take before a server is restarted there, in bytes: more than its
	// own files about consumers and streams, which it writes when it stops.
	spareSpace = 4 << 20
)

// embedded is a NATS server within this process. A stream that could not be written to, as on a full disk, is
// not written to any more in that server's life, and nothing else ends that life: so it is replaced by a new
// one, on the same files and at the same address, once its directory can be written to. Nothing that was
// confirmed is lost by that; clients connect again.
type embedded struct {
	options server.Options
	lock    *flock.Flock
	log     *slog.Logger
	faults  *repeatlog.Log // why it stores nothing
	reports *repeatlog.Log // its own warnings and errors

	mu     sync.Mutex
	server *server.Server
	found  []string // the streams whose directories were there when the server started
	ill    error    // why streams cannot be written to; nil: they can

	end   context.CancelFunc
	ended chan struct{}
}

// startEmbedded starts a server with JetStream in dir, every write synced. addr is where other programs
// reach it; empty: nowhere.
func startEmbedded(ctx context.Context, addr, dir string, log *slog.Logger) (*embedded, error) {
	e := &embedded{
		options: server.Options{
			ServerName: buildinfo.Name, JetStream: true, StoreDir: dir, SyncAlways: true,
			NoSigs: true, DontListen: addr == "",
		},
		lock: flock.New(filepath.Join(dir, ".lock")), log: log, ended: make(chan struct{}),
		faults: repeatlog.New(log), reports: repeatlog.NewWithQuiet(log, natsQuiet, "nats: no further warnings or errors"),
	}
	if addr != "" {
		if err := listenOn(ctx, &e.options, addr); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("NATS_EMBEDDED_DIR: %w", err)
	}
	if locked, err := e.lock.TryLock(); err != nil || !locked {
		return nil, errors.Join(fmt.Errorf("NATS_EMBEDDED_DIR: %s is in use by another process", dir), err)
	}
	s, err := e.newServer()
	if err != nil {
		return nil, errors.Join(err, e.lock.Unlock())
	}
	if addr != "" {
		if bound, ok := s.Addr().(*net.TCPAddr); ok {
			e.options.Port = bound.Port // a successor is found at the same
		}
		log.InfoContext(ctx, "embedded NATS server is up", "url", s.ClientURL(), "dir", dir)
	}
	alive, end := context.WithCancel(context.WithoutCancel(ctx))
	e.end = end
	go func() {
		defer close(e.ended)
		e.watch(alive)
	}()
	return e, nil
}

// newServer starts the server of the moment and waits until it takes connections.
func (e *embedded) newServer() (*server.Server, error) {
	var found []string
	for _, stream := range ourStreams() {
		dir := filepath.Join(e.options.StoreDir, "jetstream", server.DEFAULT_GLOBAL_ACCOUNT, "streams", stream)
		if _, err := os.Stat(dir); err == nil {
			found = append(found, stream)
		}
	}
	options := e.options // the server makes it its own
	s, err := server.NewServer(&options)
	if err != nil {
		return nil, fmt.Errorf("start the embedded NATS server: %w", err)
	}
	s.SetLoggerV2(natsLog{e.log, e.reports}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(natsReadyTimeout) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("the embedded NATS server is not ready after %s", natsReadyTimeout)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.server, e.found = s, found
	return s, nil
}

// listenOn sets the address, which must be free: the server itself would only log that it is not.
func listenOn(ctx context.Context, options *server.Options, addr string) error {
	// A process that is started in the meantime has a copy of the probe for a moment, and the address stays taken.
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

// InProcessConn connects to the server of the moment.
func (e *embedded) InProcessConn() (net.Conn, error) { return e.current().InProcessConn() }

func (e *embedded) current() *server.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.server
}

// err is why requests and outcomes cannot be stored, or nil, also where there is no embedded server.
func (e *embedded) err() error {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ill
}

func (e *embedded) setIll(why error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ill = why
}

// watch asks the server how it is, and replaces it where it is ill, until ctx ends.
func (e *embedded) watch(ctx context.Context) {
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	for bad := 0; ; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		why := e.health()
		if why == nil {
			bad = 0
			continue
		}
		if bad++; bad > 1 { // once may be a stream that is just being removed
			e.setIll(fmt.Errorf("embedded NATS: %w", why))
			e.faults.Error("the embedded NATS server stores nothing any more; free or add space for it",
				why, "dir", e.options.StoreDir)
			e.revive(ctx)
			bad = 0
		}
	}
}

// health is why the server does not store what it should. Streams of others are not looked at.
//
// A stream that is being made is passed over: its directory is there before the server lists it, and Healthz reports
// that as a stream that could not be recovered. On a slow disk that takes seconds. What could not be recovered was
// there when the server started.
func (e *embedded) health() error {
	e.mu.Lock()
	s, known := e.server, slices.Clone(e.found)
	e.mu.Unlock()
	if !s.JetStreamEnabled() {
		return errors.New("JetStream has been disabled")
	}
	account, err := s.JszAccount(&server.JSzOptions{Account: server.DEFAULT_GLOBAL_ACCOUNT, Streams: true})
	if err == nil { // else the account has no JetStream yet
		for _, stream := range account.Streams {
			known = append(known, stream.Name)
		}
	}
	for _, stream := range ourStreams() {
		if !slices.Contains(known, stream) {
			continue
		}
		status := s.Healthz(&server.HealthzOptions{Account: server.DEFAULT_GLOBAL_ACCOUNT, Stream: stream})
		if status.Error != "" && status.StatusCode != http.StatusNotFound {
			return errors.New(status.Error)
		}
	}
	return nil
}

func ourStreams() []string {
	return []string{events.StreamRequests, events.StreamEvents, events.StreamDeadLetters}
}

// revive replaces the server as soon as that makes sense, or ctx ends.
func (e *embedded) revive(ctx context.Context) {
	always := func() float64 { return 1 }
	pause := handler.Backoff{Min: healthInterval, Max: revivalMax, Random: always}
	for n := 1; ; n++ {
		err := canWrite(e.options.StoreDir)
		if err == nil {
			if err = e.replace(); err != nil { // it was no matter of space, and each time costs everybody the connection
				pause = handler.Backoff{Min: revivalMax, Max: uselessMax, Random: always}
			}
		}
		if err == nil {
			e.setIll(nil)
			e.faults.Recovered("the embedded NATS server is back")
			return
		}
		e.setIll(fmt.Errorf("embedded NATS: %w", err))
		e.faults.Warn("the embedded NATS server cannot be restarted yet", err)
		select {
		case <-time.After(pause.Delay(n)):
		case <-ctx.Done():
			return
		}
	}
}

// canWrite tries whether the directory takes files. A server that stops where it does not would leave its own
// notes as they were before.
func canWrite(dir string) (err error) {
	file, err := os.CreateTemp(dir, ".space-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	if _, err = file.Write(make([]byte, spareSpace)); err != nil {
		return err
	}
	return file.Sync()
}

// replace stops the server and starts its successor.
func (e *embedded) replace() error {
	old := e.current()
	old.Shutdown()
	old.WaitForShutdown()
	if _, err := e.newServer(); err != nil {
		return err
	}
	return e.health()
}

// stop ends the server and waits for it.
func (e *embedded) stop() error {
	e.end()
	<-e.ended
	s := e.current()
	s.Shutdown()
	s.WaitForShutdown()
	return e.lock.Unlock()
}

// natsLog writes the embedded server's log to ours. Its notices are about itself: debug.
type natsLog struct {
	*slog.Logger
	reports *repeatlog.Log
}

func (l natsLog) Noticef(format string, v ...any) { l.Debug("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Warnf(format string, v ...any) {
	l.reports.Warn("nats: "+fmt.Sprintf(format, v...), nil)
}

func (l natsLog) Errorf(format string, v ...any) {
	l.reports.Error("nats: "+fmt.Sprintf(format, v...), nil)
}

func (l natsLog) Fatalf(format string, v ...any) {
	l.reports.Error("nats: "+fmt.Sprintf(format, v...), nil)
}
func (l natsLog) Debugf(format string, v ...any) { l.Debug("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Tracef(format string, v ...any) { l.Debug("nats: " + fmt.Sprintf(format, v...)) }
