package main

import (
	"io"
	"log/slog"
)

// program names this program where it signs: in the registry, to NATS and to the database.
const program = "tenant-provisioner"

// newLogger logs to w: text on a terminal, else JSON, unless the format says which.
func newLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "" {
		format = "json"
		if isTerminal(w) {
			format = "text"
		}
	}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
