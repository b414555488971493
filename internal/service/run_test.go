package service

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

// All parts stop at the same time: those that hang do not keep the others from stopping.
func TestPartsThatHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running parts
		hang, stopped := make(chan struct{}), 0
		running.started("NATS", func() error { t.Error("a replaced function is called"); return nil })
		running.started("NATS", func() error { <-hang; return nil })
		running.started("database", func() error { <-hang; return errors.New("too late") })
		running.started("HTTP server", func() error { stopped++; return errors.New("port is lost") })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := running.stop(ctx, slog.New(slog.DiscardHandler))
		testkit.Equal(t, "took", time.Since(began), time.Second)
		testkit.Equal(t, "stopped", stopped, 1)
		testkit.Equal(t, "the error", err.Error(), "port is lost")
		testkit.Equal(t, "left", strings.Join(running.names(), ", "), "NATS, database")
		close(hang)
		synctest.Wait()
	})
}

func TestPartsStop(t *testing.T) {
	t.Parallel()
	var running parts
	testkit.Must(t, running.stop(t.Context(), slog.New(slog.DiscardHandler)))
	running.started("traces", func() error { return nil })
	testkit.Must(t, running.stop(t.Context(), slog.New(slog.DiscardHandler)))
	testkit.Equal(t, "left", len(running.names()), 0)
}

// A panic of the service is an error with a line of log, not text of the runtime.
func TestPanicIsLogged(t *testing.T) {
	t.Parallel()
	var written testkit.Output
	err := recovering(t.Context(), slog.New(slog.NewJSONHandler(&written, nil)), func() error { panic("a bug") })
	testkit.Equal(t, "the error", err.Error(), "panic in the service: a bug")
	testkit.Contains(t, "the log", written.String(), `"msg":"panic in the service"`, "run_test.go")
}
