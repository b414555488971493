package service

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits of the HTTP server: everything that is asked of it fits a line, and an answer a few hundred kilobytes. Who
// sends slowly, or reads slowly, must not keep what others need.
const (
	httpIdleTimeout = time.Minute // of a connection between two requests: longer than probes and scrapes are apart
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

// warnIfOpen says where others than this machine can ask: there is no login.
func warnIfOpen(ctx context.Context, addr net.Addr, log *slog.Logger) {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		return
	}
	log.WarnContext(ctx, "HTTP_ADDR is open to the network and has no login; allow only probes and monitoring",
		"addr", addr.String())
}
