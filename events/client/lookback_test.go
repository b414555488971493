package client

import (
	"context"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/events/eventstest"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// A request that is added while others are being read for has its signal left over: that one finds nothing to do.
func TestSignalThatIsLeftOver(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	js := natstest.JetStream(t, natstest.Start(t))
	eventstest.CreateStreams(t, js)
	receipt, err := Request(ctx, js, "/billing", "a", events.Requested{TenantID: "a", DisplayName: "A", CreatedBy: "test"})
	testkit.Must(t, err)
	e, err := events.NewRequested("/billing", "a", events.Requested{TenantID: "a", DisplayName: "A", CreatedBy: "test"})
	testkit.Must(t, err)
	eventstest.Publish(t, js, eventstest.Provisioned(t, e, nil))
	c, err := Open(ctx, js)
	testkit.Must(t, err)
	defer c.Close()
	for range 3 { // when the last is accepted, the first was acted on
		c.earlier <- struct{}{}
	}
	receipt.pending = nil // as from another process
	outcome, err := c.Await(ctx, receipt)
	testkit.Must(t, err)
	testkit.Equal(t, "tenant", outcome.TenantID(), "a")
}
