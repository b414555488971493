package doctor

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/internal/testkit"
)

// A request without a response ends at its timeout, or at a permission violation.
func TestProberEndsRequests(t *testing.T) {
	t.Parallel()
	p := &prober{}
	p.onError(nil, nil, nats.ErrPermissionViolation) // no request is in flight
	err := p.request(t.Context(), func(ctx context.Context) error {
		deadline, ok := ctx.Deadline()
		if !ok || time.Until(deadline) > natsRequestTimeout {
			t.Error("the request has no timeout")
		}
		p.onError(nil, nil, nats.ErrSlowConsumer) // not a permission violation
		testkit.Equal(t, "the end", ctx.Err(), nil)
		p.onError(nil, nil, fmt.Errorf("%w: to publish", nats.ErrPermissionViolation))
		<-ctx.Done()
		testkit.Equal(t, "the end", ctx.Err(), context.Canceled) // before the timeout: there will be no response
		return ctx.Err()
	})
	testkit.Contains(t, "the error", err.Error(), "to publish")
}
