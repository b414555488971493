package natsserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
)

// watch checks the server's health until ctx ends, and replaces an unhealthy server.
func (e *Server) watch(ctx context.Context) {
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	if e.Current() == nil {
		e.restartUntilHealthy(ctx)
	}
	for bad := 0; ctx.Err() == nil; { // if it has ended above, there may be no server
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
		if bad++; bad > 1 { // one bad check may be a stream that is just being removed
			e.setUnhealthy(why)
			e.restartUntilHealthy(ctx)
			bad = 0
		}
	}
}

// setUnhealthy records and logs why the server cannot store messages.
func (e *Server) setUnhealthy(why error) {
	e.setCause(fmt.Errorf("embedded NATS: %w", why))
	e.faults.Error("embedded NATS server cannot store messages; free or add disk space", why, "dir", e.options.StoreDir)
}

// health returns why the server does not store what it should. It ignores streams of other programs.
//
// It skips a stream that is being created: its directory exists before the server lists it, and Healthz reports that as
// a stream that could not be recovered. On a slow disk that takes seconds. A stream that really could not be recovered
// existed when the server started.
func (e *Server) health() error {
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

// restartUntilHealthy replaces the server once its directory can be written to, and retries until it is healthy or ctx
// ends.
func (e *Server) restartUntilHealthy(ctx context.Context) {
	always := func() float64 { return 1 }
	pause := handler.Backoff{Min: healthInterval, Max: maxRestartDelay, Random: always}
	for n := 1; ; n++ {
		err := checkWritable(e.options.StoreDir)
		if err == nil {
			if err = e.replace(); err != nil { // disk space is not the cause, and each restart disconnects all clients
				pause = handler.Backoff{Min: maxRestartDelay, Max: maxUselessDelay, Random: always}
			}
		}
		if err == nil {
			e.setCause(nil)
			e.faults.Recovered("embedded NATS server is available again")
			return
		}
		e.setCause(fmt.Errorf("embedded NATS: %w", err))
		e.faults.Warn("could not restart embedded NATS server; retrying", err)
		select {
		case <-time.After(pause.Delay(n)):
		case <-ctx.Done():
			return
		}
	}
}

// checkWritable reports whether files can be written to the directory. A server that stops while they cannot would
// leave its state files outdated.
func checkWritable(dir string) (err error) {
	file, err := os.CreateTemp(dir, ".space-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	if _, err = file.Write(make([]byte, spaceNeeded)); err != nil {
		return err
	}
	return file.Sync()
}

// replace stops the server and starts a new one.
func (e *Server) replace() error {
	e.shutDown()
	if err := e.newServer(); err != nil {
		return err
	}
	return e.health()
}
