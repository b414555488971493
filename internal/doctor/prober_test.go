package doctor

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/internal/testkit"
)

// A question that is not answered has its limit.
func TestNurseAsks(t *testing.T) {
	t.Parallel()
	n := &prober{}
	n.onError(nil, nil, nats.ErrPermissionViolation) // nothing is asked
	err := n.request(t.Context(), func(ctx context.Context) error {
		deadline, ok := ctx.Deadline()
		if !ok || time.Until(deadline) > natsRequestTimeout {
			t.Error("there is no limit")
		}
		n.onError(nil, nil, nats.ErrSlowConsumer) // which is none
		testkit.Equal(t, "the end", ctx.Err(), nil)
		n.onError(nil, nil, fmt.Errorf("%w: to publish", nats.ErrPermissionViolation))
		<-ctx.Done()
		testkit.Equal(t, "the end", ctx.Err(), context.Canceled) // and not the limit: the answer cannot come
		return ctx.Err()
	})
	testkit.Contains(t, "the error", err.Error(), "to publish")
}
