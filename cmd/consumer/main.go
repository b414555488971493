// Command consumer provisions tenants: it takes tenant.requested CloudEvents from NATS JetStream, builds
// each tenant's store, and publishes tenant.provisioned or tenant.provisioning_failed.
//
// Without arguments it runs the service. See consumer --help for the other commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/telemetry"
	"example.com/tenant-provisioner/internal/terminal"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	if os.Getenv("GOGC") == "" {
		paceCollections()
	}
	_, _ = memlimit.Set() // without a limit of the cgroup, memory is not limited
	os.Exit(realMain(stopOnSignal(), os.Args[1:], envconfig.OsLookuper(), os.Stdin, os.Stdout, os.Stderr))
}

// realMain runs one command and returns its exit code.
func realMain(
	ctx context.Context, args []string, env envconfig.Lookuper, stdin io.Reader, stdout, stderr io.Writer,
) int {
	a := &app{terminal.IO{Env: env, In: stdin, Out: stdout, Err: stderr}}
	root := newRoot(a) //nolint:contextcheck // commands get the context when they run
	// Not nil, which cobra replaces with the arguments of this process.
	root.SetArgs(append([]string{}, args...))
	cmd, err := root.ExecuteContextC(ctx)
	code := exitCodeOf(err)
	switch {
	case err == nil, errors.Is(err, errSilent):
	case runsService(cmd):
		a.logServiceError(err, code)
	default:
		printError(stderr, err)
	}
	return code
}

// exitCodeOf returns the exit code of a command that returned err.
func exitCodeOf(err error) int {
	var (
		usage       *badUsage
		environment *config.Error
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage), errors.As(err, &environment):
		return exitUsage
	}
	return exitFailed
}

// maxErrorText bounds the text of an error that ends a command, in bytes: it may contain text from messages.
const maxErrorText = 16 << 10

func printError(w io.Writer, err error) {
	text := terminal.Lines(telemetry.Bound(err.Error(), maxErrorText))
	fmt.Fprintf(w, "consumer: %s\n", text) //nolint:errcheck // there is nowhere else to report it
}

// errSilent means that the command has already shown a negative result. It is not printed.
var errSilent = errors.New("the answer is no")

// badUsage is a fault of the command line or of the configuration.
type badUsage struct{ error }

func (e *badUsage) Unwrap() error { return e.error }

// usageError marks an error as a fault of the caller; nil stays nil.
func usageError(err error) error {
	if err == nil {
		return nil
	}
	return &badUsage{err}
}
