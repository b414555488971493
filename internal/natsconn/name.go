package natsconn

import (
	"context"
	"os"

	"example.com/tenant-provisioner/internal/buildinfo"
)

type commandKey struct{}

// WithCommand returns a context for connections of that command of the program, such as "dead-letters list".
func WithCommand(ctx context.Context, command string) context.Context {
	return context.WithValue(ctx, commandKey{}, command)
}

// clientName names a connection for the operators of the servers: program, command and host, such as
// "tenant-provisioner run on web-3".
func clientName(ctx context.Context) string {
	name := buildinfo.Name
	if command, ok := ctx.Value(commandKey{}).(string); ok {
		name += " " + command
	}
	if host, err := os.Hostname(); err == nil {
		name += " on " + host
	}
	return name
}
