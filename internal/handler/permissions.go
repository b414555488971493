package handler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ExplainPermission adds the cause to a timeout if the connection's user may not publish to subjects with this prefix.
// The server reports the violation separately, so that the request itself only times out.
func ExplainPermission(conn *nats.Conn, err error, subject string) error {
	if !isUnanswered(err) {
		return err
	}
	refusal := conn.LastError()
	if !errors.Is(refusal, nats.ErrPermissionViolation) || !strings.Contains(refusal.Error(), `"`+subject) {
		return err
	}
	return withPermission(err, refusal)
}

// ExplainAPIPermission is [ExplainPermission] for requests to the JetStream API.
func ExplainAPIPermission(js jetstream.JetStream, err error) error {
	explained := ExplainPermission(js.Conn(), err, APISubject(js, ""))
	if errors.Is(explained, nats.ErrPermissionViolation) {
		return explained
	}
	return ExplainPermission(js.Conn(), err, APISubjectAtServer(js, ""))
}

// isUnanswered reports whether the server has not answered, as to what it refuses.
func isUnanswered(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, jetstream.ErrNoHeartbeat)
}

func withPermission(err, refusal error) error {
	return fmt.Errorf("%w: %w; use a user with this permission, or grant it: each user's permissions are in "+
		"deploy/nats/server.conf", err, refusal)
}

// explain adds the cause to a timeout of an operation that began at the time, if the server has reported since then
// that the user may not publish to a subject with one of these prefixes.
func (h *Handler) explain(err error, began time.Time, prefixes ...string) error {
	if !isUnanswered(err) || errors.Is(err, nats.ErrPermissionViolation) {
		return err
	}
	api := APISubject(h.JetStream, "")
	for _, prefix := range prefixes {
		refusal := h.Link.Refused(prefix, began)
		if operation, found := strings.CutPrefix(prefix, api); found && refusal == nil {
			refusal = h.Link.Refused(APISubjectAtServer(h.JetStream, operation), began)
		}
		if refusal != nil {
			return withPermission(err, refusal)
		}
	}
	return err
}

// acknowledge calls settle, which acknowledges a message in some form. While the user lacks the permission it retries,
// until intake ends: the worker keeps its message and takes no other, which would be refused too, and the service is
// not ready. A message that is redelivered in the meantime is decided as before.
func (h *Handler) acknowledge(intake, ctx context.Context, settle func(context.Context) error) error {
	for n := 1; ; n++ {
		began := time.Now()
		err := h.explain(settle(ctx), began, ackSubjects)
		if err == nil {
			h.acks.succeeded()
			return nil
		}
		if !errors.Is(err, nats.ErrPermissionViolation) {
			return err
		}
		h.acks.failing(fmt.Errorf("acknowledge a request: %w", err))
		h.watchdog.touch()
		if sleep(intake, h.serverBackoff.Delay(n)) != nil {
			return err
		}
	}
}
