package service

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits of the HTTP server. Every valid request fits on one line, and a response takes at most a few hundred
// kilobytes. A client that sends or reads slowly must not hold resources that other clients need.
const (
	httpIdleTimeout = time.Minute // of a connection between two requests: longer than the interval of probes and scrapes
	httpMaxHeader   = 16 << 10    // bytes
	httpMaxBody     = 4 << 10     // bytes; none is read
)

// hardened is a server with limits.
func hardened(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           http.MaxBytesHandler(handler, httpMaxBody),
		ReadHeaderTimeout: httpTimeout, ReadTimeout: httpTimeout, WriteTimeout: httpTimeout, IdleTimeout: httpIdleTimeout,
		MaxHeaderBytes: httpMaxHeader,
	}
}

// warnIfOpen logs a warning where clients on other machines can connect: the server has no login.
func warnIfOpen(ctx context.Context, addr net.Addr, log *slog.Logger) {
	if listensOnLoopback(addr) {
		return
	}
	log.WarnContext(ctx, "HTTP_ADDR is open to the network and has no login; allow only probes and monitoring",
		"addr", addr.String())
}
