package handler

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// apiSubjects is the prefix of the subjects of the JetStream API.
const apiSubjects = "$JS.API."

// ExplainPermission adds the cause to a timeout if the connection's user may not publish to subjects with this prefix.
// The server reports the violation separately, so that the request itself only times out.
func ExplainPermission(conn *nats.Conn, err error, subject string) error {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) {
		return err
	}
	refusal := conn.LastError()
	if !errors.Is(refusal, nats.ErrPermissionViolation) || !strings.Contains(refusal.Error(), `"`+subject) {
		return err
	}
	return fmt.Errorf("%w: %w; use a user with this permission, or grant it: each user's permissions are in "+
		"deploy/nats/server.conf", err, refusal)
}

// ExplainAPIPermission is [ExplainPermission] for requests to the JetStream API.
func ExplainAPIPermission(conn *nats.Conn, err error) error {
	return ExplainPermission(conn, err, apiSubjects)
}
