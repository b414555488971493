package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	apiTimeout = 5 * time.Second        // of one request to the server
	retryDelay = 500 * time.Millisecond // before a request is repeated after a failure
)

// explain adds the cause to a timeout, if the server has refused the permission for a subject with this prefix. The
// server reports that separately; the request itself only times out.
func explain(conn *nats.Conn, err error, prefix string) error {
	if !isUnanswered(err) {
		return err
	}
	refusal := conn.LastError()
	if !errors.Is(refusal, nats.ErrPermissionViolation) {
		return err
	}
	if inbox, _, _ := strings.Cut(conn.NewInbox(), "."); strings.Contains(refusal.Error(), `Subscription to "`+inbox+`.`) {
		return fmt.Errorf("%w: %w; give the connection the user's own inbox: nats.CustomInboxPrefix", err, refusal)
	}
	if !strings.Contains(refusal.Error(), `"`+prefix) {
		return err
	}
	return fmt.Errorf("%w: %w; use a user with this permission, or grant it: each user's permissions are in "+
		"deploy/nats/server.conf", err, refusal)
}

func isUnanswered(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, jetstream.ErrNoHeartbeat)
}

// apiSubject returns the subject of a JetStream API operation, such as STREAM.INFO.name.
func apiSubject(js jetstream.JetStream, operation string) string {
	options := js.Options()
	prefix := cmp.Or(options.APIPrefix, jetstream.DefaultAPIPrefix)
	if options.Domain != "" {
		prefix = "$JS." + options.Domain + ".API."
	}
	return strings.TrimSuffix(prefix, ".") + "." + operation
}

// isFinal reports whether an operation on a stream would fail for ever.
func isFinal(conn *nats.Conn, err error) bool {
	return errors.Is(err, ErrNoStream) || errors.Is(err, nats.ErrPermissionViolation) || conn.IsClosed()
}

// pause waits before a request is repeated.
func pause(ctx context.Context) error {
	timer := time.NewTimer(retryDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
