package service

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
)

// retentionInterval is the time between two rounds of pruning.
const retentionInterval = time.Hour

// keepPruning prunes the ledger of requests that were decided longer than retention ago, now and at intervals, until
// stop is called, which waits for it. It keeps what the stream of requests can deliver again.
func keepPruning(
	ctx context.Context, retention time.Duration, js jetstream.JetStream, db database.Store, log *slog.Logger,
) (stop func()) {
	if retention <= 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(retentionInterval)
		defer ticker.Stop()
		for {
			prune(ctx, retention, js, db, log)
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// prune is one round.
func prune(
	ctx context.Context, retention time.Duration, js jetstream.JetStream, db database.Store, log *slog.Logger,
) {
	latest, err := handler.ForgetBefore(ctx, js)
	total := 0
	if err == nil {
		before := time.Now().Add(-retention)
		if latest.Before(before) {
			log.WarnContext(ctx, "LEDGER_RETENTION is shorter than the max_age of the stream of requests; keeping requests for "+
				"that long", "retention", retention.String(), "pruned_before", latest)
			before = latest
		}
		err = database.Prune(ctx, db, before, func(n int) { total += n })
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		log.WarnContext(ctx, "could not prune the ledger; retrying later", "pruned", total, "error", err)
	case total > 0:
		log.InfoContext(ctx, "pruned the ledger", "requests", total)
	}
}
