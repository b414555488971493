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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if signal.Ignored(syscall.SIGHUP) { // by nohup
		return ctx
	}
	// A terminal that closes, and systemd with SendSIGHUP=, send SIGHUP beside another signal, before or after it. So it
	// does not count as the first of two, and is received until the process ends.
	ctx, _ = signal.NotifyContext(ctx, syscall.SIGHUP)
	return ctx
}

// outliveReaders lets the service continue when what reads its stdout or stderr is gone. By default the runtime ends
// the process on the first write, as other commands do.
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }
