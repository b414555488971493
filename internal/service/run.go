package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/telemetry"
)

// stopMargin is how long the service may take to stop, beyond DRAIN_TIMEOUT if requests may be in progress. It is
// enough to return work to the stream (5 s) and to stop all parts (2 s) while no server answers. Supervisors must wait
// longer: see docs/deploying.md.
const stopMargin = 7 * time.Second

// Run runs the service until ctx ends, or until it fails. It has one deadline for everything that it does after that.
// At the deadline Run returns without waiting for what hangs, and logs what it leaves. The process should then end.
// lines is the buffer behind log.
func Run(
	ctx context.Context, env envconfig.Lookuper, c config.Config, log *slog.Logger, lines *telemetry.LogBuffer,
) error {
	var running parts
	manager := newSystemd(log)
	defer manager.end()
	ended := make(chan error, 1)
	go func() {
		ended <- recovering(ctx, log, func() error { return serve(ctx, env, c, log, lines, &running, manager) })
	}()

	finished, err := await(ctx, ended)
	limit := stopMargin
	if running.takesRequests.Load() {
		limit += c.DrainTimeout
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	if ctx.Err() != nil {
		manager.stop(limit)
	}
	if !finished {
		log.InfoContext(ctx, "stopping", "within", limit.String())
		finished, err = await(deadline, ended)
	}
	// A signal to stop while the service waits for a server is not a failure. Not context.Cause: the cause of a signal
	// wraps context.Canceled, which libraries return without the cause.
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	if finished {
		err = errors.Join(err, running.stop(deadline, log))
	}
	left := running.names()
	switch {
	case !finished && running.takesRequests.Load():
		left = append(left, "requests in progress")
	case !finished:
		left = append(left, "start of the service")
	}
	switch {
	case len(left) > 0:
		log.WarnContext(ctx, "stop deadline reached; ending although these parts have not stopped", "parts", left)
	case err == nil:
		log.InfoContext(ctx, "stopped")
	}
	return err
}

// await waits for a result until ctx ends.
func await(ctx context.Context, from <-chan error) (received bool, err error) {
	select {
	case err = <-from:
		return true, err
	case <-ctx.Done():
		return false, nil
	}
}

// recovering turns a panic of fn into an error, and logs its stack as every other line.
func recovering(ctx context.Context, log *slog.Logger, fn func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			log.ErrorContext(ctx, "panic in the service", "panic", cause, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic in the service: %v", cause)
		}
	}()
	return fn()
}
