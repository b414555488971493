package postgres

import (
	"context"

	"example.com/tenant-provisioner/internal/pipeline"
)

// Renew implements [pipeline.Ledger].
func (s *Store) Renew(ctx context.Context, c pipeline.Claim) error {
	return s.writeAsync(ctx, "lease", s.q.Renew, c.Key, c.Replay, c.Attempt, c.DeliveryID)
}
