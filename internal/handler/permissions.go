package handler

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// apiSubjects begins the subjects on which JetStream is asked.
const apiSubjects = "$JS.API."

// ExplainPermission adds to an error why nobody has answered, where that is because the connection's user may not
// publish to subjects that begin so: the server's refusal comes on its own, and who waits for an answer sees none.
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

// ExplainAPIPermission is [ExplainPermission] for what is asked of JetStream.
func ExplainAPIPermission(conn *nats.Conn, err error) error {
	return ExplainPermission(conn, err, apiSubjects)
}
