package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// stopOnSignal returns a context that ends with the first SIGTERM, SIGINT or SIGHUP. A second SIGTERM or SIGINT ends
// the process at once.
func stopOnSignal() context.Context {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup ignores it
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, func() {
		// Not SIGHUP: a terminal that closes, and systemd with SendSIGHUP=, send it in addition to another signal.
		signal.Ignore(syscall.SIGHUP)
		stop()
	})
	return ctx
}

// outliveReaders lets the service continue when what reads its stdout or stderr is gone. By default the runtime ends
// the process on the first write, as other commands do.
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }
