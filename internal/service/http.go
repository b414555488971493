package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	httpTimeout     = 5 * time.Second
	httpStopTimeout = time.Second
)

// probes are the health checks of the process. Each returns nil, or the reason for the failure.
type probes struct {
	alive func() error // a failure means that only a restart helps
	ready func() error // a failure means that the service takes no requests
	// restored reports whether it takes no requests because database and streams do not belong together.
	restored func() bool
}

// starting are the probes of a process that does not take requests yet. It is alive: it waits for servers, and ready
// returns the reason.
func starting(reason func() error) *probes {
	return &probes{alive: func() error { return nil }, ready: reason, restored: func() bool { return false }}
}

// serveHTTP serves /livez, /readyz, /metrics and the operator's page on addr; nothing where addr is empty. On
// a loopback address it refuses requests that name another host. stop shuts the server down and waits for it.
func serveHTTP(
	ctx context.Context, addr string, serving *atomic.Pointer[probes], metrics, page http.Handler, log *slog.Logger,
) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	listener, err := listen(ctx, addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, serving.Load().alive()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, serving.Load().ready()) })
	mux.Handle("GET /metrics", metrics)
	mux.Handle("GET /{$}", page)
	mux.Handle("GET /tenant", page)
	mux.Handle("GET /static/", page)
	var handler http.Handler = mux
	if listensOnLoopback(listener.Addr()) {
		handler = onlyLoopback(addr, mux)
	}
	server := hardened(handler)
	server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn) // by default it writes unstructured lines to stderr
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.ErrorContext(ctx, "HTTP server stopped unexpectedly", "error", err)
		}
	}()
	log.InfoContext(ctx, "HTTP server is up", "addr", listener.Addr().String())
	warnIfOpen(ctx, listener.Addr(), log)
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpStopTimeout)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close() //nolint:errcheck // the server stops either way
		}
		<-done
	}, nil
}

func answer(w http.ResponseWriter, reason error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if reason != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, reason.Error()+"\n") //nolint:errcheck // the client has disconnected
		return
	}
	io.WriteString(w, "ok\n") //nolint:errcheck // the client has disconnected
}

// listen opens the address of the HTTP server.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("HTTP_ADDR: %w; choose another address, or HTTP_ADDR= for none", err)
	}
	return l, nil
}
