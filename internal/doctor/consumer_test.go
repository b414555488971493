package doctor

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/testkit"
)

// The nats CLI ignores --max-pending=-1, so that the hint for an operator goes another way.
func TestHintRemovesTheLimitOfPendingRequests(t *testing.T) {
	t.Parallel()
	for _, most := range []int{1, 1000} {
		found := checkConsumerLimits(config.Config{Concurrency: 4}, jetstream.ConsumerConfig{MaxAckPending: most})
		testkit.Equal(t, "status", found.Status, Warning)
		testkit.Contains(t, "hint", found.Hint, "--json | jq '.config | .max_ack_pending = -1' > consumer.json\n",
			"nats consumer edit TENANT_REQUESTS tenant-provisioner --config=consumer.json")
		testkit.Lacks(t, "hint", found.Hint, "--max-pending")
	}
}
