package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
)

const (
	httpTimeout     = 5 * time.Second
	httpStopTimeout = time.Second
)

// probes are what tells how the process is; each returns nil, or the reason.
type probes struct {
	alive func() error // not: only a restart helps
	ready func() error // not: no requests are taken
}

// starting is a process that does not take requests yet. It is alive: it waits for servers, and says so.
func starting(reason error) *probes {
	return &probes{alive: func() error { return nil }, ready: func() error { return reason }}
}

// serveHTTP answers /livez, /readyz, /metrics and, with the operator's page, / on addr; nothing where addr is empty.
// The returned function stops it and waits.
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
	mux.Handle("GET /static/", page)
	server := hardened(mux)
	server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn) // it would write lines of its own to stderr
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.ErrorContext(ctx, "the HTTP server has ended", "error", err)
		}
	}()
	log.InfoContext(ctx, "HTTP server is up", "addr", listener.Addr().String())
	warnIfOpen(ctx, listener.Addr(), log)
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpStopTimeout)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close() //nolint:errcheck // it ends either way
		}
		<-done
	}, nil
}

func answer(w http.ResponseWriter, reason error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if reason != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, reason.Error()+"\n") //nolint:errcheck // the client has gone
		return
	}
	io.WriteString(w, "ok\n") //nolint:errcheck // the client has gone
}

func healthCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "health",
		Short:   "Ask the service on this machine whether it takes requests",
		Long:    "Asks /readyz at HTTP_ADDR and exits 0 or 1: a health check for images that hold nothing but this program.",
		Example: "  consumer health",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := a.configure(cmd.Context())
			if err != nil {
				return err
			}
			if c.HTTPAddr == "" {
				return misuse(errors.New("HTTP_ADDR is empty: there is nobody to ask"))
			}
			ready, text, err := askHealth(cmd.Context(), c.HTTPAddr)
			if err != nil {
				return fmt.Errorf("no service answers at HTTP_ADDR %s: %w", c.HTTPAddr, err)
			}
			fmt.Fprint(a.Out, text) //nolint:errcheck // the exit code says it too
			if !ready {
				return errNegative
			}
			return nil
		},
	}
}

func askHealth(ctx context.Context, addr string) (ready bool, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false, "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	url := "http://" + net.JoinHostPort(host, port) + "/readyz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, "", err
	}
	defer response.Body.Close() //nolint:errcheck // read below
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	return response.StatusCode == http.StatusOK, strings.TrimSpace(string(body)) + "\n", err
}
